//! Contains a panic: one request's is a 500, never the process (decision 7).
//!
//! What a panic may have left half done lies in this request alone; what requests share is behind locks
//! whose contents are whole after every step.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Step;
use crate::gateway::record::Record;
use crate::gateway::refusal::{Format, Refusal};
use crate::gateway::visit::{Answered, RequestId, Visit};

/// Makes an answer of a panic.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Contain;

impl<S> Layer<S> for Contain {
    type Service = Contained<S>;

    fn layer(&self, inner: S) -> Contained<S> {
        Contained { inner }
    }
}

/// See [`Contain`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Contained<S> {
    inner: S,
}

impl<S: Step<Visit>> Service<Visit> for Contained<S> {
    type Response = Answered;
    type Error = Infallible;
    type Future = Containing<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, visit: Visit) -> Self::Future {
        let id = visit.id.clone();
        let inner = &mut self.inner;
        Containing { inner: catch_unwind(AssertUnwindSafe(|| inner.call(visit))).ok(), id }
    }
}

pin_project! {
    /// Waits for the answer, or makes one.
    pub(in crate::gateway) struct Containing<F> {
        // None when the call itself panicked.
        #[pin]
        inner: Option<F>,
        id: RequestId,
    }
}

impl<F: Future<Output = Result<Answered, Infallible>>> Future for Containing<F> {
    type Output = Result<Answered, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(inner) = this.inner.as_mut().as_pin_mut()
            && let Ok(polled) = catch_unwind(AssertUnwindSafe(|| inner.poll(cx)))
        {
            return polled;
        }
        // What panicked is dropped here, and never polled again.
        this.inner.set(None);
        tracing::error!(request_id = this.id.as_str(), "a request panicked");
        metrics::counter!("locum_panics_total").increment(1);
        Poll::Ready(Ok(Answered::refused(&Refusal::Fault, Format::Problem, this.id, Record::default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::slots::{Caller, SlotSettings, Slots};
    use crate::gateway::visit::RequestIds;

    /// FC-003, G12: and what it held is free.
    #[tokio::test]
    async fn a_panic_becomes_an_answer() {
        let slots = std::sync::Arc::new(Slots::new(SlotSettings::default(), 1));
        let slot = slots.take(Caller::Stranger).unwrap();
        let panics = async move {
            let _held = slot;
            panic!("on purpose")
        };
        let containing: Containing<Pin<Box<dyn Future<Output = _> + Send>>> =
            Containing { inner: Some(Box::pin(panics)), id: RequestIds::new(1, 1).next() };
        let Ok(answered) = containing.await;
        assert_eq!(answered.response.status(), 500);
        assert_eq!(slots.running(), 0);
    }
}
