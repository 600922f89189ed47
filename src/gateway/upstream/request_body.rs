//! What streams from a client to an app.
//!
//! It ends with an error when the access is withdrawn, the client breaks off or falls silent: the
//! app then sees an aborted request, never one that looks complete (H1-034). Trailers go to apps of HTTP/2 only.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::cluster::Guard;
use crate::gateway::body::{BodyError, Idle, poll_silence};
use crate::gateway::pace::Pace;
use crate::gateway::trailers::{TooLarge, Trailers};

/// How far a request's body has come, for whoever waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    moved: AtomicU64,
    whole: AtomicBool,
    fault: OnceLock<Fault>,
    open_ended: AtomicBool,
}

/// How a client keeps a request from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It broke it off, or its framing.
    Broken,
    /// It stood still, or was slower than it may be.
    Slow,
    TooLarge,
}

impl Fault {
    const fn of(error: &BodyError) -> Option<Self> {
        match error {
            BodyError::Client(_) | BodyError::Trailers => Some(Self::Broken),
            BodyError::Idle(_) | BodyError::Slow => Some(Self::Slow),
            BodyError::TooLarge => Some(Self::TooLarge),
            BodyError::Cut | BodyError::Late | BodyError::Upstream(_) => None,
        }
    }
}

/// What one body is held to.
#[derive(Debug, Clone)]
pub(crate) struct BodyLimits {
    pub(crate) idle: Duration,
    pub(crate) pace: Option<Pace>,
    pub(crate) most: Option<u64>,
}

impl Progress {
    /// How many pieces have moved.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// How the client kept it from its end.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// The app has begun to answer, and both go on speaking as they like: the client is not slow when it has
    /// nothing to say.
    pub(crate) fn is_a_conversation(&self) {
        self.open_ended.store(true, Ordering::Relaxed);
    }

    /// Whether the last byte was handed over.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }
}

/// The body of a request on its way to an app.
pub(crate) struct RequestBody(Option<Streaming>);

struct Streaming {
    body: Incoming,
    guard: Option<Arc<Guard>>,
    idle: Idle,
    /// How many more bytes may come.
    left: Option<u64>,
    progress: Arc<Progress>,
    trailers: Trailers,
}

impl RequestBody {
    pub(crate) const fn empty() -> Self {
        Self(None)
    }

    /// A body that has not ended yet, and the way to see how far it has come.
    pub(crate) fn streaming(
        body: Incoming,
        guard: Option<Arc<Guard>>,
        limits: BodyLimits,
        trailers: Trailers,
    ) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        let BodyLimits { idle, pace, most } = limits;
        let streaming = Streaming {
            body,
            guard,
            idle: Idle::new(idle, pace.map(Box::new)),
            left: most,
            progress: Arc::clone(&progress),
            trailers,
        };
        (Self(Some(streaming)), progress)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The next data, or the trailers that are passed on.
    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(streaming) = &mut self.0 else { return Poll::Ready(None) };
        let part = ready!(streaming.poll_part(cx));
        if let Some(Err(error)) = &part {
            if let Some(fault) = Fault::of(error) {
                // The first one stands: after it nothing comes.
                let _first = streaming.progress.fault.set(fault);
            }
            metrics::counter!("locum_bodies_broken_total", "side" => "request", "why" => error.slug()).increment(1);
            tracing::debug!(%error, "the body of a request ended early");
        }
        Poll::Ready(part)
    }
}

/// As an app of HTTP/1.1 gets it, without trailers.
impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match ready!(self.poll_part(cx)) {
                Some(Ok(part)) if part.is_trailers() => {}
                part => return Poll::Ready(part),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|streaming| streaming.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |streaming| streaming.body.size_hint())
    }
}

impl Streaming {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.guard.as_ref().is_some_and(|guard| guard.is_cancelled()) {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                if self.progress.open_ended.load(Ordering::Relaxed) {
                    self.idle.forget_the_pace();
                }
                return poll_silence(self.guard.as_deref(), &mut self.idle, cx).map(|error| Some(Err(error)));
            };
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.idle.moved(data.map_or(0, Bytes::len));
            self.progress.moved.fetch_add(1, Ordering::Relaxed);
            match frame {
                None => {
                    self.progress.whole.store(true, Ordering::Relaxed);
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Client(error)))),
                Some(Ok(frame)) => {
                    if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
                        let Some(rest) = left.checked_sub(data.len() as u64) else {
                            return Poll::Ready(Some(Err(BodyError::TooLarge)));
                        };
                        *left = rest;
                    }
                    let part = match frame.into_trailers() {
                        Err(data) => Some(data),
                        Ok(trailers) => match self.trailers.pass(trailers) {
                            Ok(trailers) => trailers.map(Frame::trailers),
                            Err(TooLarge) => return Poll::Ready(Some(Err(BodyError::Trailers))),
                        },
                    };
                    // Only now: what is refused here never comes to its end for the app.
                    if self.body.is_end_stream() {
                        self.progress.whole.store(true, Ordering::Relaxed);
                    }
                    if let Some(part) = part {
                        return Poll::Ready(Some(Ok(part)));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
