//! The data plane: from a client's request to an app's answer, or to a refusal.
//!
//! [`Gateway::stack`] is the path of a request, one layer a line. Each layer calls the next with what
//! it *proved*, by value: leaving one out, or swapping two, does not compile. What happened comes back
//! as a record with every answer, and the outermost layer turns it into the log and the metrics.
//!
//! Architecture invariant: this room does not know the store. It answers from what `authn` and `authz`
//! hold; a known credential costs no message, no lock that is waited for, and no call to anybody.

mod access_log;
mod blot;
mod body;
mod client;
mod early_hints;
mod forwarded;
mod frame_guard;
mod hangup;
pub mod head_guard;
mod hygiene;
mod identity_headers;
mod layer;
mod meters;
mod pace;
mod plan;
mod rate_limits;
mod record;
mod refusal;
mod settings;
mod slots;
mod spans;
mod trailers;
mod tunnel;
mod upstream;
mod visit;

use std::convert::Infallible;
use std::sync::Arc;

use http::Response;
use tower::{Service, ServiceBuilder};

pub use access_log::AccessLogSettings;
pub use body::{Body, BodyError};
pub use client::{HopSettings, HopWords, Scheme, TrustedProxies};
pub use frame_guard::{FrameGuard, PeerIs};
pub use hangup::Hangup;
pub use head_guard::HeadGuard;
pub use hygiene::never_arrives;
pub use identity_headers::{Asked, Field, HeaderLine, Piece, Preset};
pub use pace::Pace;
pub use plan::Plan;
pub use refusal::Refusal;
pub use settings::{
    AppSettings, ClientSettings, Identity, Problem, Resilience, SecretHeaderSettings, Settings, Timeouts, in_words,
};
pub use slots::SlotSettings;
pub use tunnel::{Origin, OriginError, Tunnel, TunnelSettings};
pub use upstream::{
    AppConnections, AppLimits, AppTlsError, AppTlsSettings, HealthCheck, Outlier, Resolver, Retry, TransportSettings,
    Watching,
};
pub use visit::{Arrival, Peer};

use crate::authn::Authn;
use crate::authz::Authz;
use crate::clock::Clock;
use crate::cluster::InFlight;
use crate::telemetry::trace::Traces;
use layer::{
    Authenticate, Authorize, Contain, Hygiene, Identify, LimitCallers, LimitSources, RequestIdLayer, Resolve, Route,
    Shed, Throttle, forward,
};

/// The hygiene of a head by itself, for its fuzz target.
///
/// # Errors
/// When the head is ambiguous.
#[cfg(fuzzing)]
pub fn clean(
    identity: impl IntoIterator<Item = http::HeaderName>,
    headers: &mut http::HeaderMap,
) -> Result<(), Refusal> {
    hygiene::Hygiene::new(identity, []).clean(http::Version::HTTP_11, headers)
}

/// What the gateway stands on.
#[derive(Debug, Clone)]
pub struct Parts {
    pub authn: Authn,
    pub authz: Authz,
    pub in_flight: InFlight,
    pub clock: Arc<dyn Clock>,
    pub app_connections: AppConnections,
    /// Tells the request ids of this run from those of another; drawn at random.
    pub run: u32,
    /// Where spans are put; `None`: nobody wants any.
    pub traces: Option<Traces>,
}

/// The gateway, from which each core takes a stack of its own.
#[derive(Debug, Clone)]
pub struct Gateway {
    settings: Arc<Settings>,
    parts: Parts,
    /// What all cores know of the apps together.
    shared: upstream::SharedApps,
    /// Of the node, and so of all cores.
    rate_limits: Arc<rate_limits::RateLimits>,
    slots: slots::Slots,
}

impl Gateway {
    /// Checks the settings as a whole.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(settings: Settings, parts: Parts) -> Result<Self, Vec<Problem>> {
        let connections = parts.app_connections.most();
        let slots = slots::Slots::new(settings.slots, connections);
        // Apps share what there is least of: else one that hangs could take every slot.
        let requests = connections.min(slots.most());
        let shared = upstream::SharedApps::new(&settings.apps, requests, settings.slots.reserved_percent);
        Plan::compile_with(&settings, &shared)?;
        let rate_limits = Arc::new(rate_limits::RateLimits::of(&settings));
        Ok(Self { settings: Arc::new(settings), parts, shared, rate_limits, slots })
    }

    /// Goes on with what callers have spent at the gateway whose place this one takes, wherever a limit is the same, and
    /// with the count of what runs.
    #[must_use]
    pub fn in_place_of(self, earlier: &Self) -> Self {
        let limits = rate_limits::RateLimits::after(&self.settings, &earlier.rate_limits, &earlier.settings);
        let slots = self.slots.clone().counting_with(&earlier.slots);
        Self { rate_limits: Arc::new(limits), slots, ..self }
    }

    /// Begins what goes on beside the requests, on this runtime: the names of instances are resolved, and their
    /// health is checked. Returns when every name was asked for once; before, nobody knows where they are.
    pub async fn watch(&self, resolver: &Resolver) -> Watching {
        upstream::watch(&self.settings, &self.shared, resolver, self.parts.app_connections.clone()).await
    }

    /// The instances of apps that are not asked now, and callers that are turned away, in words for an operator.
    pub fn notes(&self) -> Vec<String> {
        self.shared.notes().into_iter().chain(self.slots.note()).collect()
    }

    /// How many requests run, from the moment on in which they may have to wait.
    pub fn running(&self) -> usize {
        self.slots.running()
    }

    /// Whether any route lets a connection become a tunnel.
    pub fn takes_upgrades(&self) -> bool {
        let routes = self.settings.apps.iter().flat_map(|app| &app.routing.routes);
        routes.into_iter().any(|route| !route.rule.upgrades.is_empty())
    }

    /// THE STACK, outermost first. To be called once a core, on its runtime: pools, caches and counters
    /// are its own, and the clones of one stack share them.
    ///
    /// # Panics
    /// Never: the settings were compiled once before, when the gateway was made.
    pub fn stack(
        &self,
        core: u16,
    ) -> impl Service<Arrival, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + 'static
    + use<> {
        let Parts { authn, authz, in_flight, clock, app_connections, run, traces } = self.parts.clone();
        let plan = Plan::compile_with(&self.settings, &self.shared)
            .expect("the same settings were compiled in `Gateway::new`");
        let upstream = upstream::Upstreams::new(plan.instances, app_connections);
        let plan = Arc::new(plan);
        let meters = Arc::new(meters::Meters::new(&self.settings));
        let ids = Arc::new(visit::RequestIds::new(run, core));
        let hops = Arc::new(self.settings.hops.clone());
        let access_log = Arc::new(access_log::AccessLog::new(self.settings.access_log));
        let tracer = traces.map(|traces| Arc::new(traces.tracer()));

        ServiceBuilder::new()
            .layer(RequestIdLayer { ids, clock, meters, hops, access_log, tracer })
            .layer(Contain)
            .layer(Hygiene { plan: Arc::clone(&plan) })
            .layer(Route { plan: Arc::clone(&plan) })
            .layer(LimitSources { limits: Arc::clone(&self.rate_limits) })
            .layer(Identify { authn: authn.clone(), plan: Arc::clone(&plan) })
            .layer(Throttle { authn: authn.clone() })
            .layer(Shed { authn: authn.clone(), slots: Arc::new(self.slots.clone()) })
            .layer(Authenticate { authn, in_flight })
            .layer(Resolve { authz })
            .layer(Authorize)
            .layer(LimitCallers { limits: Arc::clone(&self.rate_limits) })
            .service(forward(plan, upstream))
    }
}
