//! A copy of the embedded database while it is in use (C5), and putting one in its place.
//!
//! The copy is what the database was at one moment, whole and compact; it is made beside the database, under the same
//! permissions, and has no name any more when somebody reads it, so that nothing of it is left behind.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Purpose, Source};
use super::error::{OpenError, StoreError};
use super::node_lock::{Guard, Guarded, LockError, guard};
use super::session::Session;
use super::sqlite::SqliteSource;
use super::{Location, Settings, Store};
use crate::clock::{Clock, Timestamp};

/// How the copy is called while it is made.
const SNAPSHOT: &str = ".snapshot";
/// How long the copy of a database may take.
const PATIENCE: Duration = Duration::from_mins(30);

/// Why there is no copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("PostgreSQL has its own tools: `pg_dump` while the gateway runs, or its continuous archiving")]
    NotEmbedded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a copy was not put in the place of the database.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(
        "only the embedded database is restored from such a file: PostgreSQL has its own tools, such as `pg_restore`"
    )]
    NotEmbedded,
    #[error("`{file}` cannot be read: {why}")]
    File { file: String, why: io::Error },
    #[error("`{file}` cannot be put in place: {why}")]
    Place { file: String, why: io::Error },
    #[error("`{file}` is damaged, and nothing was changed: {why}")]
    Damaged { file: String, why: String },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The embedded database as it is now, in a file that has no name. One at a time; the others wait.
    ///
    /// # Errors
    /// When the database is PostgreSQL, or the disk has no room.
    pub async fn snapshot(&self) -> Result<File, SnapshotError> {
        let Source::Sqlite(source) = self.source() else { return Err(SnapshotError::NotEmbedded) };
        let _alone = self.0.snapshots.lock().await;
        let copy = beside(source.path(), SNAPSHOT);
        let place = source.place.name();
        let fault = |error: io::Error| match error.kind() {
            ErrorKind::StorageFull => StoreError::Full { place: place.clone() },
            _ => StoreError::Permission { place: copy.display().to_string(), why: error.to_string() },
        };
        // what an earlier process left that was killed
        remove(&copy).map_err(fault)?;
        // SQLite would make a file that everybody can read
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&copy).map_err(fault)?;
        let copied = copy_into(source, &copy, self.timeout()).await;
        let removed = remove(&copy).map_err(fault);
        copied?;
        removed?;
        Ok(file)
    }
}

async fn copy_into(source: &SqliteSource, copy: &Path, timeout: Duration) -> Result<(), StoreError> {
    let path = copy.to_str().ok_or_else(|| StoreError::Permission {
        place: copy.display().to_string(),
        why: "its name is not UTF-8".to_owned(),
    })?;
    let place = source.place.clone();
    let connection = match tokio::time::timeout(timeout, source.connect(Purpose::Read)).await {
        Err(_) => return Err(StoreError::TimedOut { place: place.name(), after: timeout }),
        Ok(Err(error)) => return Err(place.explain(&error)),
        Ok(Ok(connection)) => connection,
    };
    let mut session = Session::new(connection, place.clone(), PATIENCE);
    let copied = session.execute("VACUUM INTO $1", vec![path.into()]).await;
    if let Err(error) = session.into_connection().close(timeout).await {
        tracing::debug!(%error, "a connection did not close in order");
    }
    copied.map(|_| ())
}

/// A copy that is about to take the place of a database, which nobody else can use meanwhile.
pub struct Restoration {
    database: PathBuf,
    copy: PathBuf,
    guard: Guard,
}

impl Restoration {
    /// Takes the lock of the database that `settings` name, and puts a copy of `file` beside it.
    ///
    /// # Errors
    /// When the database is in use, or the file cannot be read.
    pub async fn begin(
        settings: &Settings,
        file: &Path,
        holder: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RestoreError> {
        let Location::Sqlite(path) = &settings.location else { return Err(RestoreError::NotEmbedded) };
        let source = SqliteSource::prepare(path, settings.timeout).await;
        // A database that is damaged is one more reason to restore one.
        let source = match source {
            Err(OpenError::NotOurs { .. } | OpenError::Store(StoreError::Damaged { .. })) => {
                SqliteSource::unseen(path, settings.timeout).await?
            }
            source => source?,
        };
        let database = source.path().to_owned();
        let guard = match guard(&Source::Sqlite(source), settings.timeout).await? {
            Guarded::Held { by } => return Err(LockError::Held { by }.into()),
            Guarded::Free(guard) => guard.name(holder, settings.timeout, clock.now()).await?,
        };
        let copy = beside(&database, ".restoring");
        let restoration = Self { database, copy, guard };
        restoration.take_in(file)?;
        Ok(restoration)
    }

    fn take_in(&self, file: &Path) -> Result<(), RestoreError> {
        let unreadable = |why| RestoreError::File { file: file.display().to_string(), why };
        let mut from = File::open(file).map_err(unreadable)?;
        if std::fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0) {
            let why =
                "the newest of it is in a log beside it: give one that `locum db backup` wrote, or that was closed";
            return Err(unreadable(io::Error::other(why)));
        }
        self.discard().map_err(|why| self.fault(why))?;
        let mut options = OpenOptions::new();
        let to = options.write(true).create_new(true).mode(0o600).open(&self.copy);
        let mut to = to.map_err(|why| self.fault(why))?;
        io::copy(&mut from, &mut to).map_err(unreadable)?;
        self.hand_to_owner(&to).map_err(|why| self.fault(why))?;
        to.sync_all().map_err(|why| self.fault(why))
    }

