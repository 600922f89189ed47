//! Bookkeeping: what is kept without being a change: failure counts, when tokens were last used, under
//! which pepper they are hashed, and under which version of the master key data keys are wrapped.
//!
//! It cannot reach any other table, and it leaves no actions. Counting a failure survives the end of
//! the process at once and the loss of power a little later; a trip survives both before it is
//! answered. The steps themselves are those of [`Streak`], run inside the transaction.

#![expect(clippy::missing_errors_doc, reason = "every query fails in the ways of `StoreError`, which tells them")]

mod runs;

use tokio::sync::oneshot;

use super::Store;
use super::error::StoreError;
use super::job::{Book, Message};
use super::session::{RunRecord, Session};
use super::value::{Row, int};
use super::writer::Writer;
use crate::clock::Timestamp;
use crate::directory::lockout::{Attempt, AttemptId, Counted, Reset, Streak};
use crate::directory::pepper::{PepperVersion, TokenHash};
use crate::directory::{AccountId, LastUse, Life, PublicId};
use crate::seal::{KeyId, MasterVersion, WrappedKey};
use runs::RunBooking;

/// The bookkeeping of a store.
#[derive(Debug, Clone)]
pub struct Bookkeeping {
    store: Store,
}

/// One thing to be booked. Data and not a closure, because a group that trips is run again, durably.
#[derive(Debug, Clone)]
pub(crate) enum Booking {
    Fail { account: AccountId, life: Life, threshold: u32, attempt: Attempt },
    Succeed { account: AccountId, life: Life },
    Join { account: AccountId, streak: Streak, threshold: u32 },
    Forget(AccountId),
    Used(Vec<(PublicId, LastUse)>),
    KeyUsed(PublicId, Timestamp),
    Rehash { public_id: PublicId, from: PepperVersion, to: PepperVersion, hash: TokenHash },
    RemoveMovedOut { limit: u32 },
    Rewrap(Vec<(KeyId, MasterVersion, WrappedKey)>),
    Run(RunBooking),
}

/// What booking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Booked {
    Counted(Counted),
    Reset(Reset),
    Removed(u64),
    Claimed(Option<Box<RunRecord>>),
    Held(bool),
    Done,
}

impl Booked {
    /// Whether this has to survive the loss of power.
    pub(crate) const fn is_trip(&self) -> bool {
        matches!(self, Self::Counted(Counted::Tripped(_)))
    }
}

impl Bookkeeping {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Counts a failure (L1). [`Counted::Stale`] also when the account is gone.
    pub async fn fail(
        &self,
        account: AccountId,
        life: Life,
        threshold: u32,
        attempt: Attempt,
    ) -> Result<Counted, StoreError> {
        self.counted(Booking::Fail { account, life, threshold, attempt }).await
    }

    /// Takes note of a success: the count starts again.
    pub async fn succeed(&self, account: AccountId, life: Life) -> Result<Reset, StoreError> {
        match self.book(Booking::Succeed { account, life }).await? {
            Booked::Reset(reset) => Ok(reset),
            other => Err(StoreError::Fault { why: format!("a success was answered by {other:?}") }),
        }
    }

    /// Joins what was counted elsewhere, by union (L7).
    pub async fn join(&self, account: AccountId, streak: &Streak, threshold: u32) -> Result<Counted, StoreError> {
        self.counted(Booking::Join { account, streak: streak.clone(), threshold }).await
    }

    /// All streaks on record, tripped ones too.
    pub async fn streaks(&self) -> Result<Vec<(AccountId, Streak)>, StoreError> {
        const SQL: &str = "SELECT account, life, attempts, tripped_at FROM failures ORDER BY account";
        let rows = self.store.read().await?.rows(SQL, Vec::new()).await?;
        rows.iter().map(|row| Ok((AccountId::from_bytes(row.array("account")?), streak(row)?))).collect()
    }

    /// Takes an account's streak off the record.
    pub async fn forget(&self, account: AccountId) -> Result<(), StoreError> {
        self.book(Booking::Forget(account)).await.map(|_| ())
    }

    /// Notes when tokens were last used, and from where and for which app (T8); an earlier instant than the noted one changes
    /// nothing.
    pub async fn used(&self, uses: Vec<(PublicId, LastUse)>) -> Result<(), StoreError> {
        self.book(Booking::Used(uses)).await.map(|_| ())
    }

    /// Notes when a key of the admin API was last used.
    pub async fn key_used(&self, public_id: PublicId, at: Timestamp) -> Result<(), StoreError> {
        self.book(Booking::KeyUsed(public_id, at)).await.map(|_| ())
    }

