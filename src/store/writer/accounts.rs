//! Writing accounts, and carrying out what the rules of owners decide.

use crate::clock::Timestamp;
use crate::directory::owner_cascade::Change;
use crate::directory::{Account, AccountId, Actor, Holding, Networks, PublicId, ReasonCode, State, Username};
use crate::seal::KeyId;
use crate::store::error::{Conflict, StoreError};
use crate::store::value::{Row, int};
use crate::store::writer::Writer;

/// What carrying out needs to know beyond the changes.
#[derive(Debug, Clone)]
pub struct ApplyContext {
    pub now: Timestamp,
    pub by: Actor,
    /// Why accounts become inactive.
    pub reason: ReasonCode,
    /// Why their tokens are revoked; has to stand in the code table (T6).
    pub pat_reason: ReasonCode,
}

/// What carrying out came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The tokens that were not revoked before and are revoked, or gone with their account, now.
    pub revoked_pats: Vec<(AccountId, PublicId)>,
}

impl Writer {
    /// Adds an account.
    ///
    /// # Errors
    /// [`Conflict::UsernameTaken`] and [`Conflict::LookAlike`] (P2).
    pub async fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO accounts (id, username, folded, person, owner, owner_person, cap, life, \
            created_at, inactive_at, inactive_by, inactive_reason, networks) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        if let Some(existing) = self.account_by_folded(&account.username).await? {
            let wanted = account.username.clone();
            return Err(StoreError::Conflict(if existing.username == wanted {
                Conflict::UsernameTaken(wanted)
            } else {
                Conflict::LookAlike { wanted, existing: existing.username }
            }));
        }
        let owner = account.kind.owner();
        let (inactive_at, inactive_by, inactive_reason) = match &account.state {
            State::Active => (None, None, None),
            State::Inactive { at, by, reason } => {
                (Some(at.as_millis()), Some(by.to_stored()), Some(reason.as_str().to_owned()))
            }
        };
        let values = vec![
            account.id.as_bytes().as_slice().into(),
            account.username.as_str().into(),
            account.username.folded().into(),
            i64::from(owner.is_none()).into(),
            owner.as_ref().map(|owner| owner.as_bytes().as_slice()).into(),
            owner.map(|_| 1_i64).into(),
            owner.as_ref().unwrap_or(&account.id).as_bytes().as_slice().into(),
            int(account.life.0),
            account.created_at.as_millis().into(),
            inactive_at.into(),
            inactive_by.into(),
            inactive_reason.into(),
            account.networks.to_string().into(),
        ];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Writes which networks an account may be used from (L10).
    ///
    /// # Errors
    /// [`StoreError::Rule`] when there is no such account.
    pub async fn set_networks(&mut self, account: AccountId, networks: &Networks) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE accounts SET networks = $2 WHERE id = $1";
        let values = vec![account.as_bytes().as_slice().into(), networks.to_string().into()];
        if self.execute(SQL, values).await? == 0 {
            return Err(StoreError::Rule { why: format!("the account `{account}` does not exist") });
        }
        Ok(())
    }

    /// Carries out what a rule of owners decided, in its order.
    pub async fn apply(&mut self, changes: &[Change], context: &ApplyContext) -> Result<Applied, StoreError> {
        let mut applied = Applied::default();
        for change in changes {
            match change {
                Change::Added { account, username } => self.demand_added(*account, username).await?,
                Change::Given { account, holding } => self.give(*account, holding).await?,
                Change::Taken { account, holding } => self.take(*account, holding).await?,
                Change::AdministrationTaken { account, app } => {
                    self.take_app_administration(*account, app).await?;
                }
                Change::Inactivated { account } => self.inactivate(*account, context, &mut applied).await?,
                Change::Activated { account } => self.activate(*account).await?,
                Change::Deleted { account } => self.delete(*account, &mut applied).await?,
            }
        }
        Ok(applied)
    }

    /// A new account is written by [`Writer::insert_account`], which is told all of it; here it has to
    /// be there.
    async fn demand_added(&mut self, account: AccountId, username: &Username) -> Result<(), StoreError> {
        match self.account(account).await? {
            Some(found) if found.username == *username => Ok(()),
            _ => Err(StoreError::Rule { why: format!("the account `{username}` has to be inserted first") }),
        }
    }

    async fn give(&mut self, account: AccountId, holding: &Holding) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO grants (account, holding, cap, role, app) \
            SELECT id, $2, cap, $3, $4 FROM accounts WHERE id = $1 \
            ON CONFLICT (account, holding) DO NOTHING";
        let (role, app) = match holding {
            Holding::Role(role) => (Some(role.as_str().to_owned()), None),
            Holding::App(app) => (None, Some(app.as_str().to_owned())),
        };
        let values = vec![account.as_bytes().as_slice().into(), holding.to_stored().into(), role.into(), app.into()];
        self.execute(SQL, values).await.map(|_| ())
    }

    async fn take(&mut self, account: AccountId, holding: &Holding) -> Result<(), StoreError> {
        // touches nothing where it went already, with the owner's grant (P7)
        const SQL: &str = "DELETE FROM grants WHERE account = $1 AND holding = $2";
        let values = vec![account.as_bytes().as_slice().into(), holding.to_stored().into()];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// P10: the account and all of its tokens, at once.
    async fn inactivate(
        &mut self,
        account: AccountId,
        context: &ApplyContext,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        const ACCOUNT: &str = "UPDATE accounts SET inactive_at = $2, inactive_by = $3, inactive_reason = $4 \
            WHERE id = $1 AND inactive_at IS NULL";
        const TOKENS: &str = "UPDATE pats SET pending_until = NULL, confirmed_at = NULL, \
            revoked_at = $2, revoked_by = $3, revoked_reason = $4 \
            WHERE account = $1 AND revoked_at IS NULL RETURNING public_id";
        let with = |reason: &ReasonCode| {
            vec![
                account.as_bytes().as_slice().into(),
                context.now.as_millis().into(),
                context.by.to_stored().into(),
                reason.as_str().into(),
            ]
        };
        self.execute(ACCOUNT, with(&context.reason)).await?;
        let revoked = self.rows(TOKENS, with(&context.pat_reason)).await?;
        add_revoked(account, &revoked, applied)
    }

    /// P11: a new life, in which nothing has failed yet.
    async fn activate(&mut self, account: AccountId) -> Result<(), StoreError> {
        const ACCOUNT: &str = "UPDATE accounts SET inactive_at = NULL, inactive_by = NULL, inactive_reason = NULL, \
            life = life + 1 WHERE id = $1 AND inactive_at IS NOT NULL";
        const FAILURES: &str = "DELETE FROM failures WHERE account = $1";
        let id = account.as_bytes().as_slice();
        if self.execute(ACCOUNT, vec![id.into()]).await? > 0 {
            self.execute(FAILURES, vec![id.into()]).await?;
        }
        Ok(())
    }

    /// P12: gone with its tokens, grants and counts, and with the key of what is known of it (U7). Its tombstone is the caller's to write, who has
    /// the key.
    async fn delete(&mut self, account: AccountId, applied: &mut Applied) -> Result<(), StoreError> {
        const TOKENS: &str = "SELECT public_id FROM pats WHERE account = $1 AND revoked_at IS NULL ORDER BY public_id";
        const ACCOUNT: &str = "DELETE FROM accounts WHERE id = $1";
        let id = account.as_bytes().as_slice();
        let tokens = self.rows(TOKENS, vec![id.into()]).await?;
        add_revoked(account, &tokens, applied)?;
        self.execute(ACCOUNT, vec![id.into()]).await?;
        self.destroy_data_key(KeyId::of_person(account)).await
    }
}

fn add_revoked(account: AccountId, rows: &[Row], applied: &mut Applied) -> Result<(), StoreError> {
    for row in rows {
        let text = row.text("public_id")?;
        let public_id = PublicId::parse(&text)
            .ok_or_else(|| StoreError::unreadable("public_id", format!("`{text}` is not a public id")))?;
        applied.revoked_pats.push((account, public_id));
    }
    Ok(())
}
