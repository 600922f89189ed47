//! The configuration file as it is written: one struct a table, one field a key.
//!
//! These structs are the single source of truth about keys, types and defaults. The JSON schema, the
//! check for unknown keys, the names of the environment overrides and `docs/configuration.md` all come
//! from them, so the comment on a field is what an operator reads about that key. Whether a value makes
//! sense is not decided here but in [`super::validate`].

mod app;
mod certificates;
mod history;
mod limits;
mod listening;
mod resilience;
mod route;
mod secrets;
mod telemetry;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use app::{AppTable, AppTlsTable, HeaderPreset, Identity, PathReading};
pub(crate) use certificates::{AcmeTable, CertificateTable};
pub(crate) use history::HistoryTable;
pub(crate) use limits::{LimitsTable, Per, RateLimitTable};
pub(crate) use listening::{ServerTable, TrustedHeader};
pub(crate) use resilience::{HealthTable, OutlierTable, RetryTable};
pub(crate) use route::{AcceptedScheme, RouteTable, Slashes};
pub(crate) use secrets::SecretsTable;
pub(crate) use telemetry::{LogFormat, LogTable, TracingTable};

/// Locum's configuration: where it listens, what it keeps, and the apps behind it.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Locum's configuration")]
pub(crate) struct File {
    /// Where the gateway accepts requests, and with how many threads.
    pub(crate) server: ServerTable,
    /// How `locum` on this host reaches the running gateway.
    pub(crate) admin: AdminTable,
    /// What orchestrators and Prometheus ask: `/healthz`, `/readyz`, `/metrics`.
    pub(crate) monitoring: MonitoringTable,
    /// Where accounts, tokens and the action history are kept.
    pub(crate) store: StoreTable,
    /// Redis, for the counts of failed attempts. Without it the store counts.
    pub(crate) redis: RedisTable,
    /// When failed attempts make an account inactive.
    pub(crate) lockout: LockoutTable,
    /// How many failed attempts one source address has.
    ///
    /// Only failures are charged, by IPv4 address or IPv6 /64. A caller whose token this gateway has already seen to be
    /// good passes even then.
    pub(crate) throttle: ThrottleTable,
    /// What bounds the connections of clients.
    ///
    /// A client that reaches a limit of time or rate loses its connection, or over HTTP/2 its stream.
    pub(crate) limits: LimitsTable,
    /// Personal access tokens.
    pub(crate) pats: PatsTable,
    /// The keys that Locum needs beside its store. `locum init` makes them.
    ///
    /// Keep copies of them somewhere else than the backup of the store: the backup is worthless to a thief without
    /// them, and to you as well.
    pub(crate) secrets: SecretsTable,
    /// For how long the action history is kept, and where older entries go.
    ///
    /// Older entries are moved to files of the archive, as `locum audit export` writes them, and removed here once those are
    /// on the disk. `locum audit verify --archive` proves both together.
    pub(crate) history: HistoryTable,
    /// What the gateway writes about itself.
    pub(crate) log: LogTable,
    /// Spans of OpenTelemetry, sent to a collector.
    ///
    /// A request has one for itself and one below it for the exchange with the app, which is told of it by `traceparent`
    /// (W3C Trace Context). They hold what the access log holds. Without an endpoint nothing is traced, and what clients
    /// say about traces reaches the app as it is.
    pub(crate) tracing: TracingTable,
    /// The apps behind the gateway, each under a name of its own: `a-z`, `0-9` and `-`, at most 32
    /// characters, a letter first.
    ///
    /// The name is what roles and access refer to (`wiki/editor` is the role `editor` of the app `wiki`).
    /// Without any app the gateway does not start.
    #[schemars(extend("x-name" = "NAME"))]
    pub(crate) apps: BTreeMap<String, AppTable>,
}

/// How `locum` on this host reaches the running gateway.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminTable {
    /// The Unix socket of the administration. Who may open this file may do everything.
    pub(crate) socket: String,
    /// Address and port where the admin API is served over the network, to callers with a key (`locum api-key`).
    /// Absent: nowhere.
    ///
    /// In plain text only on the loopback interface; everywhere else name a certificate in `admin.tls`.
    pub(crate) listen: Option<String>,
    /// The names that clients reach it by, without port, as they stand in `Host`. A request for any other is refused;
    /// its own address, and on the loopback interface `localhost`, are taken as well.
    pub(crate) hosts: Vec<String>,
    /// The certificates that it shows, as in `server.tls`. A reload reads the files again.
    pub(crate) tls: Vec<CertificateTable>,
}

