//! The configuration file as it is written: one struct a table, one field a key.
//!
//! These structs are the single source of truth about keys, types and defaults. The JSON schema, the
//! check for unknown keys, the names of the environment overrides and `docs/configuration.md` all come
//! from them, so the comment on a field is what an operator reads about that key. Whether a value makes
//! sense is not decided here but in [`super::validate`].

mod certificates;
mod limits;
mod resilience;
mod secrets;
mod telemetry;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use limits::{LimitsTable, Per, RateLimitTable};

use crate::policy::upgrades::WEBSOCKET;
pub(crate) use certificates::{AcmeTable, CertificateTable};
pub(crate) use resilience::{HealthTable, OutlierTable, RetryTable};
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

/// Where the gateway accepts requests, and with how many threads.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerTable {
    /// Address and port. Port 0 takes a free one and logs which.
    ///
    /// Put `0.0.0.0:8080` or `[::]:8080` here to be reached from other machines, over TLS (`server.tls`, or something
    /// in front that speaks it): tokens travel in every request.
    pub(crate) listen: String,
    /// Threads that serve requests; 0 means one per core.
    #[schemars(range(min = 0, max = 1024))]
    pub(crate) threads: u16,
    /// How long running requests may take to finish after SIGTERM, before they are cut.
    pub(crate) shutdown_timeout: String,
    /// How long new requests are still served after SIGTERM, while `/readyz` says 503 already, so that load balancers
    /// notice before anybody is turned away.
    pub(crate) shutdown_delay: String,
    /// Addresses and networks of the proxies in front of this gateway whose word about the client is taken, such as
    /// `10.1.0.7` or `10.1.0.0/24`. Empty: nobody's.
    ///
    /// The client's address is what `--network` of a token, the budget of failures, the log and the history go by.
    pub(crate) trusted_proxies: Vec<String>,
    /// The headers that every trusted proxy sets itself: `x-forwarded-for`, with it `x-forwarded-proto` and
    /// `x-forwarded-host`; or `forwarded` (RFC 7239) alone.
    ///
    /// Name none that a proxy lets pass as the client wrote it. Addresses are read from the right, past trusted proxies
    /// and no further. A request in which a trusted proxy wrote something that cannot be read is answered 400.
    pub(crate) trusted_headers: Vec<TrustedHeader>,
    /// Trusted proxies begin every connection with a header of the PROXY protocol, version 1 or 2.
    pub(crate) proxy_protocol: bool,
    /// Clients may speak HTTP/2 without TLS, when they begin with it ("prior knowledge"), as gRPC and proxies do.
    pub(crate) h2c: bool,
    /// A file with the certificates, in PEM, of the authorities of which every client has to show a certificate. Absent:
    /// clients show none.
    pub(crate) client_ca_file: Option<String>,
    /// Files with lists of revoked certificates (CRLs), in PEM or DER: a client whose certificate is in one is turned
    /// away. A reload reads them again.
    ///
    /// With any, every authority between a client and `client_ca_file` needs one, and a list past its date (`Next
    /// Update`) keeps the clients of its authority out.
    pub(crate) client_crl_files: Vec<String>,
    /// The certificates that the gateway shows. With at least one, or with `server.acme`, it speaks TLS (1.2 and 1.3),
    /// and nothing else.
    ///
    /// Each client gets the first that is for the name that it asks for, and where none is, the first of all. A
    /// reload reads the files again, without ending a connection.
    pub(crate) tls: Vec<CertificateTable>,
    /// Certificates that the gateway obtains and renews itself, from an authority that speaks ACME (RFC 8555), such as
    /// Let's Encrypt.
    ///
    /// The authority connects to port 443 of each name and has to reach this gateway there, without anything in
    /// between that ends TLS (`tls-alpn-01`, RFC 8737). `server.tls` may name others beside them, which come first.
    pub(crate) acme: AcmeTable,
}

/// A header in which a proxy speaks about the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TrustedHeader {
    /// The addresses that the request came from, one appended by each proxy.
    XForwardedFor,
    /// Whether the client speaks `http` or `https`.
    XForwardedProto,
    /// The host that the client asked for; it takes the place of `Host`, for the choice of the app too.
    XForwardedHost,
    /// All of this in one header, RFC 7239.
    Forwarded,
}

