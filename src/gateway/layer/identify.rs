//! Reads what was presented, and takes it out of the head: whatever Locum consumed never goes on (G7).
//!
//! What no accepted scheme claims belongs to the app and stays (G2), with one exception: a text that is
//! one of Locum's own tokens stays nowhere, also where the route does not accept its scheme.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use tower::{Layer, Service};

use super::route::{Destination, Routed};
use super::{NowOr, Step, now};
use crate::authn::{Accepts, Authn, Presentation, Presented, carries_a_token};
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::{Answered, Visit};

/// Parses, and believes nothing.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Identify {
    pub(in crate::gateway) authn: Authn,
}

impl<S> Layer<S> for Identify {
    type Service = Identifying<S>;

    fn layer(&self, inner: S) -> Identifying<S> {
        Identifying { authn: self.authn.clone(), inner }
    }
}

/// See [`Identify`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Identifying<S> {
    authn: Authn,
    inner: S,
}

/// A request with what it presented taken out of its head.
#[derive(Debug)]
pub(in crate::gateway) struct PresentedRequest {
    visit: Visit,
    destination: Destination,
    credential: Option<Credential>,
}

/// A credential as it was presented: read, and as it stood in the head.
#[derive(Debug)]
pub(in crate::gateway) struct Credential {
    pub(super) presented: Presented,
    header: HeaderValue,
    accepts: Accepts,
}

impl PresentedRequest {
    pub(super) fn into_parts(self) -> (Visit, Destination, Option<Credential>) {
        (self.visit, self.destination, self.credential)
    }
}

impl Credential {
    /// Reads it once more, for being judged again.
    pub(super) fn read_again(&self, authn: &Authn) -> Option<Presented> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, self.header.clone())]);
        match authn.identify(&headers, &self.accepts) {
            Presentation::Claimed(presented) => Some(presented),
            Presentation::Absent | Presentation::Repeated => None,
        }
    }
}

impl<S: Step<PresentedRequest>> Service<Routed> for Identifying<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, routed: Routed) -> Self::Future {
        let (mut visit, destination) = routed.into_parts();
        let accept = destination.route.rule.accept;
        let accepts = Accepts { basic: accept.basic, bearer: accept.bearer, username_header: None };
        let presentation = self.authn.identify(visit.request.headers(), &accepts);
        let headers = visit.request.headers_mut();
        let credential = match presentation {
            Presentation::Repeated => return now(visit.refuse(&Refusal::Malformed("authorization_repeated"))),
            Presentation::Claimed(presented) => {
                headers.remove(AUTHORIZATION).map(|header| Credential { presented, header, accepts })
            }
            Presentation::Absent => {
                if headers.get(AUTHORIZATION).is_some_and(|value| carries_a_token(value.as_bytes())) {
                    headers.remove(AUTHORIZATION);
                }
                None
            }
        };
        Either::Right(self.inner.call(PresentedRequest { visit, destination, credential }))
    }
}
