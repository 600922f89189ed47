//! Writing entries of the history: in sequence, without gaps, each chained to the one before (H5).
//!
//! Runs inside the transaction of the changes that the entries tell of (H1), under the lock of the head
//! row, so that no other writer of any node can take the same place.

use super::error::StoreError;
use super::session::{Head, Session};
use super::value::{Value, int};
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::history::{Action, Entry, canonical, marks};

/// Appends actions, each with whether it tells of a change, and moves the head; answers with the epoch,
/// which a change raises.
pub(super) async fn append(
    writer: &mut Writer,
    head: Head,
    actions: Vec<(Action, bool)>,
    changed: bool,
    at: Timestamp,
) -> Result<u64, StoreError> {
    const HEAD: &str = "UPDATE head SET epoch = $1, sequence = $2, hash = $3 WHERE id = 1";
    let (mut sequence, mut hash) = (head.sequence, head.hash);
    let mut values: Vec<Value> = Vec::with_capacity(actions.len() * COLUMNS);
    let mut marked: Vec<(String, u64)> = Vec::new();
    for (action, changed) in actions {
        sequence += 1;
        let entry = Entry { sequence, at, changed, action };
        let (action, bytes) = (&entry.action, canonical::encode(&entry));
        hash = hash.followed_by(sequence, &bytes);
        values.push(int(sequence));
        values.push(at.as_millis().into());
        values.push(action.kind.slug().into());
        values.push(action.actor.to_stored().into());
        values.push(action.target.as_ref().map(|target| target.as_bytes().as_slice()).into());
        values.push(Value::Bytes(Some(bytes)));
        values.push(hash.as_bytes().as_slice().into());
        marked.extend(marks::marks(action).into_iter().map(|mark| (mark, sequence)));
    }
    while !values.is_empty() {
        let (sql, entries) = if values.len() >= 8 * COLUMNS { (EIGHT_ENTRIES, 8) } else { (ONE_ENTRY, 1) };
        let rest = values.split_off(entries * COLUMNS);
        writer.execute(sql, std::mem::replace(&mut values, rest)).await?;
    }
    mark(writer, marked).await?;
    let epoch = head.epoch + u64::from(changed);
    if sequence > head.sequence || changed {
        writer.execute(HEAD, vec![int(epoch), int(sequence), hash.as_bytes().as_slice().into()]).await?;
    }
    Ok(epoch)
}

/// Writes what entries are found by beside their columns.
pub(super) async fn mark(session: &mut Session, marked: Vec<(String, u64)>) -> Result<(), StoreError> {
    const ONE: &str = "INSERT INTO history_marks (mark, sequence) VALUES ($1, $2)";
    const EIGHT: &str = "INSERT INTO history_marks (mark, sequence) VALUES \
        ($1, $2), ($3, $4), ($5, $6), ($7, $8), ($9, $10), ($11, $12), ($13, $14), ($15, $16)";
    let mut values: Vec<Value> = marked.into_iter().flat_map(|(mark, sequence)| [mark.into(), int(sequence)]).collect();
    while !values.is_empty() {
        let (sql, entries) = if values.len() >= 16 { (EIGHT, 8) } else { (ONE, 1) };
        let rest = values.split_off(entries * 2);
        session.execute(sql, std::mem::replace(&mut values, rest)).await?;
    }
    Ok(())
}

const COLUMNS: usize = 7;
const ONE_ENTRY: &str = "INSERT INTO history (sequence, recorded_at, kind, actor, target, canonical, hash) VALUES \
    ($1, $2, $3, $4, $5, $6, $7)";
/// A large group has many entries, and each statement is a trip to the server.
const EIGHT_ENTRIES: &str = "INSERT INTO history (sequence, recorded_at, kind, actor, target, canonical, hash) VALUES \
    ($1, $2, $3, $4, $5, $6, $7), ($8, $9, $10, $11, $12, $13, $14), \
    ($15, $16, $17, $18, $19, $20, $21), ($22, $23, $24, $25, $26, $27, $28), \
    ($29, $30, $31, $32, $33, $34, $35), ($36, $37, $38, $39, $40, $41, $42), \
    ($43, $44, $45, $46, $47, $48, $49), ($50, $51, $52, $53, $54, $55, $56)";
