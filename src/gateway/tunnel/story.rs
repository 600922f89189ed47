//! What is said of a tunnel: its beginning is a line of the access log, as every answer is; this is the rest.

use std::sync::Arc;
use std::time::Instant;

use metrics::{Gauge, counter, gauge};

use super::relay::End;
use crate::authn::Proven;
use crate::gateway::visit::RequestId;
use crate::policy::Route;

/// Whose tunnel it is.
#[derive(Debug)]
pub(in crate::gateway) struct Told {
    pub(in crate::gateway) id: RequestId,
    pub(in crate::gateway) route: Arc<Route>,
    pub(in crate::gateway) who: Option<Arc<Proven>>,
    /// `HOST:PORT`
    pub(in crate::gateway) upstream: Option<Arc<str>>,
}

/// A tunnel that is open; counted as long as this lives.
pub(super) struct Story {
    told: Told,
    since: Instant,
    open: Gauge,
}

impl Story {
    pub(super) fn begin(told: Told) -> Self {
        let open = gauge!("locum_tunnels_open", "app" => told.route.app.to_string());
        open.increment(1.0);
        Self { told, since: Instant::now(), open }
    }

    /// One line at the end of each tunnel, beside the one of the access log that told of its beginning. `moved` are the
    /// bytes to the app and to the client.
    pub(super) fn end(self, end: &End, moved: [u64; 2]) {
        let Told { id, route, who, upstream } = &self.told;
        counter!("locum_tunnels_ended_total", "app" => route.app.to_string(), "why" => end.slug()).increment(1);
        if let End::App(error) | End::Client(error) = end {
            tracing::debug!(%error, request_id = id.as_str(), "a tunnel failed");
        }
        tracing::info!(
            target: "locum::tunnel",
            request_id = id.as_str(),
            app = route.app.as_str(),
            route = route.path.as_str(),
            account = who.as_ref().map(|who| who.username.as_str()),
            pat = who.as_ref().map(|who| who.pat.as_str()),
            upstream = upstream.as_deref(),
            ended = end.slug(),
            bytes_to_app = moved[0],
            bytes_to_client = moved[1],
            duration_us = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}
