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
use crate::policy::Route;

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

    pub(super) const fn attempt(&self) -> Option<&Attempt> {
        self.attempt.as_ref()
    }

    pub(super) fn route(&self) -> &Route {
        &self.destination.route
    }

    /// Whether its credential was proven on this node, although it is to be judged again.
    pub(super) fn was_proven_by(&self, authn: &Authn) -> bool {
        let address = Some(self.visit.client.address());
        self.attempt.as_ref().is_some_and(|attempt| authn.has_proven(&attempt.presented, address, self.visit.now))
    }

    /// Whose it is goes into the log all the same, where that is known.
    pub(super) fn refuse(mut self, refusal: &Refusal) -> Answered {
        self.visit.record.who = self.attempt.and_then(|attempt| attempt.known);
        self.visit.refuse(refusal)
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
