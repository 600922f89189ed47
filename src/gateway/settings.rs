//! What the gateway has to be told: the apps, where they run, what they are told of a caller.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::access_log::AccessLogSettings;
use super::client::HopSettings;
use super::identity_headers::{HeaderLine, Preset};
use super::slots::SlotSettings;
use super::tunnel::TunnelSettings;
use super::upstream::{AppLimits, HealthCheck, Outlier, Retry, TransportSettings};
use crate::directory::AppName;
use crate::policy::{AppRoutes, OwnTimeouts, RateLimit, RouteTable, TableProblem};

/// The gateway's settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whose word about the client is taken.
    pub hops: HopSettings,
    pub access_log: AccessLogSettings,
    pub clients: ClientSettings,
    pub slots: SlotSettings,
    pub apps: Vec<AppSettings>,
}

/// One app behind the gateway.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Its name, where it answers, and its routes.
    pub routing: AppRoutes,
    /// Where it runs: `HOST:PORT`.
    pub upstreams: Vec<String>,
    pub transport: TransportSettings,
    pub headers: Preset,
    /// Beside those of the preset, and in their place where the name is the same.
    pub set_headers: Vec<HeaderLine>,
    /// By which the app can tell that a request came through the gateway.
    pub secret_header: Option<SecretHeaderSettings>,
    pub identity: Identity,
    pub timeouts: Timeouts,
    pub tunnels: TunnelSettings,
    /// Whether what it says before an answer (103) is passed on.
    pub early_hints: bool,
    pub resilience: Resilience,
    /// For the app as a whole, beside those of its routes.
    pub rate_limits: Vec<RateLimit>,
}

/// What is done when the app, or one of its instances, is not well (G8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resilience {
    pub limits: AppLimits,
    pub outlier: Outlier,
    pub retry: Retry,
    /// `None`: nobody asks an instance how it is.
    pub health_check: Option<HealthCheck>,
}

/// A header whose value only the gateway and one app know.
#[derive(Debug, Clone)]
pub struct SecretHeaderSettings {
    name: HeaderName,
    /// Marked as sensitive: its `Debug` tells nothing, and HTTP/2 remembers it in no table.
    value: HeaderValue,
}

impl SecretHeaderSettings {
    /// `None` when the secret is not 16 to 256 printable characters without spaces.
    pub fn new(name: HeaderName, secret: &str) -> Option<Self> {
        let printable = (16..=256).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
        let mut value = HeaderValue::from_str(secret).ok().filter(|_| printable)?;
        value.set_sensitive(true);
        Some(Self { name, value })
    }

    pub const fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) const fn value(&self) -> &HeaderValue {
        &self.value
    }
}

/// Whom the app sees when a proxy user asks (G6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Identity {
    /// The proxy user itself.
    #[default]
    Account,
    /// The person who owns it.
    Owner,
}

/// How long the gateway waits for an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the head of the response, counted from the last byte of the request that moved.
    pub response: Duration,
    /// For the next bytes of a body, in either direction.
    pub idle: Duration,
    /// For everything, from the request to the last byte of its answer; `None`: as long as it takes.
    pub total: Option<Duration>,
}

impl Timeouts {
    /// With what a route has of its own.
    #[must_use]
    pub(super) fn with(self, of_the_route: OwnTimeouts) -> Self {
        Self {
            connect: self.connect,
            response: of_the_route.response.unwrap_or(self.response),
            idle: of_the_route.idle.unwrap_or(self.idle),
            total: of_the_route.total.or(self.total),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response: Duration::from_mins(1),
            idle: Duration::from_mins(5),
            total: None,
        }
    }
}

/// What clients are held to, whatever they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSettings {
    /// The most header fields in a request.
    pub head_fields: usize,
    /// How long a client may give less of a body than `min_rate`, while its app waits for more.
    pub stall_timeout: Duration,
    /// Bytes a second; `None`: as few as it likes.
    pub min_rate: Option<NonZeroU32>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self { head_fields: 100, stall_timeout: Duration::from_mins(1), min_rate: NonZeroU32::new(500) }
    }
}

/// Something that keeps the gateway from being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    Routes(TableProblem),
    NoUpstream(AppName),
    /// TLS is spoken to a host that no certificate can name.
    NoName(AppName, String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Routes(problem) => fmt::Display::fmt(problem, f),
            Self::NoUpstream(app) => write!(f, "app `{app}`: it has no upstream: say where it runs"),
            Self::NoName(app, upstream) => {
                write!(f, "app `{app}`: no certificate can name `{upstream}`: say which name it is to show")
            }
        }
    }
}

/// All of them in one line.
pub fn in_words(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Settings {
    /// Everything that is wrong, in the order of the apps.
    pub fn problems(&self) -> Vec<Problem> {
        let routes = RouteTable::problems(&self.routes()).into_iter().map(Problem::Routes);
        let homeless = self.apps.iter().filter(|app| app.upstreams.is_empty());
        let homeless = homeless.map(|app| Problem::NoUpstream(app.name().clone()));
        routes.chain(homeless).chain(self.apps.iter().flat_map(AppSettings::nameless)).collect()
    }

    pub(super) fn routes(&self) -> Vec<AppRoutes> {
        self.apps.iter().map(|app| app.routing.clone()).collect()
    }
}

impl AppSettings {
    pub const fn name(&self) -> &AppName {
        &self.routing.name
    }

    fn nameless(&self) -> impl Iterator<Item = Problem> {
        let tls = self.transport.tls.iter();
        let pairs = tls.flat_map(|tls| self.upstreams.iter().map(move |upstream| (tls, upstream)));
        let nameless = pairs.filter(|(tls, upstream)| tls.name_of(upstream).is_err());
        nameless.map(|(_, upstream)| Problem::NoName(self.name().clone(), upstream.clone()))
    }
}
