//! Where a database is, as errors name it, and what an error of a driver means there.
//!
//! Drivers speak in codes; whoever runs Locum reads words that say what would be right. The place is
//! a path or `host:port/database`, never the URL with its password.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sqlx::error::ErrorKind;

use super::error::StoreError;

/// Where a database is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(Arc<FilePlace>),
    /// `host:port/database`.
    Server(Arc<str>),
}

/// A file, and which one it was when it was opened.
#[derive(Debug)]
pub(crate) struct FilePlace {
    pub(crate) path: PathBuf,
    identity: Identity,
}

/// Which file it is: device, inode, and when it was made, where the file system knows. The inode alone
/// would not do: its number is given to the next file as soon as nobody has the old one open.
pub(crate) type Identity = (u64, u64, Option<SystemTime>);

impl FilePlace {
    /// Remembers which file stands at `path` now.
    pub(crate) async fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path).await? })
    }
}

/// Which file stands at `path` now, so that one put in another's place is known.
pub(crate) async fn identity(path: &Path) -> std::io::Result<Identity> {
    let metadata = tokio::fs::metadata(path).await?;
    Ok((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

impl Place {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(file) => file.path.display().to_string(),
            Self::Server(name) => name.to_string(),
        }
    }

    /// Refuses when the file that was opened is not there any more: SQLite would go on writing into a
    /// file that nobody can find again.
    pub(crate) async fn still_there(&self) -> Result<(), StoreError> {
        let Self::File(file) = self else { return Ok(()) };
        match identity(&file.path).await {
            Ok(found) if found == file.identity => Ok(()),
            _ => Err(StoreError::Gone { place: self.name() }),
        }
    }

    /// What an error of a driver means.
    pub(crate) fn explain(&self, error: &sqlx::Error) -> StoreError {
        let place = self.name();
        match error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let why = database.message().to_owned();
                let rule = matches!(
                    database.kind(),
                    ErrorKind::UniqueViolation
                        | ErrorKind::ForeignKeyViolation
                        | ErrorKind::NotNullViolation
                        | ErrorKind::CheckViolation
                );
                match self {
                    _ if rule => StoreError::Rule { why },
                    Self::File(_) => sqlite_meaning(&code, place, why),
                    Self::Server(_) => postgres_meaning(&code, place, why),
                }
            }
            sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => StoreError::Full { place },
            sqlx::Error::Tls(why) => StoreError::Untrusted { place, why: why.to_string() },
            sqlx::Error::Io(io)
                if io.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) =>
            {
                StoreError::Untrusted { place, why: io.to_string() }
            }
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut if matches!(self, Self::Server(_)) => {
                StoreError::Unreachable { place, why: error.to_string() }
            }
            _ => StoreError::Failed { place, why: error.to_string() },
        }
    }
}

/// SQLite's result codes (<https://www.sqlite.org/rescode.html>): the primary code is the low byte.
fn sqlite_meaning(code: &str, place: String, why: String) -> StoreError {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const READ_ONLY: i32 = 8;
    const IO: i32 = 10;
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const CANNOT_OPEN: i32 = 14;
    const CONSTRAINT: i32 = 19;
    const NOT_A_DATABASE: i32 = 26;
    /// The shared memory beside the log could not grow.
    const IO_SHM_SIZE: i32 = 4_874;
    /// The file was moved or deleted under the connection.
    const READ_ONLY_MOVED: i32 = 1_032;
    let code: i32 = code.parse().unwrap_or(0);
    match (code, code & 0xff) {
        (IO_SHM_SIZE, _) | (_, FULL) => StoreError::Full { place },
        (READ_ONLY_MOVED, _) => StoreError::Gone { place },
        (_, BUSY | LOCKED) => StoreError::Locked { place },
        (_, READ_ONLY | CANNOT_OPEN) => StoreError::Permission { place, why },
        (_, CORRUPT | NOT_A_DATABASE) => StoreError::Damaged { place, why },
        (_, CONSTRAINT) => StoreError::Rule { why },
        (_, IO) => StoreError::Failed { place, why: format!("{why} (code {code}): see the disk and the system's log") },
        _ => StoreError::Failed { place, why },
    }
}

/// PostgreSQL's codes (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn postgres_meaning(code: &str, place: String, why: String) -> StoreError {
    match code {
        "53100" => StoreError::Full { place },
        "55P03" | "57014" | "25P03" => StoreError::Locked { place },
        "42501" | "25006" => StoreError::Permission { place, why },
        "XX001" | "XX002" => StoreError::Damaged { place, why },
        // raised by the schema itself
        "P0001" => StoreError::Rule { why },
        _ if code.starts_with("08") || code.starts_with("57P") || code == "53300" => {
            StoreError::Unreachable { place, why }
        }
        _ => StoreError::Failed { place, why },
    }
}
