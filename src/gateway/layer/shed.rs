//! Turns callers away when there is more to do than can be done, strangers first (G12, DS-001).
//!
//! Here, because only now it is known whose credential this node has proven, and from here on a request waits: what was
//! refused before has cost a look at its head, and held nothing. Nobody is asked to judge what is turned away, and no
//! byte of its body was read.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::throttle::Admitted;
use super::{NowOr, Step, now};
use crate::authn::Authn;
use crate::gateway::refusal::Refusal;
use crate::gateway::slots::{Caller, Slot, Slots};
use crate::gateway::visit::Answered;

/// Too many wait to be judged.
pub(super) const LATE: &str = "judgements_late";

/// Gives each request a slot among what runs in the process.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Shed {
    pub(in crate::gateway) authn: Authn,
    /// This core's handle, so that counting references to it is no business of others.
    pub(in crate::gateway) slots: Arc<Slots>,
}

impl<S> Layer<S> for Shed {
    type Service = Shedding<S>;

    fn layer(&self, inner: S) -> Shedding<S> {
        Shedding { layer: self.clone(), inner }
    }
}

/// See [`Shed`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Shedding<S> {
    layer: Shed,
    inner: S,
}

/// A request that may run, and its slot.
#[derive(Debug)]
pub(in crate::gateway) struct Seated {
    admitted: Admitted,
    slot: Slot,
}

impl Seated {
    pub(super) fn into_parts(self) -> (Admitted, Slot) {
        (self.admitted, self.slot)
    }
}

impl<S: Step<Seated>> Service<Admitted> for Shedding<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, admitted: Admitted) -> Self::Future {
        match self.layer.slot_for(&admitted) {
            Ok(slot) => Either::Right(self.inner.call(Seated { admitted, slot })),
            Err(refusal) => now(admitted.refuse(&refusal)),
        }
    }
}

impl Shed {
    fn slot_for(&self, admitted: &Admitted) -> Result<Slot, Refusal> {
        let Some(attempt) = admitted.attempt() else {
            let public = admitted.route().rule.public;
            return self.slots.take(if public { Caller::Stranger } else { Caller::ToBeAsked });
        };
        if attempt.known.is_some() {
            return self.slots.take(Caller::Known);
        }
        let as_a_stranger =
            if self.authn.is_behind() { Err(Refusal::Shed(LATE)) } else { self.slots.take(Caller::Stranger) };
        as_a_stranger.or_else(|refusal| {
            // One whose name others guess at is judged anew, and is no stranger for that.
            if admitted.was_proven_by(&self.authn) { self.slots.take(Caller::Known) } else { Err(refusal) }
        })
    }
}
