//! Asks an app: which of its instances, how often, and what becomes of its standing.
//!
//! What was never sent goes to another instance whatever it is. What may have been sent is repeated only if
//! nothing can happen twice by it (RFC 9110 §9.2.2) and it has no body, only at another instance, and only
//! within a budget, so that an app in trouble is not asked more and more often. An app that did not answer in
//! time is not asked again: the caller has waited long enough, and more of the same would not help the app.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::gateway::plan::App;
use crate::gateway::record::Record;
use crate::gateway::slots::Caller;
use crate::gateway::upstream::{
    Attempt, Bounds, Entered, Exchange, Failure, RequestBody, ResponseBody, Tried, copy_of,
};
use crate::policy::Permit;

/// Why there is no answer of the app.
#[derive(Debug)]
pub(super) enum Unserved {
    Failed(Failure),
    /// As many requests run at the app as may.
    Busy,
    /// None of its instances is to be asked now.
    Away(Duration),
}

/// An answer, and its place at the app, to be held until the last byte.
pub(super) type Served = (Response<ResponseBody>, Entered);

/// An answer that another instance is to better.
struct AtHand {
    response: Response<ResponseBody>,
    upstream: Arc<str>,
}

/// Asks one instance, and others where that is right.
pub(super) async fn ask(
    app: &App,
    upstream: &impl Exchange,
    request: Request<RequestBody>,
    bounds: &Bounds,
    record: &mut Record,
    _permit: &Permit,
) -> Result<Served, Unserved> {
    let caller = if bounds.guard.is_some() { Caller::Known } else { Caller::Stranger };
    let entering = app.instances.enter(caller, bounds.timeouts.connect);
    let entered = in_time(bounds.deadline, pin!(entering)).await.and_then(Result::ok).ok_or(Unserved::Busy)?;
    let mut at_hand = None;
    let response = match (ask_in_turn(app, upstream, request, bounds, record, &mut at_hand).await, at_hand) {
        // The app's own words, when no other instance had better ones.
        (Err(Unserved::Failed(failure)), Some(at_hand)) if !matches!(failure, Failure::Cut) => {
            record.upstream = Some(at_hand.upstream);
            at_hand.response
        }
        (answered, _) => answered?,
    };
    Ok((response, entered))
}

/// A 503 for which another instance is asked is left in `at_hand`.
async fn ask_in_turn(
    app: &App,
    upstream: &impl Exchange,
    mut request: Request<RequestBody>,
    bounds: &Bounds,
    record: &mut Record,
    at_hand: &mut Option<AtHand>,
) -> Result<Response<ResponseBody>, Unserved> {
    let repeatable = request.body().is_empty() && request.method().is_idempotent();
    let mut tried = Tried::default();
    let mut last: Option<Failure> = None;
    let mut chosen: Option<Attempt> = None;
    loop {
        if bounds.guard.as_ref().is_some_and(|guard| guard.is_cancelled()) {
            return Err(Unserved::Failed(Failure::Cut));
        }
        let next = chosen.take().or_else(|| app.instances.next(&mut tried, repeatable));
        let attempt = match (next, last) {
            (Some(attempt), _) => attempt,
            (None, Some(failure)) => return Err(Unserved::Failed(failure)),
            (None, None) => return Err(Unserved::Away(app.instances.try_again_after())),
        };
        let spare = (repeatable && app.instances.may_go_on(&tried)).then(|| Box::new(copy_of(&request)));
        let asked = Arc::clone(attempt.instance().authority());
        record.upstream = Some(Arc::clone(&asked));
        let exchange = upstream.exchange(attempt.instance(), request, bounds);
        let Some(answered) = in_time(bounds.deadline, pin!(exchange)).await else {
            // Of that time the client may have used up the most, so it tells nothing of the instance.
            return Err(Unserved::Failed(Failure::Silent));
        };
        let (failure, again) = match answered {
            Ok(response) => {
                let again = response.status() == StatusCode::SERVICE_UNAVAILABLE && app.instances.repeats_on_503();
                attempt.answered(response.status());
                if !again {
                    return Ok(response);
                }
                *at_hand = Some(AtHand { response, upstream: asked });
                (Failure::Broken("503"), true)
            }
            Err(Failure::Unreachable { request: whole, why }) => {
                attempt.unreachable();
                last = Some(Failure::Broken(why));
                request = *whole;
                continue;
            }
            Err(Failure::NoSocket(whole)) => {
                // Nothing is told of the instance. Another one may still have an open connection.
                last = Some(Failure::Full);
                request = *whole;
                continue;
            }
            Err(Failure::Refused(whole)) => {
                attempt.unanswered();
                last = Some(Failure::Broken("stream_refused"));
                request = *whole;
                continue;
            }
            Err(failure) => {
                judge(attempt, &failure, bounds);
                let again = matches!(failure, Failure::Broken(_) | Failure::Lost(_));
                (failure, again)
            }
        };
        let Some(spare) = spare.filter(|_| again) else { return Err(Unserved::Failed(failure)) };
        let Some(other) = app.instances.another(&mut tried) else { return Err(Unserved::Failed(failure)) };
        (request, chosen, last) = (*spare, Some(other), Some(failure));
    }
}

/// What the failure of a request that was sent tells of the instance. One that never came to its end tells nothing:
/// the client may be the one who stands still or breaks off, and must not be able to shut an app for others.
fn judge(attempt: Attempt, failure: &Failure, bounds: &Bounds) {
    let was_whole = bounds.progress.as_ref().is_none_or(|progress| progress.is_whole() && progress.fault().is_none());
    let was_cut = bounds.guard.as_ref().is_some_and(|guard| guard.is_cancelled());
    if was_whole && !was_cut && matches!(failure, Failure::Broken(_) | Failure::Silent) {
        attempt.unanswered();
    }
}

/// `None` when the deadline of the whole request came first. The work is pinned by the caller: taken by value, it would
/// have a place here once more for each way of waiting.
async fn in_time<F: Future>(deadline: Option<Instant>, work: Pin<&mut F>) -> Option<F::Output> {
    match deadline {
        None => Some(work.await),
        Some(deadline) => timeout_at(deadline, work).await.ok(),
    }
}
