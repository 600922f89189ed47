//! Counts requests that may be made, by the account that makes them and all together (G4).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::authorize::Permitted;
use super::{NowOr, Step, now};
use crate::gateway::rate_limits::RateLimits;
use crate::gateway::visit::Answered;

/// Keeps accounts within their limits of rate.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct LimitCallers {
    pub(in crate::gateway) limits: Arc<RateLimits>,
}

impl<S> Layer<S> for LimitCallers {
    type Service = LimitingCallers<S>;

    fn layer(&self, inner: S) -> LimitingCallers<S> {
        LimitingCallers { limits: Arc::clone(&self.limits), inner }
    }
}

/// See [`LimitCallers`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct LimitingCallers<S> {
    limits: Arc<RateLimits>,
    inner: S,
}

/// A permitted request of a caller that has not asked too often.
#[derive(Debug)]
pub(in crate::gateway) struct WithinLimits(Permitted);

impl WithinLimits {
    pub(super) fn into_inner(self) -> Permitted {
        self.0
    }
}

impl<S: Step<WithinLimits>> Service<Permitted> for LimitingCallers<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = NowOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, permitted: Permitted) -> Self::Future {
        let (route, account, address) = permitted.whose();
        match self.limits.charge_caller(route, account, address) {
            Ok(()) => Either::Right(self.inner.call(WithinLimits(permitted))),
            Err(refusal) => now(permitted.refuse(&refusal)),
        }
    }
}
