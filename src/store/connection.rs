//! One connection to either database, and the few words in which the two differ.
//!
//! Everything above sends a text and three kinds of value. What differs, differs here and in `sqlite`
//! and `postgres`: how a transaction begins, how durable a commit is, and what an error means.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, PgConnection, SqlSafeStr, SqliteConnection};

use super::place::Place;
use super::value::{Row, Value, postgres_arguments, sqlite_arguments};

/// How much a commit has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of this process. What only counts failures may be this (decision: trips are not).
    Process,
    /// The loss of power.
    Power,
}

pub(crate) enum Connection {
    /// With what it is set to now, so that the pragma is sent only where it changes.
    Sqlite(Box<SqliteConnection>, Durability),
    Postgres(Box<PgConnection>),
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(..) => "Connection::Sqlite",
            Self::Postgres(_) => "Connection::Postgres",
        })
    }
}

impl Connection {
    pub(crate) async fn fetch(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection, _) => {
                let query = sqlx::query_with(sql, sqlite_arguments(values)?);
                Ok(query.fetch_all(&mut **connection).await?.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with(sql, postgres_arguments(values)?);
                Ok(query.fetch_all(&mut **connection).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// How many rows it touched.
    pub(crate) async fn execute(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection, _) => {
                let query = sqlx::query_with(sql, sqlite_arguments(values)?);
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with(sql, postgres_arguments(values)?);
                Ok(query.execute(&mut **connection).await?.rows_affected())
            }
        }
    }

    /// Several statements without values, in one go.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection, _) => sqlx::raw_sql(sql).execute(&mut **connection).await.map(|_| ()),
            Self::Postgres(connection) => sqlx::raw_sql(sql).execute(&mut **connection).await.map(|_| ()),
        }
    }

    /// Begins a transaction that will write. SQLite takes its one writing lock here; PostgreSQL at the
    /// head row, and must then see what was committed while it waited, so not a snapshot from before.
    pub(crate) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        let sql = match self {
            Self::Sqlite(..) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        self.script(sql).await
    }

    /// Sets what the next commit survives; outside of a transaction. PostgreSQL always keeps all: its
    /// own crash would lose what it had not flushed.
    pub(crate) async fn survive(&mut self, wanted: Durability) -> Result<(), sqlx::Error> {
        let Self::Sqlite(_, current) = self else { return Ok(()) };
        if *current == wanted {
            return Ok(());
        }
        self.script(match wanted {
            Durability::Process => "PRAGMA synchronous = NORMAL",
            Durability::Power => "PRAGMA synchronous = FULL",
        })
        .await?;
        if let Self::Sqlite(_, current) = self {
            *current = wanted;
        }
        Ok(())
    }

    pub(crate) fn ping(&mut self) -> BoxFuture<'_, Result<(), sqlx::Error>> {
        Box::pin(async move {
            match self {
                Self::Sqlite(connection, _) => connection.ping().await,
                Self::Postgres(connection) => connection.ping().await,
            }
        })
    }

    /// Closes it in order; whoever does not answer in time is left alone.
    pub(crate) async fn close(self, timeout: Duration) -> Result<(), sqlx::Error> {
        let closing = async {
            match self {
                Self::Sqlite(connection, _) => connection.close().await,
                Self::Postgres(connection) => connection.close().await,
            }
        };
        tokio::time::timeout(timeout, closing).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

/// Where connections come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Sqlite(super::sqlite::SqliteSource),
    Postgres(Box<super::postgres::PostgresSource>),
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

impl Source {
    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite(source) => source.connect(purpose).await,
            Self::Postgres(source) => source.connect(purpose).await,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        match self {
            Self::Sqlite(source) => &source.place,
            Self::Postgres(source) => &source.place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteSource;

    async fn setting(connection: &mut Connection, sql: &'static str, column: &str) -> i64 {
        connection.fetch(sql, Vec::new()).await.unwrap()[0].int(column).unwrap()
    }

    /// L2: a writer survives the loss of power from the start, and returns to it.
    #[tokio::test]
    async fn a_sqlite_writer_commits_as_durably_as_it_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let source = SqliteSource::prepare(&path, Duration::from_secs(2)).await.unwrap();
        let mut writer = source.connect(Purpose::Write).await.unwrap();
        for (wanted, synchronous) in [(Durability::Power, 2), (Durability::Process, 1), (Durability::Power, 2)] {
            writer.survive(wanted).await.unwrap();
            assert_eq!(setting(&mut writer, "PRAGMA synchronous", "synchronous").await, synchronous);
        }
        assert_eq!(setting(&mut writer, "PRAGMA foreign_keys", "foreign_keys").await, 1);
        assert_eq!(setting(&mut writer, "PRAGMA temp_store", "temp_store").await, 2);
        assert_eq!(setting(&mut writer, "PRAGMA busy_timeout", "timeout").await, 1_500);
        let mode = writer.fetch("PRAGMA journal_mode", Vec::new()).await.unwrap()[0].text("journal_mode").unwrap();
        assert_eq!(mode, "wal");
    }

    #[tokio::test]
    async fn a_sqlite_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let source = SqliteSource::prepare(&path, Duration::from_secs(2)).await.unwrap();
        let mut writer = source.connect(Purpose::Write).await.unwrap();
        writer.script("CREATE TABLE t (x INTEGER)").await.unwrap();
        let mut reader = source.connect(Purpose::Read).await.unwrap();
        assert_eq!(setting(&mut reader, "SELECT count(*) AS n FROM t", "n").await, 0);
        assert!(reader.script("INSERT INTO t VALUES (1)").await.is_err());
    }
}