    /// Gives the copy to whoever has the database: root may restore what another user is to open.
    fn hand_to_owner(&self, copy: &File) -> io::Result<()> {
        let database = std::fs::metadata(&self.database)?;
        // Where there was none, it was made a moment ago.
        let of = if database.len() > 0 { database } else { std::fs::metadata(self.folder())? };
        let own = copy.metadata()?;
        if (own.uid(), own.gid()) == (of.uid(), of.gid()) {
            return Ok(());
        }
        std::os::unix::fs::fchown(copy, Some(of.uid()), Some(of.gid()))
    }

    fn folder(&self) -> &Path {
        self.database.parent().unwrap_or(Path::new("/"))
    }

    /// Where the copy is, to be opened and looked at before it is put in place.
    pub fn copy(&self) -> &Path {
        &self.copy
    }

    /// Whether every page holds, and every reference between rows.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub async fn check(&self, store: &Store, file: &Path) -> Result<(), RestoreError> {
        let file = || file.display().to_string();
        let mut reader = store.read().await?;
        let found = reader.rows("PRAGMA integrity_check(1)", Vec::new()).await?;
        let found = found.first().map_or(Ok(String::new()), |row| row.text("integrity_check"))?;
        if found != "ok" {
            return Err(RestoreError::Damaged { file: file(), why: found });
        }
        let found = reader.rows("PRAGMA foreign_key_check", Vec::new()).await?;
        if !found.is_empty() {
            return Err(RestoreError::Damaged {
                file: file(),
                why: "rows refer to others that are missing".to_owned(),
            });
        }
        Ok(())
    }

    /// Puts the closed copy in the place of the database, which is kept under the name that is answered. At every moment
    /// one of the two stands there.
    ///
    /// # Errors
    /// When the files cannot be moved, or the copy is still open.
    pub async fn put_in_place(self, now: Timestamp) -> Result<PathBuf, RestoreError> {
        let kept = beside(&self.database, &format!(".replaced-{}", now.as_millis()));
        let moved = self.exchange(&kept).map_err(|why| self.fault(why));
        if moved.is_err()
            && let Err(error) = self.discard()
        {
            tracing::warn!(%error, copy = %self.copy.display(), "a copy was left behind");
        }
        self.guard.give_back().await;
        moved.map(|()| kept)
    }

    /// Leaves the database as it is.
    ///
    /// # Errors
    /// When the copy cannot be removed.
    pub async fn give_up(self) -> Result<(), RestoreError> {
        let discarded = self.discard().map_err(|why| self.fault(why));
        self.guard.give_back().await;
        discarded
    }

    fn exchange(&self, kept: &Path) -> io::Result<()> {
        let log = beside(&self.copy, "-wal");
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(io::Error::other("the copy was not closed in order"));
        }
        // A copy and no second name: what happens to the database until it is replaced is not to happen to what is kept.
        keep(&self.database, kept)?;
        keep(&beside(&self.database, "-wal"), &beside(kept, "-wal"))?;
        File::open(self.folder())?.sync_all()?;
        // The log belongs to the database that goes, and would be read into the one that comes.
        remove(&beside(&self.database, "-wal"))?;
        remove(&beside(&self.database, "-shm"))?;
        std::fs::rename(&self.copy, &self.database)?;
        self.discard()?;
        File::open(self.folder())?.sync_all()
    }

    /// Removes the copy, and what SQLite has made beside it.
    fn discard(&self) -> io::Result<()> {
        ["", "-wal", "-shm", ".lock"].into_iter().try_for_each(|end| remove(&beside(&self.copy, end)))
    }

    fn fault(&self, why: io::Error) -> RestoreError {
        RestoreError::Place { file: self.copy.display().to_string(), why }
    }
}

impl std::fmt::Debug for Restoration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restoration").field("database", &self.database).finish_non_exhaustive()
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    absent_is_well(std::fs::remove_file(path))
}

/// Copies a file, if it is there, with its permissions and to the disk.
fn keep(file: &Path, kept: &Path) -> io::Result<()> {
    absent_is_well(std::fs::copy(file, kept).and_then(|_| File::open(kept)?.sync_all()))
}

/// Removes a copy that a process left behind that was killed. To be called by who has the lock: nobody else makes one.
pub(super) fn remove_left_behind(database: &Path) {
    if let Err(error) = remove(&beside(database, SNAPSHOT)) {
        tracing::warn!(%error, "a copy of the database that was left behind could not be removed");
    }
}

fn absent_is_well(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
