//! The body of an answer: a refusal's few bytes, or what streams from an app until it ends or is cut.
//!
//! A body that ends before its time ends with an error, which makes the server abort the client's
//! connection: half an answer must not look like a whole one. The guard of the request lives in here,
//! so what runs can be cut until its last byte (R3).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::pace::Pace;
use super::slots::Held;
use super::spans::OpenSpans;
use super::trailers::{TooLarge, Trailers};
use super::upstream::ResponseBody;
use crate::cluster::Guard;

/// Why a body ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The access that it was permitted by was withdrawn or ran out.
    #[error("the access was withdrawn")]
    Cut,
    #[error("nothing moved for {}s", .0.as_secs())]
    Idle(Duration),
    #[error("the time for the whole request was over")]
    Late,
    #[error("the client gave less than it has to for longer than it may")]
    Slow,
    #[error("it is larger than it may be")]
    TooLarge,
    #[error("the app's connection failed: {0}")]
    Upstream(Box<dyn std::error::Error + Send + Sync>),
    #[error("the client's connection failed: {0}")]
    Client(hyper::Error),
    #[error("the trailers are too large")]
    Trailers,
}

impl BodyError {
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Idle(_) => "idle",
            Self::Late => "total_timeout",
            Self::Slow => "slow",
            Self::TooLarge => "too_large",
            Self::Upstream(_) => "upstream",
            Self::Client(_) => "client",
            Self::Trailers => "trailers",
        }
    }
}

/// The body of every answer of the gateway, with what is said of it in a trace.
pub struct Body(Kind, Option<Box<OpenSpans>>);

#[expect(clippy::large_enum_variant, reason = "nearly every answer streams, and a box would be an allocation for each")]
enum Kind {
    Whole(Option<Bytes>),
    Streaming(Streaming),
}

struct Streaming {
    body: ResponseBody,
    guard: Option<Arc<Guard>>,
    idle: Idle,
    deadline: Option<Pin<Box<Sleep>>>,
    trailers: Trailers,
    _held: Held,
}

/// How long an answer may stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamLimits {
    /// Without a byte.
    pub(super) idle: Duration,
    /// To its end; `None`: as long as it takes.
    pub(super) deadline: Option<Instant>,
}

impl Body {
    pub(super) fn empty() -> Self {
        Self(Kind::Whole(None), None)
    }

    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(Kind::Whole((!bytes.is_empty()).then_some(bytes)), None)
    }

    /// Whether it comes from an app, and not from the gateway itself.
    pub const fn is_from_an_app(&self) -> bool {
        matches!(self.0, Kind::Streaming(_))
    }

    /// What is held is given up with the body.
    pub(super) fn streaming(
        body: ResponseBody,
        guard: Option<Arc<Guard>>,
        limits: StreamLimits,
        trailers: Trailers,
        held: Held,
    ) -> Self {
        // An answer that is here as a whole is not late.
        let deadline = limits.deadline.filter(|_| !body.is_end_stream());
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        let idle = Idle::new(limits.idle, None);
        Self(Kind::Streaming(Streaming { body, guard, idle, deadline, trailers, _held: held }), None)
    }

    /// These end when the body does.
    pub(super) fn with_spans(self, spans: Option<Box<OpenSpans>>) -> Self {
        Self(self.0, spans)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self(kind, spans) = &mut *self;
        match kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Streaming(streaming) => {
                let frame = ready!(streaming.poll_frame(cx));
                if let Some(Err(error)) = &frame {
                    metrics::counter!("locum_bodies_broken_total", "side" => "response", "why" => error.slug())
                        .increment(1);
                    tracing::debug!(%error, "the body of a response ended early");
                    if let Some(spans) = spans {
                        spans.broke(error.slug());
                    }
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Streaming(streaming) => streaming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Streaming(streaming) => streaming.body.size_hint(),
        }
    }
}

impl Streaming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Some(Err(BodyError::Late)));
        }
        loop {
            let Poll::Ready(part) = self.body.poll_part(cx) else {
                return poll_silence(self.guard.as_deref(), &mut self.idle, cx).map(|error| Some(Err(error)));
            };
            self.idle.moved(0);
            // What had come to its end before the cut was noticed is whole, and is left whole.
            let is_last = self.body.is_end_stream();
            if !is_last && self.guard.as_ref().is_some_and(|guard| guard.is_cancelled()) {
                return Poll::Ready(Some(Err(BodyError::Cut)));
            }
            match part.map(|part| part.map(Frame::into_trailers)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(Err(data))) => return Poll::Ready(Some(Ok(data))),
                Some(Ok(Ok(trailers))) => match self.trailers.pass(trailers) {
                    Ok(None) => {}
                    Ok(Some(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    Err(TooLarge) => return Poll::Ready(Some(Err(BodyError::Trailers))),
                },
            }
        }
    }
}

/// What can end a body that has nothing to say: a cut, or too long a silence.
pub(super) fn poll_silence(guard: Option<&Guard>, idle: &mut Idle, cx: &mut Context<'_>) -> Poll<BodyError> {
    if guard.is_some_and(|guard| guard.poll_cancelled(cx).is_ready()) {
        return Poll::Ready(BodyError::Cut);
    }
    idle.poll(cx)
}

/// How long a body has been silent. The timer is made with the first silence, so that a body which
/// comes at once costs none.
pub(super) struct Idle {
    limit: Duration,
    /// What whoever is silent has to keep up beside.
    pace: Option<Box<Pace>>,
    sleep: Option<Pin<Box<Sleep>>>,
    silent: bool,
}

impl Idle {
    pub(super) const fn new(limit: Duration, pace: Option<Box<Pace>>) -> Self {
        Self { limit, pace, sleep: None, silent: false }
    }

    /// So many bytes came.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.silent = false;
        if let Some(pace) = &mut self.pace {
            pace.moved(bytes, |since| since.elapsed());
        }
    }

    /// From now on silence is limited, and how little comes is not.
    pub(super) fn forget_the_pace(&mut self) {
        if self.pace.take().is_some() {
            self.silent = false;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let began = !std::mem::replace(&mut self.silent, true);
        if began {
            let now = Instant::now();
            let idle = now + limit;
            let paced = self.pace.as_mut().and_then(|pace| {
                pace.waits(now);
                pace.until(0)
            });
            sleep.as_mut().reset(paced.map_or(idle, |until| until.min(idle)));
        }
        ready!(sleep.as_mut().poll(cx));
        let until = self.pace.as_ref().and_then(|pace| pace.until(0));
        let slow = until.is_some_and(|until| until <= Instant::now());
        Poll::Ready(if slow { BodyError::Slow } else { BodyError::Idle(limit) })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => f.debug_tuple("Whole").field(&bytes.as_ref().map_or(0, Bytes::len)).finish(),
            Kind::Streaming(streaming) => f.debug_tuple("Streaming").field(&streaming.body.size_hint()).finish(),
        }
    }
}
