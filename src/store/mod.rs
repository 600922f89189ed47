//! What lasts: the directory, the tokens, the counts and the history, in SQLite or PostgreSQL.
//!
//! ```text
//!   Store ── read() ──────> Reader ─┐
//!     │                             ├─ Session: every query that reads
//!     ├─── change(rule) ──> Writer ─┘         and the few that write
//!     ├─── record(actions)      │
//!     └─── bookkeeping()        └─ committer: one task, one transaction a group
//! ```
//!
//! One text of each query serves both databases. A change cannot be committed without its actions
//! (H1): the only way to a [`Writer`] is [`Store::change`], whose rule answers with both or with
//! neither. There is no way to write past the one task that commits.

mod append;
mod bookkeeping;
mod committer;
mod connection;
mod error;
mod job;
mod migrations;
mod node_lock;
mod place;
mod postgres;
mod reader;
mod session;
mod snapshot;
mod sqlite;
mod transfer;
mod value;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tokio::sync::{mpsc, oneshot};

pub use bookkeeping::Bookkeeping;
pub use error::{ChangeError, Conflict, OpenError, StoreError};
pub use job::{Committed, Outcome};
pub use node_lock::{LockError, NodeLock};
pub use reader::Reader;
pub use session::{
    AccountFilter, AdministratorFilter, AppRecord, AuditError, Base, Claim, Expiring, Head, HistoryFilter, JobRecord,
    KeptKey, KeptPat, KindFilter, LookUp, MasterUse, PepperUse, Principal, RunProgress, RunRecord, SealedLegacyName,
    SealedPersonal, Session,
};
pub use snapshot::{Restoration, RestoreError, SnapshotError};
pub use transfer::{Progress, TransferError, Transferred, transfer};
pub use writer::{Applied, ApplyContext, Writer};

use crate::clock::{Clock, Timestamp};
use crate::history::Action;
use committer::{Committer, Written};
use connection::Source;
use job::{Change, Message, Record};
use reader::Readers;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    pub location: Location,
    /// How many connections read at once.
    pub readers: u32,
    /// How long any one step may take before it is an error.
    pub timeout: Duration,
    /// How many operations may wait to be written.
    pub queue: usize,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub enum Location {
    Sqlite(PathBuf),
    /// A URL, with the password in it.
    Postgres(SecretString),
}

impl Location {
    /// Whether somebody on the way could read what is sent to the database, or answer in its place.
    pub fn is_unguarded(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(url) => postgres::server_url::is_unguarded(url),
        }
    }
}

/// An open store. Cloning it is cheap; all clones are one store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    source: Source,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    readers: Arc<Readers>,
    queue: mpsc::Sender<Message>,
    written: Arc<Written>,
    /// Held while a copy is made: there is one place for it.
    snapshots: tokio::sync::Mutex<()>,
}

/// How much was written since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    pub commits: u64,
    /// Those of them that were asked to survive the loss of power; the others only count failures.
    pub durable_commits: u64,
    /// Changes, records and bookings: many of them can be in one commit.
    pub operations: u64,
}

/// Where the connections of a database come from, once it was found to be one that can be used.
async fn source_of(settings: &Settings) -> Result<Source, OpenError> {
    let timeout = settings.timeout;
    Ok(match &settings.location {
        Location::Sqlite(path) => Source::Sqlite(sqlite::SqliteSource::prepare(path, timeout).await?),
        Location::Postgres(url) => Source::Postgres(Box::new(postgres::PostgresSource::prepare(url, timeout).await?)),
    })
}

impl Store {
    /// Opens the database, makes or migrates its schema, and starts the task that writes. Its
    /// connections belong to the runtime that this is called in.
    ///
    /// # Errors
    /// Names what is wrong with the database, and what would be right.
    pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let timeout = settings.timeout;
        let source = source_of(settings).await?;
        migrations::migrate(&source, timeout, clock.now()).await?;
        transfer::refuse_a_part(&source, timeout).await?;
        let readers = Readers::new(source.clone(), settings.readers, timeout);
        let written = Arc::<Written>::default();
        let (queue, messages) = mpsc::channel(settings.queue.max(1));
        let committer = Committer::new(source.clone(), timeout, Arc::clone(&clock), Arc::clone(&written));
        tokio::spawn(committer.run(messages));
        Ok(Self(Arc::new(Parts {
            source,
            timeout,
            clock,
            readers,
            queue,
            written,
            snapshots: tokio::sync::Mutex::default(),
        })))
    }

    /// A connection that reads.
    ///
    /// # Errors
    /// When none is free in time, or the database cannot be reached.
    pub async fn read(&self) -> Result<Reader, StoreError> {
        self.0.readers.take().await
    }

    /// Runs `operation` in a transaction and answers when what it wrote, with its actions, would
    /// survive the loss of power. A caller that goes away meanwhile changes nothing of that.
    ///
    /// # Errors
    /// [`ChangeError::Rule`] is the operation's own; [`ChangeError::Store`] says why it was not kept.
    pub async fn change<F, T, E>(&self, operation: F) -> Result<Committed<T>, ChangeError<E>>
    where
        F: for<'w> FnOnce(&'w mut Writer) -> BoxFuture<'w, Result<Outcome<T>, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answer) = Change::new(operation);
        self.enqueue(Message::Job(Box::new(job)))?;
        answer.await.unwrap_or(Err(ChangeError::Store(StoreError::Closed)))
    }

    /// Writes actions that no change belongs to (H1).
    ///
    /// # Errors
    /// [`StoreError::Actor`] when an actor cannot do such a thing (H4).
    pub async fn record(&self, actions: Vec<Action>) -> Result<(), StoreError> {
        if actions.is_empty() {
            return Ok(());
        }
        let (asker, answer) = oneshot::channel();
        self.enqueue(Message::Job(Box::new(Record { actions, asker })))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Failure counts and last uses.
    pub fn bookkeeping(&self) -> Bookkeeping {
        Bookkeeping::new(self.clone())
    }

    pub fn statistics(&self) -> Statistics {
        let written = &self.0.written;
        Statistics {
            commits: written.commits.load(Ordering::Relaxed),
            durable_commits: written.durable.load(Ordering::Relaxed),
            operations: written.jobs.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits, closes every connection, and answers when another process can have the
    /// database. Every clone of this store refuses from then on.
    pub async fn close(&self) {
        self.0.readers.close().await;
        let (closed, closing) = oneshot::channel();
        if self.0.queue.send(Message::Close(closed)).await.is_ok() {
            // an error means that it was closed already
            let _closed = closing.await;
        }
    }

    fn enqueue(&self, message: Message) -> Result<(), StoreError> {
        self.0.queue.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded { waiting: self.0.queue.max_capacity() },
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    fn source(&self) -> &Source {
        &self.0.source
    }

    fn timeout(&self) -> Duration {
        self.0.timeout
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}
