//! Reading the small tables, the head and the history.

use crate::clock::Timestamp;
use crate::directory::tombstone::Tombstone;
use crate::directory::{AccountId, Actor, AppName, ReasonCode};
use crate::history::{ActionType, ChainHash, Entry, Link, canonical};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::reason;
use crate::store::value::{Row, int};

/// An app as the directory remembers it; its configuration stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRecord {
    pub name: AppName,
    /// Whether the configuration names it.
    pub enabled: bool,
}

/// The one row that every writer locks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many groups of changes were committed.
    pub epoch: u64,
    /// The last entry of the history; 0 when there is none.
    pub sequence: u64,
    pub hash: ChainHash,
}

/// Which entries of the history are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Done to this account.
    pub target: Option<AccountId>,
    /// Done by this one.
    pub actor: Option<Actor>,
    pub kind: Option<ActionType>,
    /// Not before this instant.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// Only entries before this sequence number: where the page before ended.
    pub before: Option<u64>,
    pub limit: u32,
}

impl Default for HistoryFilter {
    fn default() -> Self {
        Self { target: None, actor: None, kind: None, since: None, until: None, before: None, limit: 100 }
    }
}

impl Session {
    /// The code table of reasons: code and meaning (T6).
    pub async fn reasons(&mut self) -> Result<Vec<(ReasonCode, String)>, StoreError> {
        const SQL: &str = "SELECT code, meaning FROM reasons ORDER BY code";
        let rows = self.rows(SQL, Vec::new()).await?;
        rows.iter().map(|row| Ok((reason("code", &row.text("code")?)?, row.text("meaning")?))).collect()
    }

    pub async fn apps(&mut self) -> Result<Vec<AppRecord>, StoreError> {
        const SQL: &str = "SELECT name, enabled FROM apps ORDER BY name";
        let record = |row: &Row| {
            let name = AppName::parse(&row.text("name")?)
                .map_err(|error| StoreError::unreadable("name", error.to_string()))?;
            Ok(AppRecord { name, enabled: row.flag("enabled")? })
        };
        self.rows(SQL, Vec::new()).await?.iter().map(record).collect()
    }

    /// Whether a username was somebody's (P12).
    pub async fn has_tombstone(&mut self, tombstone: &Tombstone) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT digest FROM tombstones WHERE digest = $1";
        Ok(self.row(SQL, vec![tombstone.as_bytes().as_slice().into()]).await?.is_some())
    }

    pub async fn head(&mut self) -> Result<Head, StoreError> {
        const SQL: &str = "SELECT epoch, sequence, hash FROM head WHERE id = 1";
        head(self.row(SQL, Vec::new()).await?.as_ref())
    }

    /// Locks the head row: all writers of a database are one after another from here on. Setting it to
    /// itself locks it in both databases.
    pub(crate) async fn lock_head(&mut self) -> Result<Head, StoreError> {
        const SQL: &str = "UPDATE head SET epoch = epoch + 0 WHERE id = 1 RETURNING epoch, sequence, hash";
        head(self.row(SQL, Vec::new()).await?.as_ref())
    }

    /// Entries of the history, the newest first (H2).
    pub async fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<Entry>, StoreError> {
        const SQL: &str = "SELECT sequence, canonical FROM history \
            WHERE ($1 IS NULL OR target = $1) AND ($2 IS NULL OR actor = $2) AND ($3 IS NULL OR kind = $3) \
              AND sequence < $4 AND recorded_at >= $5 AND recorded_at < $6 \
            ORDER BY sequence DESC LIMIT $7";
        let target = filter.target.as_ref().map(|target| target.as_bytes().as_slice());
        let actor = filter.actor.as_ref().map(Actor::to_stored);
        let kind = filter.kind.map(|kind| kind.slug().to_owned());
        let before = int(filter.before.unwrap_or(u64::MAX));
        let since = filter.since.map_or(i64::MIN, Timestamp::as_millis).into();
        let until = filter.until.map_or(i64::MAX, Timestamp::as_millis).into();
        let limit = i64::from(filter.limit).into();
        let values = vec![target.into(), actor.into(), kind.into(), before, since, until, limit];
        self.rows(SQL, values).await?.iter().map(entry).collect()
    }

    /// The chain as it is stored, from `from` on, the oldest first (H5).
    pub async fn links(&mut self, from: u64, limit: u32) -> Result<Vec<Link>, StoreError> {
        const SQL: &str = "SELECT sequence, canonical, hash FROM history WHERE sequence >= $1 \
            ORDER BY sequence LIMIT $2";
        self.rows(SQL, vec![int(from), i64::from(limit).into()]).await?.iter().map(link).collect()
    }
}

pub(crate) fn head(row: Option<&Row>) -> Result<Head, StoreError> {
    let row = row.ok_or_else(|| StoreError::unreadable("head", "its row is missing".to_owned()))?;
    Ok(Head {
        epoch: row.unsigned("epoch")?,
        sequence: row.unsigned("sequence")?,
        hash: ChainHash::from_bytes(row.array("hash")?),
    })
}

pub(crate) fn link(row: &Row) -> Result<Link, StoreError> {
    Ok(Link {
        sequence: row.unsigned("sequence")?,
        canonical: row.bytes("canonical")?,
        hash: ChainHash::from_bytes(row.array("hash")?),
    })
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    let sequence = row.unsigned("sequence")?;
    canonical::decode(&row.bytes("canonical")?)
        .map_err(|error| StoreError::unreadable("history", format!("entry {sequence}: {error}")))
}
