//! The configuration taken up anew, whole or not at all (G12).
//!
//! Everything that can fail comes first: the file is read and checked, certificates are read, the routes are
//! compiled, the apps are registered. Only then is anything exchanged, and from there on nothing is taken back: what is
//! in force is the old configuration or the new one, on every thread and for every connection.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use metrics::{counter, gauge};
use rustls::ServerConfig;
use tokio::sync::{Mutex, watch};

use super::acme::Obtained;
use super::data_plane::{Limits, ThreadGone};
use super::entrance::Entrance;
use super::tls::{Certificates, TlsError};
use crate::admin::NotTaken;
use crate::admin::network::Shown;
use crate::authn::Authn;
use crate::authn::lockout::Lockout;
use crate::clock::Clock;
use crate::config::Settings;
use crate::config::settings::ServerSettings;
use crate::gateway::{self, Gateway, Resolver, TrustedProxies, Watching};
use crate::provision::{self, Provision, Request};
use crate::telemetry::log::LogFilter;

/// Reads the configuration again, as it was read at the start.
pub type ReadAgain = Arc<dyn Fn() -> Result<Settings, NotTaken> + Send + Sync>;

/// Exchanges what every data-plane thread serves by.
pub(super) type Exchange =
    Box<dyn Fn(Gateway, Arc<Entrance>, Limits) -> BoxFuture<'static, Result<(), ThreadGone>> + Send + Sync>;

/// A gateway, and what goes on beside its requests for as long as it is in force.
#[derive(Debug)]
pub(super) struct WatchedGateway {
    gateway: Gateway,
    _watching: Watching,
}

impl WatchedGateway {
    pub(super) async fn begin(gateway: &Gateway) -> Self {
        Self { gateway: gateway.clone(), _watching: gateway.watch(&Resolver::system()).await }
    }

    /// Says in the metrics how many requests run.
    pub(super) fn meter(&self) {
        #[expect(clippy::cast_precision_loss, reason = "no machine runs 2^52 requests")]
        gauge!("locum_requests_running").set(self.gateway.running() as f64);
    }

    /// What an operator should know of the apps, and of who is turned away.
    pub(super) fn notes(&self) -> Vec<String> {
        self.gateway.notes()
    }
}

/// What a reload works with.
pub(super) struct Reloader {
    pub(super) read_again: ReadAgain,
    /// In force, apart from what cannot change.
    pub(super) in_force: ArcSwap<Settings>,
    /// Held by the reload that runs: one at a time.
    pub(super) turn: Mutex<()>,
    pub(super) gateway: ArcSwap<WatchedGateway>,
    pub(super) provision: Provision,
    pub(super) authn: Authn,
    pub(super) lockout: Lockout,
    pub(super) log: LogFilter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) parts: Box<dyn Fn() -> gateway::Parts + Send + Sync>,
    /// How many clients there are places for, since the start.
    pub(super) connections: usize,
    pub(super) obtained: Obtained,
    /// In force.
    pub(super) certificates: watch::Sender<Option<Certificates>>,
    /// What the admin API shows over the network; in force.
    pub(super) admin_shown: Option<Shown>,
    pub(super) exchange: Exchange,
}

impl Reloader {
    /// Takes up the configuration as it is now; `asked_by` is nobody on a signal. Goes on to its end even when the
    /// caller stops waiting.
    pub(super) async fn reload(self: &Arc<Self>, asked_by: Option<Request>) -> Result<(), NotTaken> {
        let this = Arc::clone(self);
        let whole = tokio::spawn(async move { this.reload_and_report(asked_by).await });
        whole.await.unwrap_or_else(|_| Err(NotTaken::Failed("reading the configuration again failed".to_owned())))
    }

    /// How long it serves on at the end, and how long running requests may take then.
    pub(super) fn shutdown(&self) -> (Duration, Duration) {
        let in_force = self.in_force.load();
        (in_force.server.shutdown_delay, in_force.server.shutdown_timeout)
    }