/// How `locum` on this host reaches the running gateway.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminTable {
    /// The Unix socket of the administration. Who may open this file may do everything.
    pub(crate) socket: String,
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

/// One app behind the gateway.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AppTable {
    /// The host names it answers to, without port; `*.example.org` stands for every name below `example.org`. Empty:
    /// every host. The closer an app names the host, the earlier it is asked.
    pub(crate) hosts: Vec<String>,
    /// It answers to paths from here on; `/wiki` means `/wiki` and everything below it. Of apps that name the host equally
    /// closely, the longest prefix is asked first. The path reaches the app as it came.
    pub(crate) path_prefix: String,
    /// How the app reads the names in a path.
    pub(crate) path_reading: PathReading,
    /// Where the app itself runs: `http://HOST:PORT` or `https://HOST:PORT`, one or several that are equal. With `https`
    /// the app has to show a certificate for HOST, which nothing can turn off (see `tls` of the app).
    pub(crate) upstreams: Vec<String>,
    /// The app speaks HTTP/2, as gRPC needs it. With `http` upstreams it has to understand it from the first byte on
    /// (`h2c`, "prior knowledge"); with `https` ones it is asked, and HTTP/1.1 is spoken where it knows nothing newer.
    pub(crate) http2: bool,
    /// In which headers the app learns who is asking.
    pub(crate) headers: HeaderPreset,
    /// Whom the app sees when a proxy user asks.
    pub(crate) identity: Identity,
    /// Every person added from now on has access to this app; otherwise access is given one by one, or
    /// comes with the first role of the app.
    pub(crate) access_by_default: bool,
    /// Headers of your own beside those of `headers`, by name, and in their place where the name is the same.
    /// Placeholders: `{user}` `{roles}` (or `{groups}`) `{kind}` `{owner}` `{actor}` `{service}` `{request_id}`.
    ///
    /// Whatever a client sends under these names is removed first, on every app.
    #[schemars(extend("x-name" = "HEADER"))]
    pub(crate) set_headers: BTreeMap<String, String>,
    /// How long connecting to the app may take, with TLS where it is spoken.
    pub(crate) connect_timeout: String,
    /// How long the app may take until its answer begins, after the last of the request was sent.
    pub(crate) response_timeout: String,
    /// How long a body may stand still, in either direction, before it is cut.
    pub(crate) idle_timeout: String,
    /// TLS to upstreams that begin with `https://`.
    pub(crate) tls: AppTlsTable,
    /// A header by which the app can tell that a request came through the gateway. Absent: there is none.
    pub(crate) secret_header: SecretHeaderTable,
    /// How long a WebSocket or another tunnel may be silent in both directions, before it is closed. Applications with
    /// a ping of their own never notice.
    pub(crate) tunnel_idle_timeout: String,
    /// Pages of which other sites may open a WebSocket with the credential of whoever looks at them, such as
    /// `https://www.example.org`. Those of the app's own host always may, and programs send no origin.
    pub(crate) allowed_origins: Vec<String>,
    /// How long everything may take together, from the request to the last byte of its answer. Absent: as long as it
    /// takes.
    pub(crate) total_timeout: Option<String>,
    /// So many requests run at the app at once, at all of its upstreams together; 0: no bound but its share of the
    /// connections to apps, which leaves room for other apps whatever this one does.
    pub(crate) max_requests: u32,
    /// So many more wait for at most `connect_timeout` until one of `max_requests` has ended, instead of being answered
    /// 503 at once.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) max_pending: u32,
    /// When one of several upstreams is left alone because it fails, and for how long.
    pub(crate) outlier: OutlierTable,
    /// When a request is sent to another upstream.
    ///
    /// What was never sent always is. What may have been sent only if it has no body and its method says that nothing
    /// can happen twice (`GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE`); never after an answer has begun, and never
    /// after a timeout.
    pub(crate) retry: RetryTable,
    /// Requests of the gateway's own by which it learns which upstreams are well.
    pub(crate) health: HealthTable,
    /// The largest body of a request, such as `10MiB`; more is answered 413, or the upload is cut where it becomes too
    /// much. Absent: any size. A route can say its own.
    pub(crate) max_body: Option<String>,
    /// How many requests may be made of the app; a request has to fit into all of its limits and those of its route,
    /// and is answered 429 else.
    pub(crate) rate_limits: Vec<RateLimitTable>,
    /// Who may do what. The most specific path that matches decides, whatever the order; a request that
    /// no route matches is refused, so an app needs at least one.
    pub(crate) routes: Vec<RouteTable>,
}

