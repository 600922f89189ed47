//! One node at a time: the lock that keeps a second process away from a database.
//!
//! Both databases lend a lock that the system takes back when its holder dies, however it dies: SQLite
//! the operating system's lock on a file beside the database, PostgreSQL an advisory lock of a session.
//! Who holds it is written beside the lock, so that a refusal can name the holder. A node that loses
//! its lock has to stop serving: another one may have it.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Store;
use super::connection::Source;
use super::error::StoreError;
use super::place::{Identity, identity};
use super::postgres::PostgresSource;
use crate::clock::Timestamp;

/// How often a lock is looked after.
const LOOK_AFTER: Duration = Duration::from_millis(500);
/// How long a sign of life may take; with the interval it stays under the bound of 2 s.
const SIGN_OF_LIFE: Duration = Duration::from_millis(1_400);

/// Why the lock could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    #[error("`{by}` is using this database: stop it first")]
    Held { by: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The right to be the one node of a database; gone when dropped.
#[derive(Debug)]
pub struct NodeLock {
    lost: watch::Receiver<bool>,
    keeper: JoinHandle<()>,
    release: watch::Sender<bool>,
}

impl NodeLock {
    /// Takes the lock for `holder`, words that tell an operator who that is, such as
    /// `locum serve, process 4711 on gate-1`.
    ///
    /// # Errors
    /// [`LockError::Held`] names who has it.
    pub async fn take(store: &Store, holder: &str) -> Result<Self, LockError> {
        let (source, timeout) = (store.source(), store.timeout());
        let guard = match guard(source, timeout).await? {
            Guarded::Held { by } => return Err(LockError::Held { by }),
            Guarded::Free(guard) => guard,
        };
        let guard = guard.name(holder, timeout, store.now()).await?;
        if let Guard::File { database, .. } = &guard {
            super::snapshot::remove_left_behind(database);
        }
        let (lost_sender, lost) = watch::channel(false);
        let (release, released) = watch::channel(false);
        let keeper = tokio::spawn(keep(guard, lost_sender, released));
        Ok(Self { lost, keeper, release })
    }

    /// Waits until the lock is lost; for ever while it is not.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // an error means that the keeper is gone, and with it the lock
        if let Err(closed) = lost.wait_for(|lost| *lost).await {
            tracing::debug!(%closed, "nobody keeps the lock any more");
        }
    }

    /// Gives the lock back, and waits until another can have it.
    pub async fn release(mut self) {
        self.release.send_replace(true);
        let ending = tokio::time::timeout(SIGN_OF_LIFE, &mut self.keeper).await;
        if !matches!(ending, Ok(Ok(()))) {
            tracing::warn!("the lock was not given back in order: the system takes it back with the connection");
        }
    }
}

impl Drop for NodeLock {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// What somebody who tried to have the lock has.
pub(crate) enum Guarded {
    Free(Guard),
    Held { by: String },
}

/// The lock itself: a locked file, or a session that holds it.
pub(crate) enum Guard {
    File { file: File, path: PathBuf, database: PathBuf },
    Session { session: Box<PgConnection>, place: super::place::Place },
}

/// Tries to have the lock.
pub(crate) async fn guard(source: &Source, timeout: Duration) -> Result<Guarded, StoreError> {
    match source {
        Source::Sqlite(source) => {
            let database = source.path().to_owned();
            let locking = tokio::task::spawn_blocking(move || lock_file(&database)).await;
            let place = source.place.name();
            match locking {
                Ok(Ok(guarded)) => Ok(guarded),
                Ok(Err(error)) => Err(StoreError::Permission { place, why: format!("its lock file: {error}") }),
                Err(panicked) => Err(StoreError::Failed { place, why: panicked.to_string() }),
            }
        }
        Source::Postgres(source) => match tokio::time::timeout(timeout, lock_session(source)).await {
            Ok(Ok(guarded)) => Ok(guarded),
            Ok(Err(error)) => Err(source.place.explain(&error)),
            Err(_) => Err(StoreError::TimedOut { place: source.place.name(), after: timeout }),
        },
    }
}

fn lock_file(database: &Path) -> std::io::Result<Guarded> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Guarded::Free(Guard::File { file, path, database: database.to_owned() })),
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            file.read_to_string(&mut by)?;
            Ok(Guarded::Held { by: holder_or_unknown(by.trim()) })
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locums in different schemas of one database are different installations, so the schema is part of
/// the lock's key.
const POSTGRES_LOCK: &str = "SELECT \
    pg_try_advisory_lock(hashtextextended('locum node lock of ' || current_schema(), 0)) AS had, \
     to_regclass('node_holder') IS NOT NULL AS named";

