//! Checking the whole history against itself (H5).
//!
//! Beyond the chain this compares the columns that are searched with the entry they repeat: a changed
//! column would hide an entry from a list without breaking any hash.

use std::collections::{BTreeMap, BTreeSet};

use crate::directory::AccountId;
use crate::history::Place;
use crate::history::canonical;
use crate::history::chain::{Broken, Verifier};
use crate::history::marks::marks;
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::history::link;
use crate::store::session::records::Head;
use crate::store::value::{Row, int};

/// Why a history cannot be trusted, or could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(
        "entry {0} is filed under another instant, type, actor, account or app than it says: a list would be wrong"
    )]
    Misfiled(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Session {
    /// Follows the chain from its first entry to its head, and answers with that head.
    ///
    /// # Errors
    /// Names the first entry that is missing, changed or misfiled.
    pub async fn audit(&mut self) -> Result<Head, AuditError> {
        self.audit_by(&[]).await
    }

    /// The same, by places of the chain too that are known from elsewhere. Begins where the history does that is kept:
    /// whether that place was signed is not looked at here.
    ///
    /// # Errors
    /// Names the first entry that is missing, changed or misfiled, or the range that it is in.
    pub async fn audit_by(&mut self, known: &[Place]) -> Result<Head, AuditError> {
        loop {
            let base = self.begins_after().await?;
            let followed = self.follow(base, known).await;
            // What was moved out meanwhile is missing for a good reason.
            if matches!(followed, Err(AuditError::Broken(_))) && self.begins_after().await? != base {
                continue;
            }
            return followed;
        }
    }

    /// The place that the first entry of what is kept follows.
    pub async fn begins_after(&mut self) -> Result<Place, StoreError> {
        Ok(self.base().await?.map_or(Place::GENESIS, |base| base.place))
    }

    async fn follow(&mut self, base: Place, known: &[Place]) -> Result<Head, AuditError> {
        const SQL: &str = "SELECT sequence, recorded_at, kind, actor, target, canonical, hash FROM history \
            WHERE sequence >= $1 AND sequence <= $2 ORDER BY sequence LIMIT 1000";
        // entries that are appended while this reads are not part of the question
        let head = self.head().await?;
        let mut verifier = Verifier::after(base).knowing(known.iter().copied())?;
        let mut from = base.sequence + 1;
        loop {
            let rows = self.rows(SQL, vec![int(from), int(head.sequence)]).await?;
            let Some(last) = rows.last() else { break };
            let through = last.unsigned("sequence")?;
            let mut marked = self.marked(from, through).await?;
            from = through + 1;
            for row in &rows {
                let link = link(row)?;
                verifier.follow(&link)?;
                if !filed_as_it_says(row, &link.canonical, &marked.remove(&link.sequence).unwrap_or_default())? {
                    return Err(AuditError::Misfiled(link.sequence));
                }
            }
        }
        verifier.ends_at(head.place())?;
        Ok(head)
    }

    /// What the entries of a range are found by beside their columns.
    async fn marked(&mut self, from: u64, through: u64) -> Result<BTreeMap<u64, BTreeSet<String>>, StoreError> {
        const SQL: &str = "SELECT sequence, mark FROM history_marks WHERE sequence >= $1 AND sequence <= $2";
        let mut marked: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for row in self.rows(SQL, vec![int(from), int(through)]).await? {
            marked.entry(row.unsigned("sequence")?).or_default().insert(row.text("mark")?);
        }
        Ok(marked)
    }
}

fn filed_as_it_says(row: &Row, bytes: &[u8], marked: &BTreeSet<String>) -> Result<bool, StoreError> {
    let Ok(entry) = canonical::decode(bytes) else { return Ok(false) };
    let target = row.optional_array("target")?.map(AccountId::from_bytes);
    Ok(entry.sequence == row.unsigned("sequence")?
        && entry.at.as_millis() == row.int("recorded_at")?
        && entry.action.kind.slug() == row.text("kind")?
        && entry.action.actor.to_stored() == row.text("actor")?
        && entry.action.target == target
        && marks(&entry.action) == *marked)
}
