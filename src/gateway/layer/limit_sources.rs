//! Counts requests by the source that they come from, before anything of them is judged (G4).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::route::{Destination, Routed};
use super::{NowOr, Step, now};
use crate::gateway::rate_limits::RateLimits;
use crate::gateway::visit::{Answered, Visit};

/// Keeps a source within its limits of rate.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct LimitSources {
    pub(in crate::gateway) limits: Arc<RateLimits>,
}

impl<S> Layer<S> for LimitSources {
    type Service = LimitingSources<S>;

    fn layer(&self, inner: S) -> LimitingSources<S> {
        LimitingSources { limits: Arc::clone(&self.limits), inner }
    }
}

/// See [`LimitSources`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct LimitingSources<S> {
    limits: Arc<RateLimits>,
    inner: S,
}

/// A request from a source that has not asked too often.
#[derive(Debug)]
pub(in crate::gateway) struct FromWithinLimits {
    visit: Visit,
    destination: Destination,
}

impl FromWithinLimits {
    pub(super) fn into_parts(self) -> (Visit, Destination) {
        (self.visit, self.destination)
    }
}

impl<S: Step<FromWithinLimits>> Service<Routed> for LimitingSources<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed) -> Self::Future {
        let (visit, destination) = routed.into_parts();
        match self.limits.charge_source(&destination.route, visit.client.address()) {
            Ok(()) => Either::Right(self.inner.call(FromWithinLimits { visit, destination })),
            Err(refusal) => now(visit.refuse(&refusal)),
        }
    }
}
