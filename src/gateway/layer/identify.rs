//! Reads what was presented, and takes it out of the head: whatever Locum consumed never goes on (G7).
//!
//! What no accepted scheme claims belongs to the app and stays (G2), with two exceptions that hold on
//! every route, whatever it accepts: a text that is one of Locum's own tokens stays nowhere, and neither
//! do the headers that are Locum's to read.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::AUTHORIZATION;
use tower::{Layer, Service};

use super::limit_sources::FromWithinLimits;
use super::route::Destination;
use super::{NowOr, Step, now};
use crate::authn::{Accepts, Authn, Presentation, Presented, carries_a_token};
use crate::gateway::plan::Plan;
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::{Answered, Visit};

/// Parses, and believes nothing.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Identify {
    pub(in crate::gateway) authn: Authn,
    pub(in crate::gateway) plan: Arc<Plan>,
}

impl<S> Layer<S> for Identify {
    type Service = Identifying<S>;

    fn layer(&self, inner: S) -> Identifying<S> {
        Identifying { layer: self.clone(), inner }
    }
}

/// See [`Identify`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Identifying<S> {
    layer: Identify,
    inner: S,
}

/// A request with what it presented taken out of its head.
#[derive(Debug)]
pub(in crate::gateway) struct PresentedRequest {
    visit: Visit,
    destination: Destination,
    credential: Option<Presented>,
}

impl PresentedRequest {
    pub(super) fn into_parts(self) -> (Visit, Destination, Option<Presented>) {
        (self.visit, self.destination, self.credential)
    }
}

impl<S: Step<PresentedRequest>> Service<FromWithinLimits> for Identifying<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: FromWithinLimits) -> Self::Future {
        let (mut visit, destination) = request.into_parts();
        let accepts = Accepts::of(&destination.route.rule);
        let presentation = self.layer.authn.identify(visit.request.headers(), &accepts);
        let headers = visit.request.headers_mut();
        let credential = match presentation {
            Presentation::Repeated => return now(visit.refuse(&Refusal::Malformed("authorization_repeated"))),
            Presentation::Two => return now(visit.refuse(&Refusal::Malformed("two_credentials"))),
            Presentation::Claimed { presented, in_authorization } => {
                if in_authorization {
                    headers.remove(AUTHORIZATION);
                }
                Some(presented)
            }
            Presentation::Absent => None,
        };
        if headers.get(AUTHORIZATION).is_some_and(|value| carries_a_token(value.as_bytes())) {
            headers.remove(AUTHORIZATION);
        }
        self.layer.plan.take_what_is_locums(headers);
        Either::Right(self.inner.call(PresentedRequest { visit, destination, credential }))
    }
}
