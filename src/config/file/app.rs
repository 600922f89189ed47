//! An app behind the gateway: where it is asked for, where it runs, and what it is told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HealthTable, OutlierTable, RateLimitTable, RetryTable, RouteTable};

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
    /// Placeholders: `{user}` `{name}` `{email}` `{legacy_name}` `{roles}` (or `{groups}`) `{kind}` `{owner}` `{actor}` `{service}` `{request_id}` `{port}`.
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
    /// What the app says before its answer (`103 Early Hints`) reaches browsers of HTTP/1.1 on their way to a page: its
    /// links, and the policies for following them. Programs are never told.
    pub(crate) early_hints: bool,
    /// How long everything may take together, from the request to the last byte of its answer. Absent: as long as it
    /// takes.
    pub(crate) total_timeout: Option<String>,
    /// So many requests run at the app at once, at all of its upstreams together; 0: no bound but its share of what may run
    /// at all (`[limits] requests`, or connections to apps), which leaves room for other apps whatever this one does.
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
    /// `X-Locum-User`, `-Name`, `-Email`, `-Roles`, `-Kind`, `-Owner`, `-Actor`, `-Service`.
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
            early_hints: true,
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
