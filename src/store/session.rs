//! A connection in use: every query that reads, with its timeout and its errors in words.
//!
//! A [`Reader`](super::Reader) is one, and so is a [`Writer`](super::Writer): a rule reads inside its
//! transaction with the same words. What has to be one consistent picture is one query, so that a
//! reader needs no transaction.

#![expect(clippy::missing_errors_doc, reason = "every query fails in the ways of `StoreError`, which tells them")]

mod accounts;
mod administrators;
mod api_keys;
mod audit;
mod credentials;
mod history;
mod holdings;
mod jobs;
mod legacy_names;
mod records;
mod sealed;

use std::time::Duration;

use sqlx::SqlSafeStr;

pub use accounts::{AccountFilter, KindFilter};
pub use administrators::AdministratorFilter;
pub use api_keys::KeptKey;
pub use audit::AuditError;
pub use credentials::{Expiring, KeptPat, LookUp, PepperUse};
pub use history::{Base, HistoryFilter};
pub use holdings::Principal;
pub(crate) use jobs::run;
pub use jobs::{Claim, JobRecord, RunProgress, RunRecord};
pub use legacy_names::SealedLegacyName;
pub use records::{AppRecord, Head};
pub use sealed::{MasterUse, SealedPersonal};

use super::connection::Connection;
use super::error::StoreError;
use super::place::Place;
use super::value::{Row, Value};

pub struct Session {
    connection: Connection,
    place: Place,
    timeout: Duration,
    /// Between two statements and not broken: only then can the connection be used again.
    sound: bool,
    /// The first statement that the database refused. In a transaction nothing after it counts.
    failure: Option<StoreError>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("place", &self.place).field("sound", &self.sound).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(connection: Connection, place: Place, timeout: Duration) -> Self {
        Self { connection, place, timeout, sound: true, failure: None }
    }

    pub(crate) const fn is_sound(&self) -> bool {
        self.sound
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) const fn is_sqlite(&self) -> bool {
        matches!(self.connection, Connection::Sqlite(..))
    }

    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Takes what a statement failed with, if one did since the last call.
    pub(crate) fn take_failure(&mut self) -> Option<StoreError> {
        self.failure.take()
    }

    pub(crate) async fn rows(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.sound = false;
        let answer = tokio::time::timeout(self.timeout, self.connection.fetch(sql, values)).await;
        self.settle(answer)
    }

    pub(crate) async fn row(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    pub(crate) async fn execute(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<u64, StoreError> {
        self.sound = false;
        let answer = tokio::time::timeout(self.timeout, self.connection.execute(sql, values)).await;
        self.settle(answer)
    }

    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.sound = false;
        let answer = tokio::time::timeout(self.timeout, self.connection.script(sql)).await;
        self.settle(answer)
    }

    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        self.sound = false;
        let answer = tokio::time::timeout(self.timeout, self.connection.begin()).await;
        self.settle(answer)
    }

    pub(crate) async fn survive(&mut self, wanted: super::connection::Durability) -> Result<(), StoreError> {
        self.sound = false;
        let answer = tokio::time::timeout(self.timeout, self.connection.survive(wanted)).await;
        self.settle(answer)
    }

    pub(crate) async fn ping(&mut self) -> Result<(), StoreError> {
        self.sound = false;
        let answer = tokio::time::timeout(self.timeout, self.connection.ping()).await;
        self.settle(answer)
    }

    /// An error *of the database* leaves a usable connection behind; one of the wire, or a timeout,
    /// leaves one of which nobody knows what comes next.
    fn settle<T>(
        &mut self,
        answer: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, StoreError> {
        let error = match answer {
            Ok(Ok(value)) => {
                self.sound = true;
                return Ok(value);
            }
            Ok(Err(error)) => {
                let explained = self.place.explain(&error);
                self.sound = matches!(error, sqlx::Error::Database(_) | sqlx::Error::Encode(_))
                    && !matches!(explained, StoreError::Unreachable { .. });
                explained
            }
            Err(_) => StoreError::TimedOut { place: self.place.name(), after: self.timeout },
        };
        self.failure.get_or_insert_with(|| error.clone());
        Err(error)
    }
}