    /// Keeps a token under the pepper `to` instead of `from`; nothing changes when another was faster.
    pub async fn rehash(
        &self,
        public_id: PublicId,
        from: PepperVersion,
        to: PepperVersion,
        hash: TokenHash,
    ) -> Result<(), StoreError> {
        self.book(Booking::Rehash { public_id, from, to, hash }).await.map(|_| ())
    }

    /// Removes entries of the history that stand before its base, at most `limit`, the oldest first; answers how many.
    /// That they were moved out is on record with the base (H7).
    pub async fn remove_moved_out(&self, limit: u32) -> Result<u64, StoreError> {
        match self.book(Booking::RemoveMovedOut { limit }).await? {
            Booked::Removed(removed) => Ok(removed),
            other => Err(StoreError::Fault { why: format!("a removal was answered by {other:?}") }),
        }
    }

    /// Keeps data keys under another version of the master key than the one named; one that is gone, or that another was
    /// faster with, stays as it is.
    pub async fn rewrap(&self, keys: Vec<(KeyId, MasterVersion, WrappedKey)>) -> Result<(), StoreError> {
        self.book(Booking::Rewrap(keys)).await.map(|_| ())
    }

    async fn counted(&self, booking: Booking) -> Result<Counted, StoreError> {
        match self.book(booking).await? {
            Booked::Counted(counted) => Ok(counted),
            other => Err(StoreError::Fault { why: format!("a failure was answered by {other:?}") }),
        }
    }

    async fn book(&self, booking: Booking) -> Result<Booked, StoreError> {
        let (asker, answered) = oneshot::channel();
        self.store.enqueue(Message::Job(Box::new(Book { booking, booked: None, asker })))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Books one thing inside the transaction of its group.
pub(crate) async fn book(writer: &mut Writer, booking: &Booking) -> Result<Booked, StoreError> {
    Ok(match booking {
        Booking::Fail { account, life, threshold, attempt } => {
            let step = |streak: &mut Streak| streak.fail(*life, *threshold, attempt.clone());
            Booked::Counted(on_streak(writer, *account, *life, step, Counted::Stale).await?)
        }
        Booking::Join { account, streak: other, threshold } => {
            let step = |streak: &mut Streak| streak.join(other, *threshold);
            Booked::Counted(on_streak(writer, *account, other.life, step, Counted::Stale).await?)
        }
        Booking::Succeed { account, life } => {
            let step = |streak: &mut Streak| streak.succeed(*life);
            Booked::Reset(on_streak(writer, *account, *life, step, Reset::Stale).await?)
        }
        Booking::Forget(account) => {
            remove(writer, *account).await?;
            Booked::Done
        }
        Booking::Used(uses) => {
            for (public_id, last) in uses {
                note_use(writer, *public_id, last).await?;
            }
            Booked::Done
        }
        Booking::KeyUsed(public_id, at) => {
            const SQL: &str = "UPDATE api_keys SET last_used_at = $2 \
                WHERE public_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
            writer.execute(SQL, vec![public_id.as_str().into(), at.as_millis().into()]).await?;
            Booked::Done
        }
        Booking::Rehash { public_id, from, to, hash } => {
            rehash(writer, *public_id, (*from, *to), hash).await?;
            Booked::Done
        }
        Booking::Run(booking) => runs::book(writer, booking).await?,
        Booking::RemoveMovedOut { limit } => Booked::Removed(remove_moved_out(writer, *limit).await?),
        Booking::Rewrap(keys) => {
            for (id, from, key) in keys {
                rewrap(writer, *id, *from, key).await?;
            }
            Booked::Done
        }
    })
}

/// Runs a step of the state machine on an account's streak, and keeps what changed. A life that is
/// over, or an account that is gone, is `stale` and leaves nothing behind.
async fn on_streak<T>(
    writer: &mut Writer,
    account: AccountId,
    life: Life,
    step: impl FnOnce(&mut Streak) -> T,
    stale: T,
) -> Result<T, StoreError> {
    const SQL: &str = "SELECT a.life AS current_life, f.life, f.attempts, f.tripped_at \
        FROM accounts a LEFT JOIN failures f ON f.account = a.id WHERE a.id = $1";
    let Some(row) = writer.row(SQL, vec![account.as_bytes().as_slice().into()]).await? else { return Ok(stale) };
    if life < Life(row.unsigned("current_life")?) {
        return Ok(stale);
    }
    let before = if row.optional_int("life")?.is_some() { Some(streak(&row)?) } else { None };
    let mut after = before.clone().unwrap_or_else(|| Streak::new(life));
    let answer = step(&mut after);
    if after.attempts.is_empty() && after.tripped_at.is_none() {
        if before.is_some() {
            remove(writer, account).await?;
        }
    } else if before.as_ref() != Some(&after) {
        save(writer, account, &after).await?;
    }
    Ok(answer)
}

async fn save(session: &mut Session, account: AccountId, streak: &Streak) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO failures (account, life, attempts, tripped_at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (account) DO UPDATE SET life = excluded.life, attempts = excluded.attempts, \
        tripped_at = excluded.tripped_at";
    let attempts: Vec<String> = streak.attempts.iter().map(attempt_line).collect();
    let values = vec![
        account.as_bytes().as_slice().into(),
        int(streak.life.0),
        attempts.join("\n").into(),
        streak.tripped_at.map(Timestamp::as_millis).into(),
    ];
    session.execute(SQL, values).await.map(|_| ())
}

async fn remove(session: &mut Session, account: AccountId) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM failures WHERE account = $1";
    session.execute(SQL, vec![account.as_bytes().as_slice().into()]).await.map(|_| ())
}

async fn remove_moved_out(session: &mut Session, limit: u32) -> Result<u64, StoreError> {
    const FIRST: &str = "SELECT min(sequence) AS first FROM history";
    const MARKS: &str = "DELETE FROM history_marks WHERE sequence <= $1";
    const ENTRIES: &str = "DELETE FROM history WHERE sequence <= $1";
    let base = session.begins_after().await?.sequence;
    let first = session.row(FIRST, Vec::new()).await?.map_or(Ok(None), |row| row.optional_int("first"))?;
    let Some(first) = first.and_then(|first| u64::try_from(first).ok()).filter(|first| *first <= base) else {
        return Ok(0);
    };
    let through = base.min(first + u64::from(limit.max(1)) - 1);
    session.execute(MARKS, vec![int(through)]).await?;
    session.execute(ENTRIES, vec![int(through)]).await
}

async fn rehash(
    session: &mut Session,
    public_id: PublicId,
    (from, to): (PepperVersion, PepperVersion),
    hash: &TokenHash,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE pats SET hash = $3, pepper = $4 WHERE public_id = $1 AND pepper = $2";
    let values = vec![
        public_id.as_str().into(),
        i64::from(from.0).into(),
        hash.as_bytes().as_slice().into(),
        i64::from(to.0).into(),
    ];
    session.execute(SQL, values).await.map(|_| ())
}

async fn rewrap(session: &mut Session, id: KeyId, from: MasterVersion, key: &WrappedKey) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE data_keys SET master = $3, wrapped = $4 WHERE id = $1 AND master = $2";
    let values = vec![
        id.as_bytes().as_slice().into(),
        i64::from(from.0).into(),
        i64::from(key.master.0).into(),
        key.bytes.as_slice().into(),
    ];
    session.execute(SQL, values).await.map(|_| ())
}

