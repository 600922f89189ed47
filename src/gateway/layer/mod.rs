//! The layers, outermost first, and what each hands to the next as the proof of its work.
//!
//! ```text
//!   request_id     Arrival          → Visit             the id, and the client behind trusted proxies; the access log and the metrics on the way back
//!   contain        Visit            → Visit             a panic becomes an answer
//!   hygiene        Visit            → Sanitised         nothing ambiguous, nothing forged
//!   route          Sanitised        → Routed            the one route of all readings
//!   limit_sources  Routed           → FromWithinLimits  from a source that has not asked too often
//!   identify       FromWithinLimits → PresentedRequest  what was presented, out of the head
//!   throttle       PresentedRequest → Admitted          known, or from a source that may still try
//!   shed           Admitted         → Seated            a slot among what runs; strangers leave the last ones to who is known
//!   authenticate   Seated           → Authenticated     who it is, and a guard that can cut it
//!   resolve        Authenticated    → Resolved          what is in force for them
//!   authorize      Resolved         → Permitted         a permit
//!   limit_callers  Permitted        → WithinLimits      of a caller that has not asked too often
//!   forward        WithinLimits     → an answer         ask: of which instance, and how often
//! ```
//!
//! Each proof has private fields and is made in one file only, so a layer left out, or two in the wrong
//! order, do not compile.

mod ask;
mod authenticate;
mod authorize;
mod contain;
mod forward;
mod hygiene;
mod identify;
mod limit_callers;
mod limit_sources;
mod request_id;
mod resolve;
mod route;
mod shed;
mod throttle;

use std::convert::Infallible;
use std::future::{Ready, ready};

pub(super) use authenticate::Authenticate;
pub(super) use authorize::Authorize;
pub(super) use contain::Contain;
pub(super) use forward::forward;
pub(super) use hygiene::Hygiene;
pub(super) use identify::Identify;
pub(super) use limit_callers::LimitCallers;
pub(super) use limit_sources::LimitSources;
pub(super) use request_id::RequestIdLayer;
pub(super) use resolve::Resolve;
pub(super) use route::Route;
pub(super) use shed::Shed;
pub(super) use throttle::Throttle;

use futures_util::future::Either;
use tower::Service;

use super::visit::Answered;

/// A service that takes what the layer before it proved.
pub(super) trait Step<T>:
    Service<T, Response = Answered, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

impl<T, S> Step<T> for S where
    S: Service<T, Response = Answered, Error = Infallible, Future: Send + 'static> + Clone + Send + 'static
{
}

/// Either an answer at once, or the way on; a step that only computes has no more than these.
type NowOr<F> = Either<Ready<Result<Answered, Infallible>>, F>;

/// An answer at once.
fn now<F>(answered: Answered) -> NowOr<F> {
    Either::Left(ready(Ok(answered)))
}
