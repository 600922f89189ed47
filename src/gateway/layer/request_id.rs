//! Gives each request its id, its client and its place in a trace, and turns the record that comes back into the access
//! log, metrics and spans.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{Method, Response, Uri};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Step;
use crate::clock::Clock;
use crate::gateway::access_log::{AccessLog, Writing};
use crate::gateway::blot::blotted;
use crate::gateway::body::Body;
use crate::gateway::client::HopSettings;
use crate::gateway::meters::Meters;
use crate::gateway::record::Record;
use crate::gateway::spans::{Facts, OpenSpans, Trace};
use crate::gateway::trailers::Terms;
use crate::gateway::visit::{Answered, Arrival, RequestId, RequestIds, Visit};
use crate::telemetry::trace::Tracer;

/// The outermost layer.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct RequestIdLayer {
    pub(in crate::gateway) ids: Arc<RequestIds>,
    pub(in crate::gateway) clock: Arc<dyn Clock>,
    pub(in crate::gateway) meters: Arc<Meters>,
    pub(in crate::gateway) hops: Arc<HopSettings>,
    pub(in crate::gateway) access_log: Arc<AccessLog>,
    /// `None`: nobody wants traces, and what clients say of them passes as it is.
    pub(in crate::gateway) tracer: Option<Arc<Tracer>>,
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = Named<S>;

    fn layer(&self, inner: S) -> Named<S> {
        Named { layer: self.clone(), inner }
    }
}

/// See [`RequestIdLayer`].
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Named<S> {
    layer: RequestIdLayer,
    inner: S,
}

impl<S: Step<Visit>> Service<Arrival> for Named<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reporting<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, Arrival { peer, hangup, mut request }: Arrival) -> Self::Future {
        let client = self.layer.hops.client(&peer, request.headers());
        let started = Instant::now();
        let trace = self.layer.tracer.as_ref().map(|tracer| Trace::begin(tracer, &client, &mut request));
        let id = self.layer.ids.next();
        let fault = peer.fault_of(&request);
        let line = Line {
            id: id.clone(),
            started,
            asked: fault.is_none().then(|| (request.method().clone(), request.uri().clone())),
            source: client.address(),
            meters: Arc::clone(&self.layer.meters),
            access_log: Arc::clone(&self.layer.access_log),
            traced: self.layer.tracer.clone().zip(trace.clone()),
        };
        let now = self.layer.clock.now();
        let trailers = Terms::of(request.version(), request.headers());
        let visit = Visit {
            request,
            peer,
            client,
            hangup,
            id,
            now,
            trailers,
            trace,
            fault,
            upgrade: None,
            record: Record::default(),
        };
        Reporting { inner: self.inner.call(visit), line }
    }
}

pin_project! {
    /// Waits for the answer, and reports it.
    pub(in crate::gateway) struct Reporting<F> {
        #[pin]
        inner: F,
        line: Line,
    }
}

impl<F: Future<Output = Result<Answered, Infallible>>> Future for Reporting<F> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(Answered { response, record }) = ready!(this.inner.poll(cx));
        this.line.report(&response, &record);
        let spans = this.line.spans(&response, &record);
        Poll::Ready(Ok(response.map(|body| body.with_spans(spans))))
    }
}

/// What the access log says of a request beside its record.
struct Line {
    id: RequestId,
    started: Instant,
    /// `None` when the head was not read.
    asked: Option<(Method, Uri)>,
    source: IpAddr,
    meters: Arc<Meters>,
    access_log: Arc<AccessLog>,
    traced: Option<(Arc<Tracer>, Arc<Trace>)>,
}

impl Line {
    /// One line a request, when the head of its answer is there. The query is left out, because programs
    /// put secrets there (LG-001); whoever writes the line escapes what a client may have put in the path.
    fn report(&self, response: &Response<Body>, record: &Record) {
        let duration = self.started.elapsed();
        let status = response.status().as_u16();
        self.meters.count(record, status, duration);
        let Writing::Written { stands_for } = self.access_log.write(record, status, duration) else { return };
        let route = record.route.as_deref();
        let who = record.who.as_deref();
        tracing::info!(
            target: "locum::access",
            request_id = self.id.as_str(),
            method = self.asked.as_ref().map(|(method, _)| blotted(method.as_str())).as_deref(),
            path = self.asked.as_ref().map(|(_, uri)| blotted(uri.path())).as_deref(),
            status,
            app = route.map(|route| route.app.as_str()),
            route = route.map(|route| route.path.as_str()),
            account = who.map(|who| who.username.as_str()),
            owner = who.and_then(|who| who.owner.as_ref()).map(|(_, owner)| owner.as_str()),
            pat = who.map(|who| who.pat.as_str()),
            decision = record.decision.slug(),
            reason = record.reason,
            upstream = record.upstream.as_deref(),
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            source = %self.source,
            trace_id = self.traced.as_ref().map(|(_, trace)| tracing::field::display(trace.id())),
            sampled_one_in = stands_for,
        );
    }

    /// What is said of the request in its trace, to be kept until its answer has ended.
    fn spans(&self, response: &Response<Body>, record: &Record) -> Option<Box<OpenSpans>> {
        let (tracer, trace) = self.traced.as_ref()?;
        let asked = self.asked.as_ref().map(|(method, uri)| (method, uri.path()));
        let facts = Facts { id: &self.id, started: self.started, asked, status: response.status(), record };
        trace.open(tracer.traces(), &facts)
    }
}