async fn lock_session(source: &PostgresSource) -> Result<Guarded, sqlx::Error> {
    let mut session = source.session().await?;
    let row = sqlx::query(POSTGRES_LOCK).fetch_one(&mut session).await?;
    if row.try_get::<bool, _>("had")? {
        return Ok(Guarded::Free(Guard::Session { session: Box::new(session), place: source.place.clone() }));
    }
    let mut by = String::new();
    if row.try_get::<bool, _>("named")? {
        let asking = sqlx::query("SELECT holder FROM node_holder WHERE id = 1");
        let holder = asking.fetch_optional(&mut session).await?;
        by = holder.map_or(Ok(String::new()), |row| row.try_get("holder"))?;
    }
    session.close().await?;
    Ok(Guarded::Held { by: holder_or_unknown(&by) })
}

fn holder_or_unknown(by: &str) -> String {
    if by.is_empty() { "another program that is just starting".to_owned() } else { by.to_owned() }
}

impl Guard {
    /// Writes down who holds it.
    pub(crate) async fn name(self, holder: &str, timeout: Duration, now: Timestamp) -> Result<Self, StoreError> {
        const SQL: &str = "INSERT INTO node_holder (id, holder, since) VALUES (1, $1, $2) \
            ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, since = excluded.since";
        match self {
            Self::File { mut file, path, database } => {
                let refuse = |error: &std::io::Error| match error.kind() {
                    std::io::ErrorKind::StorageFull => StoreError::Full { place: database.display().to_string() },
                    _ => StoreError::Permission { place: path.display().to_string(), why: error.to_string() },
                };
                let write = |file: &mut File| {
                    file.set_len(0)?;
                    file.rewind()?;
                    writeln!(file, "{holder}")
                };
                write(&mut file).map_err(|error| refuse(&error))?;
                Ok(Self::File { file, path, database })
            }
            Self::Session { mut session, place } => {
                let writing = sqlx::query(SQL).bind(holder).bind(now.as_millis()).execute(&mut *session);
                match tokio::time::timeout(timeout, writing).await {
                    Ok(Ok(_)) => Ok(Self::Session { session, place }),
                    Ok(Err(error)) => Err(place.explain(&error)),
                    Err(_) => Err(StoreError::TimedOut { place: place.name(), after: timeout }),
                }
            }
        }
    }

    /// Whether the lock is still ours, and means what it meant.
    async fn holds(&mut self, identities: Option<(Identity, Identity)>) -> bool {
        match self {
            Self::File { path, database, .. } => {
                let now = (identity(path).await.ok(), identity(database).await.ok());
                identities.is_some_and(|(lock, data)| now == (Some(lock), Some(data)))
            }
            Self::Session { session, .. } => matches!(
                tokio::time::timeout(SIGN_OF_LIFE, sqlx::query("SELECT 1").execute(&mut **session)).await,
                Ok(Ok(_))
            ),
        }
    }

    async fn identities(&self) -> Option<(Identity, Identity)> {
        match self {
            Self::File { path, database, .. } => Some((identity(path).await.ok()?, identity(database).await.ok()?)),
            Self::Session { .. } => None,
        }
    }

    pub(crate) async fn give_back(self) {
        match self {
            // closing the file gives the lock back
            Self::File { file, .. } => drop(file),
            Self::Session { mut session, .. } => {
                // the end of the session would do it too, but only some time after we closed our side
                let unlocking = sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut *session);
                if !matches!(tokio::time::timeout(SIGN_OF_LIFE, unlocking).await, Ok(Ok(_))) {
                    tracing::debug!("the lock could not be given back in words");
                }
                if tokio::time::timeout(SIGN_OF_LIFE, session.close()).await.is_err() {
                    tracing::debug!("the session of the lock did not close in time");
                }
            }
        }
    }
}

/// Looks after the lock until it is lost or given back.
async fn keep(mut guard: Guard, lost: watch::Sender<bool>, mut released: watch::Receiver<bool>) {
    let identities = guard.identities().await;
    let mut ticks = tokio::time::interval(LOOK_AFTER);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = released.changed() => return guard.give_back().await,
            _ = ticks.tick() => {}
        }
        if !guard.holds(identities).await {
            tracing::error!("the lock on the database is lost");
            lost.send_replace(true);
            return;
        }
    }
}
