//! Opening SQLite: the embedded store, one file, one writer.
//!
//! The write-ahead log of every SQLite before 3.51.3 can corrupt a database when two connections
//! write and checkpoint at once; so the version is asserted, and the one connection that writes is
//! also the only one that checkpoints: readers open the file read-only.

use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Row as _};

use super::connection::{Connection, Durability, Purpose};
use super::error::{OpenError, StoreError};
use super::place::{FilePlace, Place};

/// `LOCM`: what a database of ours says in its header.
const APPLICATION_ID: i64 = 0x4c4f_434d;
const OLDEST: (u32, u32, u32) = (3, 51, 3);

#[derive(Debug, Clone)]
pub(crate) struct SqliteSource {
    pub(crate) place: Place,
    path: PathBuf,
    busy: Duration,
}

impl SqliteSource {
    /// Makes the file if there is none, and asserts what it and the library are.
    pub(crate) async fn prepare(path: &Path, timeout: Duration) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).map_err(|error| permission(path, &error))?;
        make_file(&path).await?;
        let file = FilePlace::of(&path).await.map_err(|error| permission(&path, &error))?;
        let place = Place::File(Arc::new(file));
        // shorter than the timeout of the query, so that SQLite itself says who is in the way
        let busy = timeout.mul_f32(0.75);
        let source = Self { place, path, busy };
        match tokio::time::timeout(timeout, source.assert_library_and_file()).await {
            Ok(asserted) => asserted.map(|()| source),
            Err(_) => Err(StoreError::TimedOut { place: source.place.name(), after: timeout }.into()),
        }
    }

    /// The same without a look at what the file is: for whoever is about to replace it.
    pub(crate) async fn unseen(path: &Path, timeout: Duration) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).map_err(|error| permission(path, &error))?;
        let file = FilePlace::of(&path).await.map_err(|error| permission(&path, &error))?;
        Ok(Self { place: Place::File(Arc::new(file)), path, busy: timeout.mul_f32(0.75) })
    }

    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<Connection, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .busy_timeout(self.busy)
            .foreign_keys(true)
            .pragma("temp_store", "MEMORY")
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON");
        let options = match purpose {
            Purpose::Read => options.read_only(true),
            Purpose::Write => options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .pragma("journal_size_limit", "67108864")
                // What is deleted is written over, so that no key that was destroyed is found in free pages (U7).
                .pragma("secure_delete", "ON"),
        };
        Ok(Connection::Sqlite(Box::new(options.connect().await?), Durability::Power))
    }

    /// The version of the library, and whose file it is: an empty one, or ours.
    async fn assert_library_and_file(&self) -> Result<(), OpenError> {
        const NOT_A_DATABASE: &str = "26";
        let explain = |error: sqlx::Error| match error.as_database_error() {
            Some(refusal) if refusal.code().as_deref() == Some(NOT_A_DATABASE) => {
                OpenError::NotOurs { place: self.place.name(), why: refusal.message().to_owned() }
            }
            _ => OpenError::Store(self.place.explain(&error)),
        };
        let options = SqliteConnectOptions::new().filename(&self.path).create_if_missing(false).busy_timeout(self.busy);
        let mut connection = options.connect().await.map_err(explain)?;
        let row = sqlx::query(
            "SELECT sqlite_version() AS version, (SELECT count(*) FROM sqlite_master) AS things, \
             (SELECT application_id FROM pragma_application_id()) AS application",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(explain)?;
        let version: String = row.try_get("version").map_err(explain)?;
        let things: i64 = row.try_get("things").map_err(explain)?;
        let application: i64 = row.try_get("application").map_err(explain)?;
        if parse_version(&version).is_none_or(|found| found < OLDEST) {
            return Err(OpenError::SqliteTooOld { found: version });
        }
        if things > 0 && application != APPLICATION_ID {
            return Err(OpenError::NotOurs {
                place: self.place.name(),
                why: "it is an SQLite database of another program".to_owned(),
            });
        }
        sqlx::Connection::close(connection).await.map_err(explain)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The mark of our databases; part of the first migration's transaction.
    pub(crate) const fn mark() -> &'static str {
        "PRAGMA application_id = 0x4c4f434d"
    }
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split('.').map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Makes an empty file that only its owner can read, before SQLite makes one that everybody can; and
/// takes other people's access to an older one away. The log beside it gets the mode of the file.
async fn make_file(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !tokio::fs::try_exists(folder).await.map_err(|error| permission(folder, &error))? {
        return Err(OpenError::NoFolder { folder: folder.display().to_string() });
    }
    let options = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
    match tokio::fs::OpenOptions::from(options).open(path).await {
        Ok(file) => {
            file.sync_all().await.map_err(|error| permission(path, &error))?;
            // the name has to last too, not only the file
            let folder_file = tokio::fs::File::open(folder).await.map_err(|error| permission(folder, &error))?;
            folder_file.sync_all().await.map_err(|error| permission(folder, &error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => tighten(path).await,
        Err(error) => Err(permission(path, &error)),
    }
}

async fn tighten(path: &Path) -> Result<(), OpenError> {
    let metadata = tokio::fs::metadata(path).await.map_err(|error| permission(path, &error))?;
    if metadata.is_dir() {
        return Err(OpenError::Folder { place: path.display().to_string() });
    }
    let others = metadata.mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    tracing::warn!(place = %path.display(), "others could read the database: its mode is 0600 now");
    let owners_only = std::fs::Permissions::from_mode(0o600);
    tokio::fs::set_permissions(path, owners_only).await.map_err(|error| permission(path, &error))
}

fn permission(path: &Path, error: &std::io::Error) -> OpenError {
    let place = path.display().to_string();
    OpenError::Store(match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full { place },
        std::io::ErrorKind::NotFound => StoreError::Gone { place },
        _ => StoreError::Permission { place, why: error.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse_version("3.51.10").unwrap() > OLDEST);
        assert!(parse_version("3.9.0").unwrap() < OLDEST);
        assert_eq!(parse_version("three"), None);
    }
}
