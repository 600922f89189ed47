//! Opening PostgreSQL: an address, a session's settings, and what stands in the way.
//!
//! Every session limits its statements itself, so that a server which hangs costs a bounded time on
//! both sides of the wire.

use std::time::Duration;

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection, Row as _};

use super::connection::{Connection, Purpose};
use super::error::{OpenError, StoreError};
use super::place::Place;

pub(crate) mod server_url;

const OLDEST: i32 = 130_000;

#[derive(Clone)]
pub(crate) struct PostgresSource {
    pub(crate) place: Place,
    options: PgConnectOptions,
    timeout: Duration,
}

impl std::fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSource").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PostgresSource {
    /// Reads the URL, and asks the server once who it is.
    pub(crate) async fn prepare(url: &SecretString, timeout: Duration) -> Result<Self, OpenError> {
        let options = server_url::read(url)?;
        let options = options.application_name("locum").disable_statement_logging();
        let database = options.get_database().unwrap_or_else(|| options.get_username()).to_owned();
        let name = match options.get_socket() {
            Some(folder) => format!("{}:{}/{database}", folder.display(), options.get_port()),
            None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
        };
        let source = Self { place: Place::Server(name.into()), options, timeout };
        source.assert_server(&database).await?;
        Ok(source)
    }

    pub(crate) async fn connect(&self, _purpose: Purpose) -> Result<Connection, sqlx::Error> {
        Ok(Connection::Postgres(Box::new(self.session().await?)))
    }

    /// A session with its limits set.
    pub(crate) async fn session(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let limit = self.timeout.mul_f32(0.75).as_millis().to_string();
        // a server set to lose what it acknowledged is asked not to, whatever its default
        sqlx::query(
            "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false), \
             set_config('idle_in_transaction_session_timeout', $2, false), \
             set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
                 WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false), \
             set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false), \
             set_config('tcp_keepalives_count', '3', false), set_config('client_min_messages', 'warning', false)",
        )
        .bind(&limit)
        .bind((self.timeout * 4).as_millis().to_string())
        .execute(&mut connection)
        .await?;
        Ok(connection)
    }

    async fn assert_server(&self, database: &str) -> Result<(), OpenError> {
        let asked = tokio::time::timeout(self.timeout, async {
            let mut connection = self.options.connect().await?;
            let asking = sqlx::query(
                "SELECT current_setting('server_version_num')::int AS number, \
                 current_setting('server_version') AS version",
            );
            let row = asking.fetch_one(&mut connection).await?;
            Ok::<_, sqlx::Error>((row.try_get::<i32, _>("number")?, row.try_get::<String, _>("version")?))
        });
        let place = self.place.name();
        let (number, found) = match asked.await {
            Err(_) => return Err(StoreError::TimedOut { place, after: self.timeout }.into()),
            Ok(Err(error)) => return Err(self.explain_opening(&error, database)),
            Ok(Ok(found)) => found,
        };
        if number < OLDEST { Err(OpenError::PostgresTooOld { place, found }) } else { Ok(()) }
    }

    fn explain_opening(&self, error: &sqlx::Error, database: &str) -> OpenError {
        let place = self.place.name();
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("28P01" | "28000") => OpenError::Credentials { place, user: self.options.get_username().to_owned() },
            Some("3D000") => OpenError::NoDatabase { place, database: database.to_owned() },
            _ => OpenError::Store(self.place.explain(error)),
        }
    }
}
