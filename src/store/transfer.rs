//! Everything of an embedded database into an empty PostgreSQL (C5): while nobody uses either, in pieces, so that a
//! transfer that broke off goes on where it ended.
//!
//! What is half there is marked as such in the database itself, and no gateway starts on it. The mark goes when every
//! row was compared and the chain of the history was followed to its end, so there is no moment at which somebody has
//! to believe that all went well.

mod catalogue;

use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use self::catalogue::{Line, Table, tables};
use super::connection::{Purpose, Source};
use super::error::{OpenError, StoreError};
use super::node_lock::{Guard, Guarded, LockError, guard};
use super::session::{AuditError, Head, Session};
use super::value::{Row, Value, int};
use super::{Location, Settings, migrations, source_of};
use crate::clock::Clock;

/// Rows of one transaction.
const PAGE: u32 = 500;

/// Why not everything is in the other database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    #[error("only an embedded database can be moved, and only to PostgreSQL: write `postgres://…` for the new one")]
    Direction,
    #[error("the database `{place}` holds something already: make an empty one with `createdb`, and name that")]
    NotEmpty { place: String },
    #[error(
        "the database `{place}` holds a part of another database, or of an earlier state of this one: drop it, make an \
         empty one with `createdb`, and begin again"
    )]
    OfAnother { place: String },
    #[error(
        "`{table}` in `{place}` is not what it is in `{from}`: one of them was changed meanwhile; drop the new one, make \
         an empty one with `createdb`, and begin again"
    )]
    Different { table: String, place: String, from: String },
    #[error("the history did not arrive whole: {0}")]
    History(AuditError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Where, as an operator names it.
    pub place: String,
    /// How many rows each table has; in the order in which they were filled.
    pub tables: Vec<(String, u64)>,
    /// Where the history ends.
    pub head: Head,
}

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// So many rows of a table are there.
    Copied { table: &'a str, rows: u64 },
    /// So many of them were compared.
    Compared { table: &'a str, rows: u64 },
    /// The chain of the history is followed.
    Following,
}

/// Moves all of `from` into the empty database `to`, or goes on where that broke off. The old one stays as it is.
///
/// # Errors
/// Says what stands in the way. What has arrived by then stays, marked as a part.
pub async fn transfer(
    from: &Settings,
    to: &Settings,
    holder: &str,
    clock: Arc<dyn Clock>,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Transferred, TransferError> {
    if !matches!((&from.location, &to.location), (Location::Sqlite(_), Location::Postgres(_))) {
        return Err(TransferError::Direction);
    }
    let (here, there) = (source_of(from).await?, source_of(to).await?);
    migrations::migrate(&here, from.timeout, clock.now()).await?;
    migrations::migrate(&there, to.timeout, clock.now()).await?;
    let old = hold(&here, from.timeout, holder, clock.as_ref()).await?;
    let new = hold(&there, to.timeout, holder, clock.as_ref()).await;
    let moved = match &new {
        Ok(_) => run(&here, &there, (from.timeout, to.timeout), &mut progress).await,
        Err(error) => Err(error.clone()),
    };
    old.give_back().await;
    if let Ok(new) = new {
        new.give_back().await;
    }
    moved
}

/// Refuses a database into which something was moved of which not all has arrived.
pub(super) async fn refuse_a_part(source: &Source, timeout: Duration) -> Result<(), OpenError> {
    let mut session = session(source, Purpose::Read, timeout).await?;
    let mark = session.row("SELECT id FROM arrivals", Vec::new()).await?;
    let place = session.place().clone();
    if let Err(error) = session.into_connection().close(timeout).await {
        tracing::debug!(%error, "a connection did not close in order");
    }
    if mark.is_some() { Err(OpenError::HalfArrived { place: place.name() }) } else { Ok(()) }
}

async fn hold(source: &Source, timeout: Duration, holder: &str, clock: &dyn Clock) -> Result<Guard, TransferError> {
    match guard(source, timeout).await? {
        Guarded::Held { by } => Err(LockError::Held { by }.into()),
        Guarded::Free(guard) => Ok(guard.name(holder, timeout, clock.now()).await?),
    }
}

async fn run(
    here: &Source,
    there: &Source,
    timeouts: (Duration, Duration),
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<Transferred, TransferError> {
    let mut transfer = Transfer {
        from: session(here, Purpose::Read, timeouts.0).await?,
        to: session(there, Purpose::Write, timeouts.1).await?,
    };
    let tables = tables(&mut transfer.from).await?;
    transfer.begin(&tables).await?;
    for table in &tables {
        transfer.copy(table, progress).await?;
    }
    let mut counted = Vec::with_capacity(tables.len());
    for table in &tables {
        counted.push((table.name.clone(), transfer.compare(table, progress).await?));
    }
    progress(Progress::Following);
    let head = transfer.end(&tables).await?;
    Ok(Transferred { place: transfer.to.place().name(), tables: counted, head })
}

async fn session(source: &Source, purpose: Purpose, timeout: Duration) -> Result<Session, StoreError> {
    let place = source.place().clone();
    match tokio::time::timeout(timeout, source.connect(purpose)).await {
        Err(_) => Err(StoreError::TimedOut { place: place.name(), after: timeout }),
        Ok(Err(error)) => Err(place.explain(&error)),
        Ok(Ok(connection)) => Ok(Session::new(connection, place, timeout)),
    }
}

struct Transfer {
    from: Session,
    to: Session,
}

impl Transfer {
    /// Marks the new database as one that is being filled, and takes out what every new database holds; or finds that
    /// this was done, for the same.
    async fn begin(&mut self, tables: &[Table]) -> Result<(), TransferError> {
        const MARK: &str = "INSERT INTO arrivals (id, installation, epoch, sequence) VALUES (1, $1, $2, $3)";
        const MARKED: &str = "SELECT installation, epoch, sequence FROM arrivals WHERE id = 1";
        const FILLED: &str = "SELECT (SELECT count(*) FROM accounts) + (SELECT count(*) FROM history) \
            + (SELECT count(*) FROM apps) + (SELECT count(*) FROM roles) AS things";
        let (installation, head) = (self.from.installation().await?, self.from.head().await?);
        let place = self.to.place().name();
        if let Some(mark) = self.to.row(MARKED, Vec::new()).await? {
            let of_the_same = mark.array::<16>("installation")? == *installation.as_bytes()
                && (mark.unsigned("epoch")?, mark.unsigned("sequence")?) == (head.epoch, head.sequence);
            return if of_the_same { Ok(()) } else { Err(TransferError::OfAnother { place }) };
        }
        let filled = self.to.row(FILLED, Vec::new()).await?;
        if filled.map_or(Ok(0), |filled| filled.int("things"))? > 0 {
            return Err(TransferError::NotEmpty { place });
        }
        self.to.begin().await?;
        let id = installation.as_bytes().as_slice();
        self.to.execute(MARK, vec![id.into(), int(head.epoch), int(head.sequence)]).await?;
        for table in tables.iter().rev() {
            self.to.execute(AssertSqlSafe(format!("DELETE FROM {}", table.name)), Vec::new()).await?;
            // What holds of changes is not asked of what arrives: a history that was trimmed begins after an entry that
            // it has no more.
            self.to
                .execute(AssertSqlSafe(format!("ALTER TABLE {} DISABLE TRIGGER USER", table.name)), Vec::new())
                .await?;
        }
        self.to.script("COMMIT").await?;
        Ok(())
    }

    /// Copies the rows of a table that are not there yet.
    async fn copy(&mut self, table: &Table, progress: &mut impl FnMut(Progress<'_>)) -> Result<(), TransferError> {
        let last = self.to.row(AssertSqlSafe(table.last()), Vec::new()).await?;
        let mut after = last.map(|row| table.key(&row)).transpose()?;
        let mut rows = 0;
        loop {
            let mut lines = page(&mut self.from, table, after.as_deref()).await?;
            let Some(last) = lines.last_mut() else { return Ok(()) };
            after = Some(std::mem::take(&mut last.key));
            let count = lines.len();
            let values = lines.into_iter().flat_map(|line| line.values).collect();
            self.to.execute(AssertSqlSafe(table.insert(count)), values).await?;
            rows += count as u64;
            progress(Progress::Copied { table: &table.name, rows });
        }
    }

    /// How many rows a table has, each the same here and there.
    async fn compare(&mut self, table: &Table, progress: &mut impl FnMut(Progress<'_>)) -> Result<u64, TransferError> {
        let mut after: Option<Vec<Value>> = None;
        let mut rows = 0;
        loop {
            let here = page(&mut self.from, table, after.as_deref()).await?;
            let there = page(&mut self.to, table, after.as_deref()).await?;
            if here != there {
                let (place, from) = (self.to.place().name(), self.from.place().name());
                return Err(TransferError::Different { table: table.name.clone(), place, from });
            }
            let count = here.len() as u64;
            let Some(last) = here.into_iter().next_back() else { return Ok(rows) };
            after = Some(last.key);
            rows += count;
            progress(Progress::Compared { table: &table.name, rows });
        }
    }

    /// Sets the end of the chain, follows the chain there, and takes the mark away: from then on every rule holds there.
    async fn end(&mut self, tables: &[Table]) -> Result<Head, TransferError> {
        const HEAD: &str = "UPDATE head SET epoch = $1, sequence = $2, hash = $3 WHERE id = 1";
        let head = self.from.head().await?;
        let hash = head.hash.as_bytes().as_slice();
        self.to.execute(HEAD, vec![int(head.epoch), int(head.sequence), hash.into()]).await?;
        let arrived = self.to.audit().await.map_err(TransferError::History)?;
        if arrived != head {
            let (place, from) = (self.to.place().name(), self.from.place().name());
            return Err(TransferError::Different { table: "head".to_owned(), place, from });
        }
        self.to.begin().await?;
        for table in tables {
            self.to
                .execute(AssertSqlSafe(format!("ALTER TABLE {} ENABLE TRIGGER USER", table.name)), Vec::new())
                .await?;
        }
        self.to.execute("DELETE FROM arrivals", Vec::new()).await?;
        self.to.script("COMMIT").await?;
        Ok(head)
    }
}

async fn page(session: &mut Session, table: &Table, after: Option<&[Value]>) -> Result<Vec<Line>, StoreError> {
    let sql = table.page(after.map(<[Value]>::len), PAGE);
    let rows = session.rows(AssertSqlSafe(sql), after.map(<[Value]>::to_vec).unwrap_or_default()).await?;
    rows.iter().map(|row: &Row| table.line(row)).collect()
}
