//! What each room is built with, from the settings and from what is not an operator's to choose.

use std::time::Duration;

use super::settings::{AppSettings, Settings};
use crate::authn::lockout::LockoutSettings;
use crate::cluster::RedisSettings;
use crate::{authn, gateway, provision, store};

/// Connections that read at once. SQLite reads from its cache; more than a few only wait for the disk together.
const STORE_READERS: u32 = 4;
/// After this a step of the store is an error: longer than any honest step, shorter than a client waits.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// Changes that wait to be written; one more is refused at once instead of waiting unseen.
const STORE_QUEUE: usize = 1_024;

impl Settings {
    pub fn store(&self) -> store::Settings {
        store::Settings {
            location: self.store.clone(),
            readers: STORE_READERS,
            timeout: STORE_TIMEOUT,
            queue: STORE_QUEUE,
        }
    }

    pub fn authn(&self) -> authn::Settings {
        authn::Settings {
            token_prefix: self.pats.prefix.clone(),
            throttle: self.throttle,
            judgement_wait: self.judgement_wait,
            ..authn::Settings::default()
        }
    }

    pub const fn lockout(&self) -> LockoutSettings {
        self.lockout
    }

    pub fn gateway(&self) -> gateway::Settings {
        let app = |app: &AppSettings| gateway::AppSettings {
            routing: app.routing.clone(),
            upstreams: app.upstreams.iter().map(|upstream| upstream.authority().to_string()).collect(),
            transport: app.transport.clone(),
            headers: app.headers,
            set_headers: app.set_headers.clone(),
            secret_header: app.secret_header.clone(),
            identity: app.identity,
            timeouts: app.timeouts,
            tunnels: app.tunnels.clone(),
            early_hints: app.early_hints,
            resilience: app.resilience.clone(),
            rate_limits: app.rate_limits.clone(),
        };
        gateway::Settings {
            hops: self.server.hops.clone(),
            clients: gateway::ClientSettings {
                head_fields: self.limits.head_fields,
                stall_timeout: self.limits.stall_timeout,
                min_rate: self.limits.min_rate,
            },
            access_log: self.access_log,
            slots: self.slots,
            apps: self.apps.iter().map(app).collect(),
        }
    }

    pub fn provision(&self) -> provision::Settings {
        let by_default = self.apps.iter().filter(|app| app.access_by_default);
        provision::Settings {
            prefix: self.pats.prefix.clone(),
            longest_life: self.pats.longest_life,
            confirm_within: self.pats.confirm_within,
            default_apps: by_default.map(|app| app.name().clone()).collect(),
            retention: self.history.clone(),
        }
    }

    /// `None`: the store counts.
    pub fn redis_counts(&self) -> Option<RedisSettings> {
        self.redis.clone()
    }
}
