//! The configuration as the program uses it: every value parsed, every path absolute, nothing optional
//! that has a default.
//!
//! [`super::validate`] is the only maker of these in the running program, so whoever holds one need not
//! check it again.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

pub use super::upstream::Upstream;
use crate::authn::ThrottleSettings;
use crate::authn::lockout::LockoutSettings;
use crate::cluster::RedisSettings;
use crate::directory::AppName;
use crate::gateway::{
    AccessLogSettings, HeaderLine, HopSettings, Identity, Preset, Resilience, SecretHeaderSettings, SlotSettings,
    Timeouts, TransportSettings, TunnelSettings,
};
use crate::policy::{AppRoutes, RateLimit};
use crate::provision::RetentionSettings;
use crate::store::Location;
use crate::telemetry::{log, trace};

/// Everything that is configured, by table.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: ServerSettings,
    pub admin: AdminSettings,
    /// Where orchestrators and Prometheus ask; `None`: nowhere.
    pub monitoring: Option<SocketAddr>,
    pub store: Location,
    /// `None` without Redis: then the store counts.
    pub redis: Option<RedisSettings>,
    /// With what is done while Redis is away, which stands in its table.
    pub lockout: LockoutSettings,
    /// The budget of failures of one source (L8).
    pub throttle: ThrottleSettings,
    /// What bounds clients.
    pub limits: Limits,
    /// What bounds their requests all together.
    pub slots: SlotSettings,
    /// How long a stranger's credential may wait to be judged.
    pub judgement_wait: Duration,
    pub pats: PatsSettings,
    pub secrets: SecretsSettings,
    /// What becomes of old entries of the history.
    pub history: RetentionSettings,
    pub log: log::Settings,
    /// Which requests the access log has.
    pub access_log: AccessLogSettings,
    /// `None`: nothing is traced.
    pub tracing: Option<trace::Settings>,
    /// By name, in its order; a route table can be built of them. Not empty where [`super::Purpose::Serve`] was asked for.
    pub apps: Vec<AppSettings>,
}

#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    /// `None`: one per core.
    pub threads: Option<NonZeroU32>,
    pub shutdown_timeout: Duration,
    /// How long it serves on after it was told to end.
    pub shutdown_delay: Duration,
    pub hops: HopSettings,
    /// Whether the trusted proxies speak the PROXY protocol; without any, nobody does.
    pub proxy_protocol: bool,
    /// Whether HTTP/2 is spoken without TLS.
    pub h2c: bool,
    /// `None`: TLS is not spoken.
    pub tls: Option<TlsSettings>,
}

/// What clients are shown, and have to show.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Empty only where certificates are obtained.
    pub certificates: Vec<CertificateFiles>,
    /// `None`: no certificate is obtained.
    pub acme: Option<AcmeSettings>,
    /// `None`: clients show no certificate.
    pub clients: Option<ClientCertificates>,
}

/// Whose certificates clients have to show.
#[derive(Debug, Clone)]
pub struct ClientCertificates {
    pub authorities: PathBuf,
    /// Lists of revoked ones; empty: nobody asks.
    pub revoked: Vec<PathBuf>,
}

/// From whom certificates are obtained, and for which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// An `https` URL.
    pub directory: String,
    /// Names of hosts in lower case, none twice; never empty.
    pub names: Vec<String>,
    /// A `mailto` URL.
    pub contact: Option<String>,
    pub folder: PathBuf,
    /// Whose word about the ACME server is taken; `None`: that of the authorities of this machine.
    pub authorities: Option<PathBuf>,
    /// `None`: the authority signs for everybody.
    pub binding: Option<ExternalBinding>,
}

/// Whose account at the authority the gateway's belongs to (RFC 8555 §7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalBinding {
    pub key_id: String,
    /// Holds the MAC key, in base64url.
    pub mac_key: PathBuf,
}

#[derive(Debug, Clone)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What bounds the connections of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many are open at once, all threads together; more wait in the kernel.
    pub connections: usize,
    /// How long everything before the first request may take: a proxy's header, a handshake.
    pub handshake_timeout: Duration,
    /// How long a client may take to send the head of a request; also the longest idle time between
    /// two requests of one connection.
    pub head_timeout: Duration,
    /// How long a connection of HTTP/2 may stay without a request.
    pub idle_timeout: Duration,
    /// How long a client may take or give less than `min_rate`. Who takes nothing at all is ended by the kernel
    /// after as long.
    pub stall_timeout: Duration,
    /// Bytes a second; `None`: as few as a client likes.
    pub min_rate: Option<NonZeroU32>,
    /// The most that is buffered for one head of HTTP/1.
    pub head_bytes: usize,
    /// The most header fields in one head.
    pub head_fields: usize,
    /// The largest head of HTTP/2, as HPACK counts it: each field with 32 bytes more than it has.
    pub http2_head_bytes: u32,
    /// How many streams one client may have open at once on a connection.
    pub http2_streams: u32,
    /// Whether clients of HTTP/2 are told that a stream can become a tunnel (RFC 8441): where some route lets one.
    pub extended_connect: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: usize::MAX,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(3),
            stall_timeout: Duration::from_mins(1),
            min_rate: NonZeroU32::new(500),
            head_bytes: 64 * 1024,
            head_fields: 100,
            http2_head_bytes: 32 * 1024,
            http2_streams: 100,
            extended_connect: true,
        }
    }
}

#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// The Unix socket.
    pub socket: PathBuf,
    /// `None`: the API is not served over the network.
    pub network: Option<AdminNetworkSettings>,
}

/// Where the admin API is served over the network.
#[derive(Debug, Clone)]
pub struct AdminNetworkSettings {
    pub listen: SocketAddr,
    /// What may stand in `Host`, in lower case, without port.
    pub hosts: Vec<String>,
    /// `None` only on the loopback interface.
    pub tls: Option<TlsSettings>,
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
    pub history_key_file: PathBuf,
    pub master_key: MasterKeySource,
}

/// Where the master key is.
#[derive(Debug, Clone)]
pub enum MasterKeySource {
    File(PathBuf),
    /// A program, with its arguments, that prints it. Never empty.
    Command(Vec<String>),
    /// In the configuration itself, as an override of the environment.
    Text(SecretString),
}

impl PartialEq for MasterKeySource {
    /// Whether it is the same place; a key that stands in the configuration is no place, and another is another.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Command(one), Self::Command(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => {
                one.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
            }
            _ => false,
        }
    }
}

/// One app behind the gateway.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Its name, where it answers, and its routes, of which there is at least one.
    pub routing: AppRoutes,
    /// Never empty.
    pub upstreams: Vec<Upstream>,
    pub transport: TransportSettings,
    pub headers: Preset,
    /// Beside those of the preset; no two names fold to one (G5).
    pub set_headers: Vec<HeaderLine>,
    /// Its name folds to none of those above.
    pub secret_header: Option<SecretHeaderSettings>,
    pub identity: Identity,
    /// Whether every person added has access to it (R8).
    pub access_by_default: bool,
    pub timeouts: Timeouts,
    pub tunnels: TunnelSettings,
    pub early_hints: bool,
    pub resilience: Resilience,
    /// For the app as a whole, beside those of its routes.
    pub rate_limits: Vec<RateLimit>,
}

impl AppSettings {
    pub const fn name(&self) -> &AppName {
        &self.routing.name
    }
}
