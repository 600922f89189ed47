//! Reading the history: lists of it, and the chain as it is stored.

use crate::clock::Timestamp;
use crate::directory::{AccountId, Actor, AppName};
use crate::history::marks::Mark;
use crate::history::{ActionType, ChainHash, Entry, Link, Place, canonical};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::value::{Row, Value, int};

/// Which entries of the history are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Done to this account.
    pub target: Option<AccountId>,
    /// Done by this one, or by Locum because this one asked for it.
    pub actor: Option<Actor>,
    pub kind: Option<ActionType>,
    /// Concerning this app.
    pub app: Option<AppName>,
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
        Self { target: None, actor: None, kind: None, app: None, since: None, until: None, before: None, limit: 100 }
    }
}

/// Where the history begins that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The last entry that was moved out.
    pub place: Place,
    /// What the installation signed about it, as JSON. Believed by nobody until it is checked.
    pub signed: String,
}

/// A list of entries, the newest first. What leads it is found by an index, however long the history is; the
/// rest is looked at entry by entry.
macro_rules! newest_first {
    ($from:literal, $lead:literal, $order:literal) => {
        concat!(
            "SELECT h.sequence, h.canonical FROM ",
            $from,
            " WHERE ",
            $lead,
            "($1 IS NULL OR h.target = $1) \
              AND ($2 IS NULL OR h.actor = $2 OR EXISTS \
                (SELECT 1 FROM history_marks m WHERE m.mark = $3 AND m.sequence = h.sequence)) \
              AND ($4 IS NULL OR h.kind = $4) \
              AND ($5 IS NULL OR EXISTS \
                (SELECT 1 FROM history_marks m WHERE m.mark = $5 AND m.sequence = h.sequence)) \
              AND h.sequence > COALESCE((SELECT b.sequence FROM history_base b WHERE b.id = 1), 0) \
              AND h.sequence < $6 AND h.recorded_at >= $7 AND h.recorded_at < $8 ORDER BY ",
            $order,
            " DESC LIMIT $9"
        )
    };
}

const ALL: &str = newest_first!("history h", "", "h.sequence");
const OF_TARGET: &str = newest_first!("history h", "h.target = $1 AND ", "h.sequence");
const OF_ACTOR: &str = newest_first!("history h", "h.actor = $2 AND ", "h.sequence");
const OF_KIND: &str = newest_first!("history h", "h.kind = $4 AND ", "h.sequence");
const ASKED_FOR: &str = newest_first!(
    "history_marks l JOIN history h ON h.sequence = l.sequence",
    "l.mark = $3 AND l.sequence < $6 AND ",
    "l.sequence"
);
const OF_APP: &str = newest_first!(
    "history_marks l JOIN history h ON h.sequence = l.sequence",
    "l.mark = $5 AND l.sequence < $6 AND ",
    "l.sequence"
);

impl Session {
    /// Entries of the history, the newest first (H2).
    pub async fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<Entry>, StoreError> {
        let lists: &[&'static str] = match filter {
            HistoryFilter { app: Some(_), .. } => &[OF_APP],
            HistoryFilter { target: Some(_), .. } => &[OF_TARGET],
            HistoryFilter { actor: Some(_), .. } => &[OF_ACTOR, ASKED_FOR],
            HistoryFilter { kind: Some(_), .. } => &[OF_KIND],
            HistoryFilter { .. } => &[ALL],
        };
        let mut entries = Vec::new();
        for list in lists {
            let rows = self.rows(*list, filter.values()).await?;
            for row in &rows {
                entries.push(entry(row)?);
            }
        }
        // No entry is in two of the lists: who asked Locum for something did not do it.
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.sequence));
        entries.truncate(filter.limit as usize);
        Ok(entries)
    }

    /// After which entry the history begins that is kept; `None` while all of it is (H7).
    pub async fn base(&mut self) -> Result<Option<Base>, StoreError> {
        const SQL: &str = "SELECT sequence, hash, signed FROM history_base WHERE id = 1";
        let Some(row) = self.row(SQL, Vec::new()).await? else { return Ok(None) };
        let place = Place { sequence: row.unsigned("sequence")?, hash: ChainHash::from_bytes(row.array("hash")?) };
        Ok(Some(Base { place, signed: row.text("signed")? }))
    }

    /// How many of the `limit` entries after `after` are older than `before`, up to the first that is not; and whether
    /// there are no more of them.
    pub async fn older(&mut self, after: u64, before: Timestamp, limit: u32) -> Result<(u64, bool), StoreError> {
        const SQL: &str = "SELECT sequence, recorded_at FROM history WHERE sequence > $1 ORDER BY sequence LIMIT $2";
        let rows = self.rows(SQL, vec![int(after), i64::from(limit).into()]).await?;
        let mut older = 0;
        for row in &rows {
            if row.int("recorded_at")? >= before.as_millis() {
                return Ok((older, true));
            }
            older += 1;
        }
        Ok((older, rows.len() < limit as usize))
    }

    /// The chain as it is stored, from `from` on, the oldest first (H5).
    pub async fn links(&mut self, from: u64, limit: u32) -> Result<Vec<Link>, StoreError> {
        const SQL: &str = "SELECT sequence, canonical, hash FROM history WHERE sequence >= $1 \
            ORDER BY sequence LIMIT $2";
        self.rows(SQL, vec![int(from), i64::from(limit).into()]).await?.iter().map(link).collect()
    }
}

impl HistoryFilter {
    fn values(&self) -> Vec<Value> {
        let target = self.target.as_ref().map(|target| target.as_bytes().as_slice());
        let asked = self.actor.clone().map(|actor| Mark::AskedBy(actor).to_stored());
        let app = self.app.clone().map(|app| Mark::App(app).to_stored());
        vec![
            target.into(),
            self.actor.as_ref().map(Actor::to_stored).into(),
            asked.into(),
            self.kind.map(|kind| kind.slug().to_owned()).into(),
            app.into(),
            int(self.before.unwrap_or(u64::MAX)),
            self.since.map_or(i64::MIN, Timestamp::as_millis).into(),
            self.until.map_or(i64::MAX, Timestamp::as_millis).into(),
            i64::from(self.limit).into(),
        ]
    }
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
