//! From an account to what is in force for it now: roles, apps, permissions, capped by its owner (P5).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};

use super::Step;
use super::authenticate::{Authenticated, Identity};
use super::route::Destination;
use crate::authn::Proven;
use crate::authz::{Authz, InForce, Resolution};
use crate::cluster::Guard;
use crate::gateway::refusal::Refusal;
use crate::gateway::slots::Slot;
use crate::gateway::visit::{Answered, Visit};

/// Asks what they hold.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Resolve {
    pub(in crate::gateway) authz: Authz,
}

impl<S> Layer<S> for Resolve {
    type Service = Resolving<S>;

    fn layer(&self, inner: S) -> Resolving<S> {
        Resolving { authz: self.authz.clone(), inner }
    }
}

/// See [`Resolve`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Resolving<S> {
    authz: Authz,
    inner: S,
}

/// A request of somebody whose rights are known, or of nobody.
#[derive(Debug)]
pub(in crate::gateway) struct Resolved {
    visit: Visit,
    destination: Destination,
    slot: Slot,
    who: Option<Principal>,
}

/// Who it is, and what is in force for them.
#[derive(Debug)]
pub(in crate::gateway) struct Principal {
    pub(super) proven: Arc<Proven>,
    pub(super) in_force: Arc<InForce>,
    pub(super) guard: Arc<Guard>,
}

impl Resolved {
    pub(super) fn into_parts(self) -> (Visit, Destination, Slot, Option<Principal>) {
        (self.visit, self.destination, self.slot, self.who)
    }
}

impl<S: Step<Resolved>> Service<Authenticated> for Resolving<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Answered, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, authenticated: Authenticated) -> Self::Future {
        let (visit, destination, slot, who) = authenticated.into_parts();
        let Some(who) = who else {
            return Either::Left(self.inner.call(Resolved { visit, destination, slot, who: None }));
        };
        if let Some(in_force) = self.authz.recall(who.proven.account) {
            let who = Some(principal(who, in_force));
            return Either::Left(self.inner.call(Resolved { visit, destination, slot, who }));
        }
        let resolution = self.authz.resolve(who.proven.account);
        let mut inner = self.inner.clone();
        Either::Right(Box::pin(async move {
            let accept = destination.route.rule.accept;
            match resolution.await {
                Resolution::InForce(in_force) => {
                    let who = Some(principal(who, in_force));
                    inner.call(Resolved { visit, destination, slot, who }).await
                }
                Resolution::Withdrawn(why) => {
                    Ok(visit.refuse(&Refusal::Unauthenticated { accept, reason: why.slug() }))
                }
                Resolution::Unavailable => Ok(visit.refuse(&Refusal::Undecided("resolution_unavailable"))),
            }
        }))
    }
}

fn principal(Identity { proven, guard }: Identity, in_force: Arc<InForce>) -> Principal {
    Principal { proven, in_force, guard }
}
