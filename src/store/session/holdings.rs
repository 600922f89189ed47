//! Reading what accounts hold: roles, apps, and the households that the rules of owners look at.

use std::collections::{BTreeMap, BTreeSet};

use crate::directory::owner_cascade::{Household, Member};
use crate::directory::{Account, AccountId, Holding, Permission, RoleName, Username};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::{account, optional_account};
use crate::store::value::Row;

/// One account with everything that its role set depends on, as of one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub account: Account,
    /// The person behind a proxy user.
    pub owner: Option<Account>,
    pub own: BTreeSet<Holding>,
    /// What the owner holds: the cap of a proxy user (P5).
    pub owners: Option<BTreeSet<Holding>>,
    /// What the roles among the holdings contain (R6).
    pub definitions: BTreeMap<RoleName, BTreeSet<Permission>>,
}

impl Session {
    pub async fn holdings(&mut self, account: AccountId) -> Result<BTreeSet<Holding>, StoreError> {
        const SQL: &str = "SELECT holding FROM grants WHERE account = $1";
        self.rows(SQL, vec![account.as_bytes().as_slice().into()]).await?.iter().map(holding).collect()
    }

    /// An account with all that its role set depends on: one query, so one consistent picture.
    pub async fn principal(&mut self, id: AccountId) -> Result<Option<Principal>, StoreError> {
        const SQL: &str = "SELECT \
            a.id AS a_id, a.username AS a_username, a.owner AS a_owner, a.life AS a_life, \
            a.created_at AS a_created_at, a.inactive_at AS a_inactive_at, a.inactive_by AS a_inactive_by, \
            a.inactive_reason AS a_inactive_reason, a.networks AS a_networks, \
            o.id AS o_id, o.username AS o_username, o.owner AS o_owner, o.life AS o_life, \
            o.created_at AS o_created_at, o.inactive_at AS o_inactive_at, o.inactive_by AS o_inactive_by, \
            o.inactive_reason AS o_inactive_reason, o.networks AS o_networks, \
            g.account AS holder, g.holding, g.role, p.permission \
            FROM accounts a \
            LEFT JOIN accounts o ON o.id = a.owner \
            LEFT JOIN grants g ON g.account IN (a.id, a.cap) \
            LEFT JOIN role_permissions p ON p.role = g.role \
            WHERE a.id = $1";
        let rows = self.rows(SQL, vec![id.as_bytes().as_slice().into()]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let (account, owner) = (account(first, "a_")?, optional_account(first, "o_")?);
        let (mut own, mut owners, mut definitions) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for row in &rows {
            let Some(holder) = row.optional_array("holder")?.map(AccountId::from_bytes) else { continue };
            if holder == id { &mut own } else { &mut owners }.insert(holding(row)?);
            if let Some(role) = row.optional_text("role")? {
                let contents: &mut BTreeSet<_> = definitions.entry(role_name(&role)?).or_default();
                contents.extend(row.optional_text("permission")?.as_deref().map(permission).transpose()?);
            }
        }
        let owners = owner.is_some().then_some(owners);
        Ok(Some(Principal { account, owner, own, owners, definitions }))
    }

    /// A person with its proxy users, sorted by username; `None` when there is no such person. One
    /// query, so one consistent picture.
    pub async fn household(&mut self, person: AccountId) -> Result<Option<Household>, StoreError> {
        const SQL: &str = "SELECT a.id, a.username, a.owner, a.life, a.created_at, a.inactive_at, a.inactive_by, \
            a.inactive_reason, a.networks, g.holding \
            FROM accounts a LEFT JOIN grants g ON g.account = a.id \
            WHERE (a.id = $1 AND a.person = 1) OR a.owner = $1 \
            ORDER BY a.person DESC, a.username";
        let rows = self.rows(SQL, vec![person.as_bytes().as_slice().into()]).await?;
        let mut members: Vec<Member> = Vec::new();
        for row in &rows {
            let found = account(row, "")?;
            if members.last().is_none_or(|member| member.id != found.id) {
                members.push(Member {
                    id: found.id,
                    username: found.username,
                    active: found.state.is_active(),
                    holdings: BTreeSet::new(),
                });
            }
            if let (Some(member), Some(_)) = (members.last_mut(), row.optional_text("holding")?) {
                member.holdings.insert(holding(row)?);
            }
        }
        if members.first().is_none_or(|owner| owner.id != person) {
            return Ok(None);
        }
        let owner = members.remove(0);
        Ok(Some(Household { owner, proxies: members }))
    }

    /// Every role with what it contains.
    pub async fn roles(&mut self) -> Result<BTreeMap<RoleName, BTreeSet<Permission>>, StoreError> {
        const SQL: &str = "SELECT r.name, p.permission FROM roles r LEFT JOIN role_permissions p ON p.role = r.name";
        let mut roles: BTreeMap<RoleName, BTreeSet<Permission>> = BTreeMap::new();
        for row in self.rows(SQL, Vec::new()).await? {
            let contents = roles.entry(role_name(&row.text("name")?)?).or_default();
            contents.extend(row.optional_text("permission")?.as_deref().map(permission).transpose()?);
        }
        Ok(roles)
    }

    /// What one role contains; `None` when it is not defined.
    pub async fn role(&mut self, name: &RoleName) -> Result<Option<BTreeSet<Permission>>, StoreError> {
        const SQL: &str = "SELECT p.permission FROM roles r LEFT JOIN role_permissions p ON p.role = r.name \
            WHERE r.name = $1";
        let rows = self.rows(SQL, vec![name.as_str().into()]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut contents = BTreeSet::new();
        for row in &rows {
            contents.extend(row.optional_text("permission")?.as_deref().map(permission).transpose()?);
        }
        Ok(Some(contents))
    }

    /// The usernames of everyone who holds this, whatever the case in their order.
    pub async fn names_of_holders(&mut self, holding: &Holding) -> Result<Vec<Username>, StoreError> {
        const SQL: &str = "SELECT a.username FROM grants g JOIN accounts a ON a.id = g.account \
            WHERE g.holding = $1 ORDER BY a.folded";
        let rows = self.rows(SQL, vec![holding.to_stored().into()]).await?;
        let name = |row: &Row| {
            let username = row.text("username")?;
            Username::parse(&username).map_err(|error| StoreError::unreadable("username", error.to_string()))
        };
        rows.iter().map(name).collect()
    }

    /// Everyone who holds this.
    pub async fn holders(&mut self, holding: &Holding) -> Result<Vec<AccountId>, StoreError> {
        const SQL: &str = "SELECT account FROM grants WHERE holding = $1 ORDER BY account";
        let rows = self.rows(SQL, vec![holding.to_stored().into()]).await?;
        rows.iter().map(|row| row.array("account").map(AccountId::from_bytes)).collect()
    }
}

fn holding(row: &Row) -> Result<Holding, StoreError> {
    let text = row.text("holding")?;
    Holding::from_stored(&text)
        .ok_or_else(|| StoreError::unreadable("holding", format!("`{text}` is neither a role nor an app")))
}

fn role_name(text: &str) -> Result<RoleName, StoreError> {
    RoleName::parse(text).map_err(|error| StoreError::unreadable("role", error.to_string()))
}

fn permission(text: &str) -> Result<Permission, StoreError> {
    Permission::parse(text).map_err(|error| StoreError::unreadable("permission", error.to_string()))
}
