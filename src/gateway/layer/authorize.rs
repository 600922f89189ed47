//! Asks the rule of the route: a permit, or a denial with its reason.

use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::resolve::{Principal, Resolved};
use super::route::Destination;
use super::{NowOr, Step, now};
use crate::directory::AccountId;
use crate::gateway::refusal::Refusal;
use crate::gateway::slots::Slot;
use crate::gateway::visit::{Answered, Visit};
use crate::policy::{self, Denial, Permit};

/// Decides.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Authorize;

impl<S> Layer<S> for Authorize {
    type Service = Authorizing<S>;

    fn layer(&self, inner: S) -> Authorizing<S> {
        Authorizing { inner }
    }
}

/// See [`Authorize`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Authorizing<S> {
    inner: S,
}

/// A request that may be forwarded, with the permit that says so.
#[derive(Debug)]
pub(in crate::gateway) struct Permitted {
    visit: Visit,
    destination: Destination,
    slot: Slot,
    who: Option<Principal>,
    permit: Permit,
}

impl Permitted {
    pub(super) fn into_parts(self) -> (Visit, Destination, Slot, Option<Principal>, Permit) {
        (self.visit, self.destination, self.slot, self.who, self.permit)
    }

    /// What it is counted by.
    pub(super) fn whose(&self) -> (&policy::Route, Option<AccountId>, IpAddr) {
        let account = self.who.as_ref().map(|who| who.proven.account);
        (&self.destination.route, account, self.visit.client.address())
    }

    pub(super) fn refuse(self, refusal: &Refusal) -> Answered {
        self.visit.refuse(refusal)
    }
}

impl<S: Step<Permitted>> Service<Resolved> for Authorizing<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, resolved: Resolved) -> Self::Future {
        let (visit, destination, slot, who) = resolved.into_parts();
        let route = &destination.route;
        let principal = who
            .as_ref()
            .map(|who| policy::Principal { roles: &who.in_force.roles, restrictions: &who.proven.restrictions });
        match policy::decide(&route.app, &route.rule, principal, visit.request.method()) {
            Ok(permit) => Either::Right(self.inner.call(Permitted { visit, destination, slot, who, permit })),
            Err(Denial::CredentialRequired) => {
                let reason = Denial::CredentialRequired.slug();
                now(visit.refuse(&Refusal::Unauthenticated { accept: route.rule.accept, reason }))
            }
            Err(denial) => now(visit.refuse(&Refusal::Denied(denial))),
        }
    }
}