/// What orchestrators and Prometheus ask: `/healthz`, `/readyz`, `/metrics`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MonitoringTable {
    /// Address and port of a listener of its own. Absent: there is none.
    ///
    /// It speaks plain HTTP and asks nobody who they are: choose an address that strangers do not reach.
    pub(crate) listen: Option<String>,
}

/// Where accounts, tokens and the action history are kept.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreTable {
    /// `sqlite:FILE` for the embedded store, or `postgres://USER:PASSWORD@HOST/DATABASE`.
    ///
    /// For a PostgreSQL on another machine add `?sslmode=verify-full`, and `&sslrootcert=FILE` (an absolute path, PEM)
    /// unless a public authority vouches for it; otherwise nobody asks who answers.
    #[serde(skip_serializing, deserialize_with = "secret")]
    #[schemars(with = "Option<String>", extend("default" = "sqlite:locum.db"))]
    pub(crate) url: Option<SecretString>,
    /// A file that holds the URL, instead of `url`: keeps a database password out of this file.
    pub(crate) url_file: Option<String>,
}

/// Redis, for the counts of failed attempts. Without it the store counts.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RedisTable {
    /// `redis://…`, or `rediss://…` for TLS. Absent: no Redis.
    #[serde(skip_serializing, deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub(crate) url: Option<SecretString>,
    /// A file that holds the URL, instead of `url`: keeps a password out of this file.
    pub(crate) url_file: Option<String>,
    /// With `rediss://`: a file with the certificate (PEM) of the authority that vouches for Redis. Only it is believed
    /// then; without it the authorities that this machine trusts are. There is no way to leave the check out.
    pub(crate) ca_file: Option<String>,
    /// What happens while Redis cannot be reached.
    pub(crate) on_loss: OnLoss,
    /// How long one answer of Redis may take, before it counts as lost.
    pub(crate) timeout: String,
}

/// What happens while Redis cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnLoss {
    /// The store counts failed attempts by the same rules; the counts are joined when Redis is back.
    Count,
    /// Nobody is let in by a credential, not even who was proven before.
    Closed,
}

/// When failed attempts make an account inactive.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LockoutTable {
    /// So many failures in a row make a proxy user inactive and revoke its tokens.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) threshold: u32,
    /// Which refused attempts are counted.
    pub(crate) counts: Counts,
}

/// Which refused attempts are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Counts {
    /// Every refused attempt that names the account or one of its tokens.
    EveryFailure,
    /// Only a wrong secret for a token that the account really has. For gateways that strangers can
    /// reach, where five bad requests must not be a weapon against an integration.
    Guesses,
}

/// How many failed attempts one source address has.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ThrottleTable {
    /// So many failures at once, before the source is answered 429.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) burst: u32,
    /// So many come back every second.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) per_second: u32,
}

/// Personal access tokens.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PatsTable {
    /// Put before every new token (`acme` gives `acme_locum_pat_…`), so that a leaked one says whose it
    /// is: 2 to 16 of `a-z` and `0-9`. Empty: none.
    pub(crate) prefix: String,
    /// The longest life a token can be given. At most `365d`.
    pub(crate) longest_life: String,
    /// A new token works only after it was confirmed, and must be within this time.
    pub(crate) confirm_within: String,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

impl Default for AdminTable {
    fn default() -> Self {
        Self { socket: "locum.sock".to_owned(), listen: None, hosts: Vec::new(), tls: Vec::new() }
    }
}

impl Default for RedisTable {
    fn default() -> Self {
        Self { url: None, url_file: None, ca_file: None, on_loss: OnLoss::Count, timeout: "100ms".to_owned() }
    }
}

impl Default for LockoutTable {
    fn default() -> Self {
        Self { threshold: 5, counts: Counts::EveryFailure }
    }
}

impl Default for ThrottleTable {
    fn default() -> Self {
        Self { burst: 100, per_second: 1 }
    }
}

impl Default for PatsTable {
    fn default() -> Self {
        Self { prefix: String::new(), longest_life: "365d".to_owned(), confirm_within: "15m".to_owned() }
    }
}
