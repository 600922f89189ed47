//! What a rule looks up and insists on before it changes anything: the account that is meant, and that
//! roles, apps and names are what they have to be.

use std::collections::BTreeSet;

use super::operation::Hand;
use super::refusal::{Wanted, demand_kind};
use super::{Error, Refusal};
use crate::directory::owner_cascade::Household;
use crate::directory::rights::Operation;
use crate::directory::{Account, AccountId, AppName, Kind, Life, Networks, Permission, RoleName, State, Username};
use crate::store::{AccountFilter, Session};

/// Stands for the owner of an account that does not exist, so that the table of rights can be asked
/// about it all the same.
pub(super) const NOBODY: AccountId = AccountId::from_bytes([0; 16]);

/// How many usernames are looked through for those most like an unknown one.
const LOOKED_THROUGH: u32 = 5_000;

impl Hand<'_> {
    /// The account with this username, once the caller has the right to what `operation` says of it:
    /// of its owner, which for a person is itself. A caller without the right learns nothing of who
    /// exists.
    pub(super) async fn account(
        &mut self,
        username: &Username,
        wanted: Wanted,
        operation: impl Fn(AccountId) -> Operation,
    ) -> Result<Account, Error> {
        let Some(account) = self.writer.account_by_username(username).await? else {
            self.request.demand(&operation(NOBODY))?;
            return Err(unknown_account(self.writer, username).await?.into());
        };
        self.request.demand(&operation(account.kind.owner().unwrap_or(account.id)))?;
        demand_kind(&account.username, account.kind, wanted)?;
        Ok(account)
    }

    /// The household that an account belongs to.
    pub(super) async fn household(&mut self, account: &Account) -> Result<Household, Error> {
        let owner = account.kind.owner().unwrap_or(account.id);
        self.writer.household(owner).await?.ok_or_else(|| Error::Refused(gone(&account.username)))
    }

    /// What a role contains; refuses one that is not defined.
    pub(super) async fn demand_role(&mut self, role: &RoleName) -> Result<BTreeSet<Permission>, Error> {
        demand_role(self.writer, role).await
    }

    /// Refuses an app that was never configured.
    pub(super) async fn demand_app(&mut self, app: &AppName) -> Result<(), Error> {
        demand_app(self.writer, app).await
    }

    /// Refuses a username that is taken, looks like one that is, or was a deleted account's (P2, P12);
    /// and Locum's own, so that an actor in the history is never ambiguous.
    pub(super) async fn demand_free(&mut self, username: &Username) -> Result<(), Error> {
        if username.folded() == "locum" {
            return Err(Refusal::UsernameReserved(username.clone()).into());
        }
        if let Some(account) = self.writer.account_by_folded(username).await? {
            return Err(if account.username == *username {
                Refusal::UsernameTaken(username.clone()).into()
            } else {
                Refusal::UsernameLookAlike { wanted: username.clone(), existing: account.username }.into()
            });
        }
        let tombstone = self.provision.0.tombstones.tombstone_of(username);
        if self.writer.has_tombstone(&tombstone).await? {
            return Err(Refusal::UsernameDeleted(username.clone()).into());
        }
        Ok(())
    }

    /// A new active account of this name, not yet written.
    pub(super) fn new_account(&self, username: Username, kind: Kind, networks: Networks) -> Account {
        let mut random = [0; 10];
        (self.provision.0.random)(&mut random);
        Account {
            id: AccountId::new(self.now, &random),
            username,
            kind,
            state: State::Active,
            life: Life::FIRST,
            networks,
            created_at: self.now,
        }
    }
}

/// What a role contains; refuses one that is not defined, with the names that were perhaps meant.
pub(super) async fn demand_role(session: &mut Session, role: &RoleName) -> Result<BTreeSet<Permission>, Error> {
    if let Some(permissions) = session.role(role).await? {
        return Ok(permissions);
    }
    let roles = session.roles().await?;
    let nearest = super::nearest::nearest(role.as_str(), roles.keys().map(RoleName::as_str));
    Err(Refusal::UnknownRole { name: role.clone(), nearest }.into())
}

/// Refuses an app that was never configured, with the names that were perhaps meant.
pub(super) async fn demand_app(session: &mut Session, app: &AppName) -> Result<(), Error> {
    let apps = session.apps().await?;
    if apps.iter().any(|known| known.name == *app) {
        return Ok(());
    }
    let nearest = super::nearest::nearest(app.as_str(), apps.iter().map(|known| known.name.as_str()));
    Err(Refusal::UnknownApp { name: app.clone(), nearest }.into())
}

fn gone(username: &Username) -> Refusal {
    Refusal::UnknownAccount { name: username.to_string(), nearest: Vec::new() }
}

/// Says that an account is unknown, with the names that were perhaps meant.
pub(super) async fn unknown_account(session: &mut Session, username: &Username) -> Result<Refusal, Error> {
    let filter = AccountFilter { limit: LOOKED_THROUGH, ..Default::default() };
    let accounts = session.accounts(&filter).await?;
    let names = accounts.iter().map(|account| account.username.as_str());
    let nearest = super::nearest::nearest(username.as_str(), names);
    Ok(Refusal::UnknownAccount { name: username.to_string(), nearest })
}
