//! The schema and its versions.
//!
//! A database says which version it has. An older one is brought forward in one transaction, and only
//! while nobody holds the node's lock; a newer one is refused, because what this program does not know
//! it could break.

use std::time::Duration;

use tokio::time::Instant;

use super::append;
use super::connection::{Connection, Purpose, Source};
use super::error::{OpenError, StoreError};
use super::node_lock;
use super::session::Session;
use super::sqlite::SqliteSource;
use super::value::Value;
use crate::clock::Timestamp;
use crate::directory::reason::SEEDED;
use crate::history::marks::marks;
use crate::history::{ChainHash, canonical};

/// One version of the schema, in the words of either database.
struct Migration {
    version: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($version:literal, $file:literal) => {
        Migration {
            version: $version,
            sqlite: include_str!(concat!("migrations/sqlite/", $file)),
            postgres: include_str!(concat!("migrations/postgres/", $file)),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_first.sql"),
    migration!(2, "0002_networks.sql"),
    migration!(3, "0003_marks.sql"),
    migration!(4, "0004_rotation.sql"),
    migration!(5, "0005_installation.sql"),
    migration!(6, "0006_callers.sql"),
    migration!(7, "0007_personal.sql"),
    migration!(8, "0008_history_base.sql"),
    migration!(9, "0009_arrivals.sql"),
    migration!(10, "0010_legacy_names.sql"),
    migration!(11, "0011_jobs.sql"),
    migration!(12, "0012_warnings.sql"),
    migration!(13, "0013_last_use.sql"),
];

const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Brings a database to the version that this program knows.
pub(crate) async fn migrate(source: &Source, timeout: Duration, now: Timestamp) -> Result<(), OpenError> {
    let mut session = connect(source, timeout).await?;
    let found = version(&mut session).await?;
    if found < KNOWN {
        let waited = Instant::now();
        let guard = loop {
            match node_lock::guard(source, timeout).await? {
                node_lock::Guarded::Free(guard) => break guard,
                node_lock::Guarded::Held { .. } if waited.elapsed() < timeout => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if version(&mut session).await? == KNOWN {
                        return close(session, timeout).await;
                    }
                }
                node_lock::Guarded::Held { by } => {
                    return Err(OpenError::InUse { place: source.place().name(), by, found, known: KNOWN });
                }
            }
        };
        session.begin().await?;
        // whoever held the lock before us may have done it
        let found = version(&mut session).await?;
        for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
            bring_to(&mut session, source, migration, now).await?;
        }
        session.script("COMMIT").await?;
        guard.give_back().await;
    }
    close(session, timeout).await
}

async fn connect(source: &Source, timeout: Duration) -> Result<Session, OpenError> {
    let place = source.place().clone();
    let connection: Connection = match tokio::time::timeout(timeout, source.connect(Purpose::Write)).await {
        Err(_) => return Err(StoreError::TimedOut { place: place.name(), after: timeout }.into()),
        Ok(Err(error)) => return Err(place.explain(&error).into()),
        Ok(Ok(connection)) => connection,
    };
    Ok(Session::new(connection, place, timeout))
}

async fn close(session: Session, timeout: Duration) -> Result<(), OpenError> {
    let place = session.place().clone();
    session.into_connection().close(timeout).await.map_err(|error| place.explain(&error).into())
}

/// The version of the schema; 0 when there is none.
async fn version(session: &mut Session) -> Result<i64, OpenError> {
    const EXISTS_SQLITE: &str = "SELECT count(*) AS tables FROM sqlite_master WHERE name = 'schema_version'";
    const EXISTS_POSTGRES: &str = "SELECT count(*) AS tables FROM pg_class WHERE oid = to_regclass('schema_version')";
    const SQL: &str = "SELECT version, program FROM schema_version ORDER BY version DESC LIMIT 1";
    let exists = if session.is_sqlite() { EXISTS_SQLITE } else { EXISTS_POSTGRES };
    let tables = session.row(exists, Vec::new()).await?.map_or(Ok(0), |row| row.int("tables"))?;
    if tables == 0 {
        return Ok(0);
    }
    let Some(row) = session.row(SQL, Vec::new()).await? else { return Ok(0) };
    let found = row.int("version")?;
    if found > KNOWN {
        return Err(OpenError::Newer {
            place: session.place().name(),
            found,
            made_by: row.text("program")?,
            known: KNOWN,
            program: PROGRAM.to_owned(),
        });
    }
    Ok(found)
}

async fn bring_to(
    session: &mut Session,
    source: &Source,
    migration: &Migration,
    now: Timestamp,
) -> Result<(), StoreError> {
    const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_version \
        (version BIGINT NOT NULL PRIMARY KEY, program TEXT NOT NULL, migrated_at BIGINT NOT NULL)";
    const DONE: &str = "INSERT INTO schema_version (version, program, migrated_at) VALUES ($1, $2, $3)";
    session.script(VERSIONS).await?;
    match source {
        Source::Sqlite(_) => {
            session.script(SqliteSource::mark()).await?;
            session.script(migration.sqlite).await?;
        }
        Source::Postgres(_) => session.script(migration.postgres).await?,
    }
    match migration.version {
        1 => seed(session).await?,
        3 => mark_entries(session).await?,
        _ => {}
    }
    let done: Vec<Value> = vec![migration.version.into(), PROGRAM.into(), now.as_millis().into()];
    session.execute(DONE, done).await.map(|_| ())
}

/// Finds what the entries of an older history are found by. One that cannot be read was changed by
/// somebody: that is the verification's to say, and stops no start.
async fn mark_entries(session: &mut Session) -> Result<(), StoreError> {
    const PAGE: u32 = 1_000;
    let mut from = 1;
    loop {
        let links = session.links(from, PAGE).await?;
        let Some(last) = links.last() else { return Ok(()) };
        from = last.sequence + 1;
        let entries =
            links.iter().filter_map(|link| canonical::decode(&link.canonical).ok().map(|entry| (link, entry)));
        let marked =
            entries.flat_map(|(link, entry)| marks(&entry.action).into_iter().map(|mark| (mark, link.sequence)));
        append::mark(session, marked.collect()).await?;
    }
}

/// What a new database holds: the head before the first entry, and the code table (T6).
async fn seed(session: &mut Session) -> Result<(), StoreError> {
    const HEAD: &str = "INSERT INTO head (id, epoch, sequence, hash) VALUES (1, 0, 0, $1)";
    const REASON: &str = "INSERT INTO reasons (code, meaning) VALUES ($1, $2)";
    session.execute(HEAD, vec![ChainHash::GENESIS.as_bytes().as_slice().into()]).await?;
    for (code, meaning) in SEEDED {
        session.execute(REASON, vec![code.into(), meaning.into()]).await?;
    }
    Ok(())
}
