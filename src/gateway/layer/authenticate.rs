//! From a credential to an account, and onto the register of what can be cut.
//!
//! What this node has proven before is answered at once; only the rest waits for the control runtime,
//! and only that is boxed. The guard is entered before the stamp of the proof is looked at for the last
//! time, so a change that withdraws access either is seen here or cuts what runs (R2, R3).

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};

use super::route::Destination;
use super::shed::{LATE, Seated};
use super::throttle::Attempt;
use super::{NowOr, Step};
use crate::authn::{Authn, Proven, Source, Verdict};
use crate::cluster::{Guard, InFlight, Ticket};
use crate::gateway::refusal::Refusal;
use crate::gateway::slots::Slot;
use crate::gateway::visit::{Answered, Visit};

/// How often a credential is judged when its account keeps changing meanwhile.
const MOST_JUDGEMENTS: usize = 4;

/// Asks who it is.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Authenticate {
    pub(in crate::gateway) authn: Authn,
    pub(in crate::gateway) in_flight: InFlight,
}

impl<S> Layer<S> for Authenticate {
    type Service = Authenticating<S>;

    fn layer(&self, inner: S) -> Authenticating<S> {
        Authenticating { layer: self.clone(), inner }
    }
}

/// See [`Authenticate`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Authenticating<S> {
    layer: Authenticate,
    inner: S,
}

/// A request of a known account, or of nobody.
#[derive(Debug)]
pub(in crate::gateway) struct Authenticated {
    visit: Visit,
    destination: Destination,
    slot: Slot,
    who: Option<Identity>,
}

/// Who it is, and the guard by which it can be cut.
#[derive(Debug)]
pub(in crate::gateway) struct Identity {
    pub(super) proven: Arc<Proven>,
    pub(super) guard: Arc<Guard>,
}

impl Authenticated {
    pub(super) fn into_parts(self) -> (Visit, Destination, Slot, Option<Identity>) {
        (self.visit, self.destination, self.slot, self.who)
    }
}

impl<S: Step<Authenticated>> Service<Seated> for Authenticating<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = Either<NowOr<S::Future>, BoxFuture<'static, Result<Answered, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, seated: Seated) -> Self::Future {
        let (admitted, slot) = seated.into_parts();
        let (visit, destination, attempt) = admitted.into_parts();
        let Some(attempt) = attempt else {
            let authenticated = Authenticated { visit, destination, slot, who: None };
            return Either::Left(Either::Right(self.inner.call(authenticated)));
        };
        if let Some(known) = &attempt.known
            && let Some(who) = self.layer.enter(known, Some(visit.client.address()))
        {
            return Either::Left(Either::Right(self.inner.call(admit(visit, destination, slot, who))));
        }
        let (layer, mut inner) = (self.layer.clone(), self.inner.clone());
        Either::Right(Box::pin(async move {
            match layer.judge(attempt, &visit, &destination).await {
                Ok(who) => inner.call(admit(visit, destination, slot, who)).await,
                Err(refusal) => Ok(visit.refuse(&refusal)),
            }
        }))
    }
}

fn admit(mut visit: Visit, destination: Destination, slot: Slot, who: Identity) -> Authenticated {
    who.proven.is_used(Some(visit.client.address()), &destination.route.app);
    visit.record.who = Some(Arc::clone(&who.proven));
    Authenticated { visit, destination, slot, who: Some(who) }
}

impl Authenticate {
    /// Enters the register, unless something changed for the account since it was proven.
    fn enter(&self, proven: &Arc<Proven>, source: Option<IpAddr>) -> Option<Identity> {
        let ticket = Ticket {
            account: proven.account,
            owner: proven.kind.owner(),
            pat: proven.pat,
            source,
            expires_at: proven.expires_at,
        };
        let guard = self.in_flight.enter(ticket, || proven.stamp.holds())?;
        Some(Identity { proven: Arc::clone(proven), guard: Arc::new(guard) })
    }

    async fn judge(&self, attempt: Attempt, visit: &Visit, destination: &Destination) -> Result<Identity, Refusal> {
        let source = Source { address: Some(visit.client.address()) };
        let accept = destination.route.rule.accept;
        for _judgement in 0..MOST_JUDGEMENTS {
            match self.authn.judge(attempt.presented.duplicate(), source, visit.now).await {
                Verdict::Proven(proven) => {
                    if let Some(identity) = self.enter(&proven, source.address) {
                        return Ok(identity);
                    }
                }
                Verdict::Refused(reason) => return Err(Refusal::Unauthenticated { accept, reason: reason.slug() }),
                Verdict::Throttled(wait) => return Err(Refusal::Throttled(wait)),
                Verdict::Late => return Err(Refusal::Shed(LATE)),
                Verdict::Unavailable => return Err(Refusal::Undecided("authentication_unavailable")),
            }
        }
        Err(Refusal::Undecided("account_keeps_changing"))
    }
}