/// TLS to upstreams that begin with `https://`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AppTlsTable {
    /// A file with the certificates, in PEM, of the authorities that vouch for the app. Only they are believed then;
    /// without it the authorities that this machine trusts are. For a self-signed certificate, name that itself.
    pub(crate) ca_file: Option<String>,
    /// The name that the certificate has to be for, and that the app is asked for by (SNI). Absent: the host of the
    /// upstream.
    pub(crate) server_name: Option<String>,
    /// A certificate of the gateway for apps that ask for one (mTLS), in PEM: its own first, then those between it and
    /// the authority. Needs `key_file`.
    pub(crate) certificate_file: Option<String>,
    /// The private key of that certificate, in PEM, readable by its owner only.
    pub(crate) key_file: Option<String>,
}

/// A header by which an app can tell that a request came through the gateway.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretHeaderTable {
    /// The name of the header, such as `X-Gate-Secret`. Whatever a client sends under it is removed, on every app.
    pub(crate) name: Option<String>,
    /// A file that holds the value: 16 to 256 printable characters without spaces, readable by its owner only. The app
    /// compares it, and refuses what comes without it.
    pub(crate) file: Option<String>,
}

/// How an app reads the names in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PathReading {
    /// Letter by letter.
    Exact,
    /// As Windows reads names of files (IIS): routes are compared without case, and a name that Windows reads as
    /// another one (a dot or space at its end, a colon, `~1`) is refused.
    Windows,
}

/// A set of header names that an app already understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HeaderPreset {
    /// `X-Locum-User`, `-Roles`, `-Kind`, `-Owner`, `-Actor`, `-Service`.
    Locum,
    /// As oauth2-proxy sends them: `X-Forwarded-User` and its family.
    Oauth2Proxy,
    /// As Authelia sends them: `Remote-User` and its family.
    Authelia,
    /// As authentik sends them: `X-authentik-username` and its family.
    Authentik,
    /// As Grafana's auth proxy expects them: `X-WEBAUTH-USER`.
    Grafana,
    /// As Gitea and Forgejo expect them: `X-WEBAUTH-USER`.
    Gitea,
    /// As Jenkins expects them: `X-Forwarded-User`, `X-Forwarded-Groups`.
    Jenkins,
    /// `X-Remote-User`, as Radicale, Kubernetes and many others expect it.
    RemoteUser,
    /// As Cloudflare Access sends them.
    Cloudflare,
    /// None but those of `set_headers`.
    None,
}

/// Whom the app sees when a proxy user asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Identity {
    /// The proxy user itself.
    Account,
    /// The person who owns it.
    Owner,
}

