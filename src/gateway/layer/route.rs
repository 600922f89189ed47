//! Finds the one route of a request, or refuses it: no match is no way through (G4).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::HeaderValue;
use tower::{Layer, Service};

use super::hygiene::Sanitised;
use super::{NowOr, Step, now};
use crate::gateway::plan::Plan;
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::{Answered, Visit};
use crate::policy::host::PresentedHost;
use crate::policy::{Miss, PathRefusal, Readings, Route as Found};

/// Host, path and method to app and rule.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Route {
    pub(in crate::gateway) plan: Arc<Plan>,
}

impl<S> Layer<S> for Route {
    type Service = Routing<S>;

    fn layer(&self, inner: S) -> Routing<S> {
        Routing { plan: Arc::clone(&self.plan), inner }
    }
}

/// See [`Route`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Routing<S> {
    plan: Arc<Plan>,
    inner: S,
}

/// A request whose every reading belongs to one route.
#[derive(Debug)]
pub(in crate::gateway) struct Routed {
    visit: Visit,
    destination: Destination,
}

/// Where a request is bound for: its route, and its host as the client wrote it.
#[derive(Debug)]
pub(in crate::gateway) struct Destination {
    pub(super) route: Arc<Found>,
    pub(super) host: HeaderValue,
}

impl Routed {
    pub(super) fn into_parts(self) -> (Visit, Destination) {
        (self.visit, self.destination)
    }
}

impl<S: Step<Routed>> Service<Sanitised> for Routing<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, sanitised: Sanitised) -> Self::Future {
        let (mut visit, host) = sanitised.into_parts();
        match find(&self.plan, &visit, &host) {
            Ok(route) => {
                visit.record.route = Some(Arc::clone(&route));
                let destination = Destination { route, host };
                Either::Right(self.inner.call(Routed { visit, destination }))
            }
            Err(refusal) => now(visit.refuse(&refusal)),
        }
    }
}

fn find(plan: &Plan, visit: &Visit, host: &HeaderValue) -> Result<Arc<Found>, Refusal> {
    let host = host.to_str().ok().and_then(|host| PresentedHost::parse(host).ok()).ok_or(Refusal::Malformed("host"))?;
    let path = visit.request.uri().path();
    let refused = |refusal: PathRefusal| Refusal::Malformed(refusal.slug());
    let readings = Readings::of(path).map_err(refused)?;
    let route = plan.table.find(&host, &readings, visit.request.method()).map_err(|miss| match miss {
        Miss::NoRoute => Refusal::NoRoute,
        Miss::Method { allowed } => Refusal::Method { allowed },
        Miss::Ambiguous => Refusal::Malformed("path_ambiguous"),
    })?;
    if matches!(readings, Readings::Several(_)) {
        route.rule.takes(path).map_err(refused)?;
    }
    Ok(Arc::clone(route))
}