async fn note_use(session: &mut Session, public_id: PublicId, last: &LastUse) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE pats SET last_used_at = $2, last_used_address = COALESCE($3, last_used_address), \
        last_used_app = COALESCE($4, last_used_app) \
        WHERE public_id = $1 AND (last_used_at IS NULL OR last_used_at <= $2)";
    let values = vec![
        public_id.as_str().into(),
        last.at.as_millis().into(),
        last.address.map(|address| address.to_string()).into(),
        last.app.as_ref().map(|app| app.as_str().to_owned()).into(),
    ];
    session.execute(SQL, values).await.map(|_| ())
}

/// `ID MILLIS ADDRESS`, the id in hexadecimal, `-` where the address is unknown.
fn attempt_line(attempt: &Attempt) -> String {
    let address = attempt.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    format!("{:032x} {} {address}", attempt.id.0, attempt.at.as_millis())
}

fn read_attempt(line: &str) -> Option<Attempt> {
    let mut parts = line.split(' ');
    let id = u128::from_str_radix(parts.next()?, 16).ok()?;
    let at = parts.next()?.parse().ok()?;
    let address = match parts.next()? {
        "-" => None,
        address => Some(address.parse().ok()?),
    };
    Some(Attempt { id: AttemptId(id), address, at: Timestamp::from_millis(at) })
}

fn streak(row: &Row) -> Result<Streak, StoreError> {
    let text = row.text("attempts")?;
    let attempts = text.lines().map(|line| {
        read_attempt(line).ok_or_else(|| StoreError::unreadable("attempts", format!("`{line}` is not an attempt")))
    });
    Ok(Streak {
        life: Life(row.unsigned("life")?),
        attempts: attempts.collect::<Result<_, _>>()?,
        tripped_at: row.optional_int("tripped_at")?.map(Timestamp::from_millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_reads_back_with_and_without_an_address() {
        for address in [None, Some("2001:db8::1".parse().unwrap()), Some("192.0.2.1".parse().unwrap())] {
            let attempt = Attempt { id: AttemptId(u128::MAX - 7), address, at: Timestamp::from_millis(17) };
            assert_eq!(read_attempt(&attempt_line(&attempt)), Some(attempt));
        }
        assert_eq!(read_attempt("00 x -"), None);
    }
}
