//! One rule of an app: which requests, and who may make them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RateLimitTable;
use crate::policy::upgrades::WEBSOCKET;

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
