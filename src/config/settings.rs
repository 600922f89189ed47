//! The configuration as the program uses it: every value parsed, every path absolute, nothing optional
//! that has a default.
//!
//! [`super::validate`] is the only maker of these in the running program, so whoever holds one need not
//! check it again.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use secrecy::SecretString;

pub use super::file::{Counts, HeaderPreset, Identity, OnLoss};
pub use super::template::{Piece, Placeholder, Template};
pub use super::upstream::Upstream;
use crate::authn::{self, ThrottleSettings};
use crate::directory::AppName;
use crate::policy::AppRoutes;
use crate::telemetry::log;

/// Everything that is configured, by table.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: ServerSettings,
    pub admin: AdminSettings,
    pub store: StoreSettings,
    /// `None` without Redis: then the store counts.
    pub redis: Option<RedisSettings>,
    pub lockout: LockoutSettings,
    /// The budget of failures of one source (L8).
    pub throttle: ThrottleSettings,
    pub pats: PatsSettings,
    pub secrets: SecretsSettings,
    pub log: log::Settings,
    /// By name, in its order; a route table can be built of them. Not empty where [`super::Purpose::Serve`] was asked for.
    pub apps: Vec<AppSettings>,
}

impl Settings {
    /// What [`authn`] is built with.
    pub fn authn(&self) -> authn::Settings {
        authn::Settings {
            token_prefix: self.pats.prefix.clone(),
            throttle: self.throttle,
            ..authn::Settings::default()
        }
    }
}

#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    /// `None`: one per core.
    pub threads: Option<NonZeroU32>,
    pub shutdown_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// The Unix socket.
    pub socket: PathBuf,
}

#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// The embedded store, in this file.
    Sqlite(PathBuf),
    /// A URL that begins with `postgres://` or `postgresql://`.
    Postgres(SecretString),
}

#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// A URL that begins with `redis://` or `rediss://`.
    pub url: SecretString,
    pub on_loss: OnLoss,
    /// For one answer.
    pub timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct LockoutSettings {
    /// 1 to 100 (L1).
    pub threshold: u32,
    /// L6.
    pub counts: Counts,
}

#[derive(Debug, Clone)]
pub struct PatsSettings {
    /// Empty, or 2–16 of `[a-z0-9]` (T5).
    pub prefix: String,
    /// At most 365 days (T2).
    pub longest_life: Duration,
    pub confirm_within: Duration,
}

#[derive(Debug, Clone)]
pub struct SecretsSettings {
    pub pepper_file: PathBuf,
    pub tombstone_key_file: PathBuf,
}

/// One app behind the gateway.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Its name, where it answers, and its routes, of which there is at least one.
    pub routing: AppRoutes,
    /// Never empty.
    pub upstreams: Vec<Upstream>,
    pub headers: HeaderPreset,
    /// Beside those of the preset; no two names fold to one (G5).
    pub set_headers: Vec<(HeaderName, Template)>,
    pub identity: Identity,
    pub access_by_default: bool,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
    pub idle_timeout: Duration,
}

impl AppSettings {
    pub const fn name(&self) -> &AppName {
        &self.routing.name
    }
}
