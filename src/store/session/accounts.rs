//! Reading accounts.

use ipnet::IpNet;

use crate::clock::Timestamp;
use crate::directory::{Account, AccountId, Actor, Kind, Life, Networks, ReasonCode, State, Username};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::value::{Row, Value};

/// Which kind of account a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindFilter {
    People,
    Proxies,
}

/// Which accounts a list is about. The default is all of them, a thousand at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFilter {
    pub kind: Option<KindFilter>,
    /// Only this person's proxy users.
    pub owner: Option<AccountId>,
    /// Only usernames that begin with this, whatever the case.
    pub prefix: Option<String>,
    /// Only what stands after this username in the list: where the page before ended.
    pub after: Option<Username>,
    pub limit: u32,
}

impl Default for AccountFilter {
    fn default() -> Self {
        Self { kind: None, owner: None, prefix: None, after: None, limit: 1_000 }
    }
}

impl Session {
    pub async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT id, username, owner, life, created_at, inactive_at, inactive_by, inactive_reason, \
            networks FROM accounts WHERE id = $1";
        self.row(SQL, vec![id.as_bytes().as_slice().into()]).await?.map(|row| account(&row, "")).transpose()
    }

    /// The account of exactly this username (P2).
    pub async fn account_by_username(&mut self, username: &Username) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT id, username, owner, life, created_at, inactive_at, inactive_by, inactive_reason, \
            networks FROM accounts WHERE username = $1";
        self.row(SQL, vec![username.as_str().into()]).await?.map(|row| account(&row, "")).transpose()
    }

    /// The account of this username or of one that differs from it only in case (P2).
    pub async fn account_by_folded(&mut self, username: &Username) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT id, username, owner, life, created_at, inactive_at, inactive_by, inactive_reason, \
            networks FROM accounts WHERE folded = $1";
        self.row(SQL, vec![username.folded().into()]).await?.map(|row| account(&row, "")).transpose()
    }

    /// A page of accounts, by username, whatever the case.
    pub async fn accounts(&mut self, filter: &AccountFilter) -> Result<Vec<Account>, StoreError> {
        // `~` sorts after every character of a username, so it ends the range of a prefix
        const SQL: &str = "SELECT id, username, owner, life, created_at, inactive_at, inactive_by, inactive_reason, \
            networks FROM accounts \
            WHERE ($1 IS NULL OR person = $1) AND ($2 IS NULL OR owner = $2) \
              AND folded >= $3 AND folded < $4 AND folded > $5 \
            ORDER BY folded LIMIT $6";
        let person = filter.kind.map(|kind| match kind {
            KindFilter::People => 1_i64,
            KindFilter::Proxies => 0,
        });
        let owner = filter.owner.as_ref().map(|owner| owner.as_bytes().as_slice());
        let prefix = filter.prefix.as_deref().unwrap_or_default().to_ascii_lowercase();
        let end = format!("{prefix}~");
        let after = filter.after.as_ref().map(Username::folded).unwrap_or_default();
        let values: Vec<Value> =
            vec![person.into(), owner.into(), prefix.into(), end.into(), after.into(), i64::from(filter.limit).into()];
        self.rows(SQL, values).await?.iter().map(|row| account(row, "")).collect()
    }
}

/// Reads an account from columns that begin with `prefix`.
pub(crate) fn account(row: &Row, prefix: &str) -> Result<Account, StoreError> {
    let column = |name: &str| format!("{prefix}{name}");
    let username = row.text(&column("username"))?;
    let owner = row.optional_array(&column("owner"))?.map(AccountId::from_bytes);
    let state = match row.optional_int(&column("inactive_at"))? {
        None => State::Active,
        Some(at) => State::Inactive {
            at: Timestamp::from_millis(at),
            by: actor(&column("inactive_by"), &row.text(&column("inactive_by"))?)?,
            reason: reason(&column("inactive_reason"), &row.text(&column("inactive_reason"))?)?,
        },
    };
    Ok(Account {
        id: AccountId::from_bytes(row.array(&column("id"))?),
        username: Username::parse(&username)
            .map_err(|error| StoreError::unreadable(&column("username"), error.to_string()))?,
        kind: owner.map_or(Kind::Person, |owner| Kind::Proxy { owner }),
        state,
        life: Life(row.unsigned(&column("life"))?),
        networks: networks(&column("networks"), &row.text(&column("networks"))?)?,
        created_at: Timestamp::from_millis(row.int(&column("created_at"))?),
    })
}

/// The same, where a join may have found none.
pub(crate) fn optional_account(row: &Row, prefix: &str) -> Result<Option<Account>, StoreError> {
    if row.optional_bytes(&format!("{prefix}id"))?.is_none() {
        return Ok(None);
    }
    account(row, prefix).map(Some)
}

/// Reads what [`Networks`] writes.
pub(crate) fn networks(column: &str, text: &str) -> Result<Networks, StoreError> {
    let read = |word: &str| {
        word.parse::<IpNet>().map_err(|error| StoreError::unreadable(column, format!("`{word}`: {error}")))
    };
    text.split_ascii_whitespace().map(read).collect()
}

pub(crate) fn actor(column: &str, text: &str) -> Result<Actor, StoreError> {
    Actor::from_stored(text).ok_or_else(|| StoreError::unreadable(column, format!("`{text}` is not an actor")))
}

pub(crate) fn reason(column: &str, text: &str) -> Result<ReasonCode, StoreError> {
    ReasonCode::parse(text).map_err(|error| StoreError::unreadable(column, error.to_string()))
}
