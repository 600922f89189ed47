//! Stops a source that has failed too often, before anything is judged; what this node has proven
//! before passes (L8, decision 6).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::identify::PresentedRequest;
use super::route::Destination;
use super::{NowOr, Step, now};
use crate::authn::{Authn, Presented, Proven};
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::{Answered, Visit};

/// Admits what is known, and what comes from a source that may still try.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Throttle {
    pub(in crate::gateway) authn: Authn,
}

impl<S> Layer<S> for Throttle {
    type Service = Throttling<S>;

    fn layer(&self, inner: S) -> Throttling<S> {
        Throttling { authn: self.authn.clone(), inner }
    }
}

/// See [`Throttle`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Throttling<S> {
    authn: Authn,
    inner: S,
}

/// A request that may be judged.
#[derive(Debug)]
pub(in crate::gateway) struct Admitted {
    visit: Visit,
    destination: Destination,
    attempt: Option<Attempt>,
}

/// A credential, and who it is if this node has proven it before.
#[derive(Debug)]
pub(in crate::gateway) struct Attempt {
    pub(super) presented: Presented,
    pub(super) known: Option<Arc<Proven>>,
}

impl Admitted {
    pub(super) fn into_parts(self) -> (Visit, Destination, Option<Attempt>) {
        (self.visit, self.destination, self.attempt)
    }
}

impl<S: Step<Admitted>> Service<PresentedRequest> for Throttling<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: PresentedRequest) -> Self::Future {
        let (visit, destination, credential) = request.into_parts();
        let address = Some(visit.client.address());
        let attempt = credential.map(|presented| {
            let known = self.authn.recall(&presented, address, visit.now);
            Attempt { presented, known }
        });
        let unknown = attempt.as_ref().filter(|attempt| attempt.known.is_none());
        if let Some(Attempt { presented, .. }) = unknown
            && let Some(wait) = self.authn.throttled(presented, address, visit.now)
        {
            return now(visit.refuse(&Refusal::Throttled(wait)));
        }
        Either::Right(self.inner.call(Admitted { visit, destination, attempt }))
    }
}