/// One rule of an app: which requests, and who may make them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteTable {
    /// The path it is about, as it stands in the URL, with the `path_prefix` and decoded. `{x}` stands for exactly one
    /// segment; a final `*` for the rest, also for none: `/repos/{name}/settings`, `/admin/*`.
    pub(crate) path: String,
    /// The methods it is about, in capitals. Empty: all but `TRACE` and `CONNECT`. A request whose path matches best here
    /// is refused when its method is not named; no wider path is asked then.
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    /// How a caller may prove who it is.
    #[serde(default = "every_scheme")]
    pub(crate) accept: Vec<AcceptedScheme>,
    /// The header in which a token that comes alone needs its proxy user's username beside it. Absent: it needs none.
    /// Basic brings its own. Locum alone reads the header: no app receives it, on any route.
    pub(crate) username_header: Option<String>,
    /// Nobody needs to prove anything. A wrong credential is refused all the same.
    #[serde(default)]
    pub(crate) public: bool,
    /// The account must hold at least one of these roles: `NAME`, or `APP/NAME` for a role of this app.
    #[serde(default)]
    pub(crate) roles_any: Vec<String>,
    /// The account must hold all of these roles.
    #[serde(default)]
    pub(crate) roles_all: Vec<String>,
    /// The account must hold at least one of these permissions.
    #[serde(default)]
    pub(crate) permissions_any: Vec<String>,
    /// The account must hold all of these permissions.
    #[serde(default)]
    pub(crate) permissions_all: Vec<String>,
    /// What becomes of a path with an encoded slash (`%2F`). Many apps read it as a slash, some (GitLab, npm) as a part
    /// of a name. Whatever is said here, a path of which two readings would meet different routes is refused.
    #[serde(default = "refuse")]
    pub(crate) encoded_slash: Slashes,
    /// What becomes of a path with a doubled slash (`//`).
    #[serde(default = "forward")]
    pub(crate) doubled_slash: Slashes,
    /// To which protocols a connection may switch, by their names in `Upgrade`. Asked for another one, the app gets a
    /// plain request. Empty: none.
    #[serde(default = "websocket")]
    pub(crate) upgrades: Vec<String>,
    /// In place of the app's `response_timeout`.
    pub(crate) response_timeout: Option<String>,
    /// In place of the app's `idle_timeout`.
    pub(crate) idle_timeout: Option<String>,
    /// In place of the app's `total_timeout`.
    pub(crate) total_timeout: Option<String>,
    /// The largest body of a request, in place of the app's.
    pub(crate) max_body: Option<String>,
    /// How many requests may be made by this route, beside the limits of the app.
    #[serde(default)]
    pub(crate) rate_limits: Vec<RateLimitTable>,
}

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Slashes {
    /// The request is refused with 400.
    Refuse,
    /// The path reaches the app as it came.
    Forward,
}

/// How a caller may prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AcceptedScheme {
    /// `Authorization: Basic`, username and token.
    Basic,
    /// `Authorization: Bearer` with a token of Locum's. Any other Bearer belongs to the app.
    Bearer,
    /// `Locum-Authorization` with one of these two as its value, for an app that has an `Authorization` of its own.
    LocumAuthorization,
}

fn every_scheme() -> Vec<AcceptedScheme> {
    vec![AcceptedScheme::Basic, AcceptedScheme::Bearer]
}

fn websocket() -> Vec<String> {
    vec![WEBSOCKET.to_owned()]
}

const fn refuse() -> Slashes {
    Slashes::Refuse
}

const fn forward() -> Slashes {
    Slashes::Forward
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

impl Default for ServerTable {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            threads: 0,
            shutdown_timeout: "30s".to_owned(),
            shutdown_delay: "0s".to_owned(),
            trusted_proxies: Vec::new(),
            trusted_headers: vec![TrustedHeader::XForwardedFor, TrustedHeader::XForwardedProto],
            proxy_protocol: false,
            h2c: false,
            client_ca_file: None,
            client_crl_files: Vec::new(),
            tls: Vec::new(),
            acme: AcmeTable::default(),
        }
    }
}

impl Default for AdminTable {
    fn default() -> Self {
        Self { socket: "locum.sock".to_owned() }
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

impl Default for AppTable {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            path_prefix: "/".to_owned(),
            path_reading: PathReading::Exact,
            upstreams: vec!["http://127.0.0.1:3000".to_owned()],
            http2: false,
            headers: HeaderPreset::Locum,
            identity: Identity::Account,
            access_by_default: false,
            set_headers: BTreeMap::new(),
            connect_timeout: "2s".to_owned(),
            response_timeout: "60s".to_owned(),
            idle_timeout: "5m".to_owned(),
            tls: AppTlsTable::default(),
            secret_header: SecretHeaderTable::default(),
            tunnel_idle_timeout: "1h".to_owned(),
            allowed_origins: Vec::new(),
            total_timeout: None,
            max_requests: 0,
            max_pending: 0,
            outlier: OutlierTable::default(),
            retry: RetryTable::default(),
            health: HealthTable::default(),
            max_body: None,
            rate_limits: Vec::new(),
            routes: Vec::new(),
        }
    }
}