    async fn reload_and_report(&self, asked_by: Option<Request>) -> Result<(), NotTaken> {
        // Who comes later reads what is there then.
        let _turn = self.turn.lock().await;
        let taken = self.take_up(asked_by.as_ref()).await;
        let outcome = match &taken {
            Ok(_) => "taken_up",
            Err(NotTaken::Invalid(_)) => "invalid",
            Err(NotTaken::NeedsRestart(_)) => "needs_restart",
            Err(NotTaken::Failed(_)) => "failed",
        };
        counter!("locum_config_reloads_total", "outcome" => outcome).increment(1);
        match taken {
            Ok(settings) => {
                tracing::info!(apps = settings.apps.len(), "the configuration was taken up anew");
                taken_up_at(&*self.clock);
                self.in_force.store(Arc::new(settings));
                Ok(())
            }
            Err(why) => {
                tracing::error!(%why, "the configuration was not taken up: the one in force stays");
                Err(why)
            }
        }
    }

    async fn take_up(&self, asked_by: Option<&Request>) -> Result<Settings, NotTaken> {
        let (read_again, obtained) = (Arc::clone(&self.read_again), self.obtained.clone());
        let read = tokio::task::spawn_blocking(move || {
            let settings = read_again()?;
            let entrance =
                entrance(&settings.server, &obtained).map_err(|error| NotTaken::Invalid(error.to_string()))?;
            let shown = admin_shown(&settings).map_err(|error| NotTaken::Invalid(error.to_string()))?;
            Ok((settings, entrance, shown))
        });
        let (settings, entrance, shown) =
            read.await.map_err(|error| NotTaken::Failed(format!("the configuration could not be read: {error}")))??;
        let gateway = Gateway::new(settings.gateway(), (self.parts)());
        let gateway = gateway.map_err(|problems| NotTaken::Invalid(gateway::in_words(&problems)))?;
        let gateway = gateway.in_place_of(&self.gateway.load().gateway);
        // Before anybody is sent there, so that the names of its apps are known.
        let watched = WatchedGateway::begin(&gateway).await;
        let apps = settings.apps.iter().map(|app| app.name().clone()).collect();
        provision::app::reload(&self.provision, asked_by, apps).await.map_err(|error| {
            NotTaken::Failed(format!("the store did not take the apps of the configuration: {error}"))
        })?;

        self.authn.take_up(settings.throttle, settings.judgement_wait);
        self.lockout.take_up(settings.lockout());
        self.provision.take_up(settings.provision());
        if let Err(error) = self.log.take_up(&settings.log.filter) {
            tracing::error!(%error, "a filter that was checked was not taken");
        }
        let limits = Limits { connections: self.connections, ..settings.limits.clone() };
        let limits = limits.with_tunnels(gateway.takes_upgrades());
        let certificates = entrance.tls.clone();
        if let Err(gone) = (self.exchange)(gateway, Arc::new(entrance), limits).await {
            // The other threads have changed, and this one serves nobody any more.
            tracing::error!(%gone, "a thread did not take up the configuration");
        }
        self.gateway.store(Arc::new(watched));
        if let (Some(in_force), Some(shown)) = (&self.admin_shown, shown) {
            in_force.store(shown);
        }
        self.certificates.send_replace(certificates);
        Ok(settings)
    }
}

/// Says in the metrics that what is in force was taken up now.
pub(super) fn taken_up_at(clock: &dyn Clock) {
    #[expect(clippy::cast_precision_loss, reason = "a time in seconds has few digits beside what a float holds")]
    let seconds = clock.now().as_millis() as f64 / 1000.0;
    gauge!("locum_config_last_taken_up_timestamp_seconds").set(seconds);
}

/// What the admin API shows over the network, if it speaks TLS there; reads the certificates, so it blocks.
pub(super) fn admin_shown(settings: &Settings) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let Some(tls) = settings.admin.network.as_ref().and_then(|network| network.tls.as_ref()) else { return Ok(None) };
    let certificates = Certificates::read(tls, &Obtained::default())?;
    certificates.meter();
    let mut config = ServerConfig::clone(&certificates.config());
    // Nothing else is spoken there.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// What new connections meet; reads the certificates, so it blocks.
pub(super) fn entrance(settings: &ServerSettings, obtained: &Obtained) -> Result<Entrance, TlsError> {
    let proxies = &settings.hops.trusted;
    let proxy_protocol = if settings.proxy_protocol { proxies.clone() } else { TrustedProxies::default() };
    let tls = settings.tls.as_ref().map(|tls| Certificates::read(tls, obtained)).transpose()?;
    Ok(Entrance { proxy_protocol, h2c: settings.h2c, tls })
}
