//! What all cores know of one app together: how its instances stand, and how many requests run.
//!
//! While all is well a core reads one flag here and counts itself in and out; only when something is wrong is
//! there a lock, for as long as it takes to look at a handful of numbers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bulkhead::{Bulkhead, Counts};
use super::endpoint::Endpoint;
use super::standing::{Asked, Change, Standings, Verdict};
use crate::gateway::settings::AppSettings;

/// What all cores know of all apps, in the order of the settings.
#[derive(Debug, Clone)]
pub(crate) struct SharedApps(Arc<[Arc<SharedApp>]>);

impl SharedApps {
    /// `requests`: how many may run at all apps, and `reserved_percent`: how many of a hundred strangers cannot have.
    pub(crate) fn new(apps: &[AppSettings], requests: usize, reserved_percent: u8) -> Self {
        let counts = Counts::of(apps.len());
        let shared = |(at, app): (usize, &AppSettings)| {
            let bulkhead = Bulkhead::new(counts.clone(), at, app.resilience.limits, requests, reserved_percent);
            Arc::new(SharedApp::new(app, bulkhead))
        };
        Self(apps.iter().enumerate().map(shared).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<SharedApp>> {
        self.0.iter()
    }

    /// The instances that are left alone now, in words for an operator.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.iter().flat_map(|app| app.notes()).collect()
    }
}

/// One app.
#[derive(Debug)]
pub(crate) struct SharedApp {
    name: String,
    /// Its instances, in the order of the settings.
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) bulkhead: Arc<Bulkhead>,
    /// Whether somebody has to look at how the instances stand.
    trouble: AtomicBool,
    standings: Mutex<Standings>,
    /// Of each instance.
    good: Box<[Good]>,
}

/// How many good answers one instance gave, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Good(AtomicU64);

/// A request that is sent to an instance, and what that had done until then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    asked: Asked,
    good: u64,
}

impl Sent {
    pub(super) const fn is_trial(&self) -> bool {
        self.asked.trial
    }
}

impl SharedApp {
    fn new(app: &AppSettings, bulkhead: Bulkhead) -> Self {
        let name = app.name().to_string();
        let endpoints: Vec<_> = app.upstreams.iter().map(|authority| Arc::new(Endpoint::new(authority))).collect();
        Self {
            name,
            bulkhead: Arc::new(bulkhead),
            trouble: AtomicBool::new(false),
            standings: Mutex::new(Standings::new(endpoints.len(), app.resilience.outlier)),
            good: endpoints.iter().map(|_| Good::default()).collect(),
            endpoints,
        }
    }

    /// Says of every instance in the metrics how it stands.
    pub(super) fn show(&self) {
        let standings = self.standings();
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            gauge(&self.name, endpoint).set(if standings.is_out(at) { 0.0 } else { 1.0 });
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How the instances stand, when they do not all stand alike.
    pub(super) fn trouble(&self) -> Option<MutexGuard<'_, Standings>> {
        self.trouble.load(Ordering::Acquire).then(|| self.standings())
    }

    /// Takes note of a request that is now sent to an instance.
    pub(super) fn send(&self, at: usize, trial: bool) -> Sent {
        Sent { asked: Asked { at: Instant::now(), trial }, good: self.good[at].0.load(Ordering::Relaxed) }
    }

    /// Takes note of how an exchange ended.
    pub(super) fn record(&self, at: usize, verdict: Verdict, sent: Sent) {
        if verdict == Verdict::Well {
            self.good[at].0.fetch_add(1, Ordering::Relaxed);
            if !self.trouble.load(Ordering::Acquire) {
                return;
            }
        } else if self.good[at].0.load(Ordering::Relaxed) != sent.good {
            // Others were answered well meanwhile: it was this request, and not the instance.
            if sent.is_trial() {
                self.abandon_trial(at);
            }
            return;
        }
        self.change(at, |standings, now| standings.record(at, verdict, sent.asked, now));
    }

    pub(super) fn abandon_trial(&self, at: usize) {
        self.change(at, |standings, now| {
            standings.abandon_trial(at, now);
            None
        });
    }

    /// Takes note of what an active check says.
    pub(super) fn check(&self, at: usize, well: bool) {
        self.change(at, |standings, now| standings.check(at, well, now));
    }

    /// How long whoever finds no instance should wait.
    pub(crate) fn try_again_after(&self) -> Duration {
        self.standings().soonest(Instant::now())
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut Standings, Instant) -> Option<Change>) {
        let now = Instant::now();
        let mut standings = self.standings();
        let changed = change(&mut standings, now);
        self.trouble.store(!standings.is_clear(now), Ordering::Release);
        let is_out = standings.is_out(at);
        drop(standings);
        if let Some(changed) = changed {
            self.tell(at, changed, is_out);
        }
    }

    fn tell(&self, at: usize, change: Change, is_out: bool) {
        let endpoint = &self.endpoints[at];
        gauge(&self.name, endpoint).set(if is_out { 0.0 } else { 1.0 });
        let (app, upstream) = (self.name.as_str(), endpoint.authority());
        match change {
            Change::Out { why, time } => {
                let labels = [("app", self.name.clone()), ("upstream", upstream.to_string()), ("why", why.to_owned())];
                metrics::counter!("locum_upstream_ejections_total", &labels).increment(1);
                let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(app, %upstream, why, time_ms, "an instance of an app is left alone");
            }
            Change::Back if !is_out => tracing::info!(app, %upstream, "an instance of an app is asked again"),
            Change::Back => {}
        }
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let Some(standings) = self.trouble() else { return Vec::new() };
        let out = self.endpoints.iter().enumerate().filter(|(at, _)| standings.is_out(*at));
        out.map(|(_, endpoint)| format!("app `{}`: {} is left alone", self.name, endpoint.authority())).collect()
    }

    fn standings(&self) -> MutexGuard<'_, Standings> {
        // They are whole after every single step, so a panic elsewhere leaves nothing half done.
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 1 while an instance is asked, 0 while it is left alone.
fn gauge(app: &str, endpoint: &Endpoint) -> metrics::Gauge {
    metrics::gauge!("locum_upstream_up", "app" => app.to_owned(), "upstream" => endpoint.authority().to_string())
}
