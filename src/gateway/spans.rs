//! What a request is in a trace: which place it has there, what is said of it, and when that is sent.
//!
//! Two spans: one for the request as the client sees it, and below it one for the exchange with the app, which is told
//! of the second. They end with the last byte of the answer.
//!
//! Architecture invariant: a span goes to another program, so it holds what the access log holds and nothing else of
//! what a client sent: no query, no header but a host that was found valid, no credential (LG-001).

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};

use super::blot::blotted;
use super::client::{Client, Scheme};
use super::record::{Decision, Record};
use super::visit::RequestId;
use crate::telemetry::trace::{
    Kind, Parent, Span, SpanId, TRACEPARENT, TRACESTATE, TraceId, Tracer, Traces, Value, is_tracestate, traceparent,
};

/// The place of one request in a trace.
#[derive(Debug)]
pub(super) struct Trace {
    id: TraceId,
    /// Answering the client, and asking the app.
    spans: [SpanId; 2],
    parent: Option<SpanId>,
    /// `None`: it has a place, and nothing is said of it.
    recorded: Option<Recorded>,
}

/// What the head said, before anything was changed in it.
#[derive(Debug)]
struct Recorded {
    /// Nanoseconds since 1970.
    start: u64,
    host: Option<HeaderValue>,
    scheme: Scheme,
    version: Version,
    client: String,
}

/// What is known of a request when its answer begins.
pub(super) struct Facts<'a> {
    pub(super) id: &'a RequestId,
    pub(super) started: Instant,
    /// `None` when the head was not read.
    pub(super) asked: Option<(&'a Method, &'a str)>,
    pub(super) status: StatusCode,
    pub(super) record: &'a Record,
}

impl Trace {
    /// Goes on with the trace that the head names, or begins one. Whether it is recorded is for us to say: a stranger's
    /// wish counts for nothing, or anybody could make us pay for every request; a trusted proxy has decided already.
    pub(super) fn begin<B>(tracer: &Tracer, client: &Client, request: &mut Request<B>) -> Arc<Self> {
        let drawn = tracer.draw();
        let parent = Parent::of(request.headers());
        if parent.is_none() || !is_tracestate(request.headers().get_all(TRACESTATE)) {
            request.headers_mut().remove(TRACESTATE);
        }
        let decided = parent.filter(|_| client.is_behind_proxy()).map(|parent| parent.sampled);
        let recorded = decided.unwrap_or(drawn.sampled).then(|| Recorded {
            start: now(),
            host: host(client, request),
            scheme: client.scheme(),
            version: request.version(),
            client: client.address().to_string(),
        });
        Arc::new(Self {
            id: parent.map_or(drawn.trace, |parent| parent.trace),
            spans: drawn.spans,
            parent: parent.map(|parent| parent.span),
            recorded,
        })
    }

    pub(super) const fn id(&self) -> TraceId {
        self.id
    }

    /// Tells the app where it stands, in place of what the client said; answers with when, where that is recorded.
    pub(super) fn tell(&self, headers: &mut HeaderMap) -> Option<Instant> {
        headers.insert(TRACEPARENT, traceparent(self.id, self.spans[1], self.recorded.is_some()));
        self.recorded.as_ref().map(|_| Instant::now())
    }

    /// What is said of the request, to be kept until its answer has ended; `None` when nothing is.
    pub(super) fn open(&self, traces: &Traces, facts: &Facts<'_>) -> Option<Box<OpenSpans>> {
        let recorded = self.recorded.as_ref()?;
        let client = self.client(recorded, facts);
        let spans = client.into_iter().chain([self.server(recorded, facts)]).collect();
        Some(Box::new(OpenSpans { traces: traces.clone(), started: facts.started, start: recorded.start, spans }))
    }

    fn server(&self, recorded: &Recorded, facts: &Facts<'_>) -> Span {
        let Facts { status, record, .. } = facts;
        let route = record.route.as_deref();
        let who = record.who.as_deref();
        let (method, shown) = method(facts);
        let mut said = Attributes::default();
        said.add("http.request.method", method);
        said.add_some("url.path", facts.asked.map(|(_, path)| beginning(&blotted(path)).to_owned()));
        said.add("url.scheme", if recorded.scheme == Scheme::Https { "https" } else { "http" });
        said.add("http.response.status_code", status.as_u16());
        said.add("client.address", recorded.client.clone());
        said.add_some("network.protocol.version", version(recorded.version));
        // Only where a route was found was the host found to be one.
        let host = route.and(recorded.host.as_ref()).and_then(|host| host.to_str().ok());
        said.add_host(host);
        said.add_some("http.route", route.map(|route| route.path.as_str().to_owned()));
        if status.is_server_error() {
            said.add_error(*status, record.reason);
        }
        said.add("locum.request_id", facts.id.as_str().to_owned());
        said.add("locum.decision", record.decision.slug());
        said.add_some("locum.reason", record.reason);
        said.add_some("locum.app", route.map(|route| route.app.as_str().to_owned()));
        said.add_some("locum.route", route.map(|route| route.path.as_str().to_owned()));
        said.add_some("locum.account", who.map(|who| who.username.as_str().to_owned()));
        let owner = who.and_then(|who| who.owner.as_ref());
        said.add_some("locum.owner", owner.map(|(_, owner)| owner.as_str().to_owned()));
        said.add_some("locum.pat", who.map(|who| who.pat.as_str().to_owned()));
        said.add_some("locum.upstream", record.upstream.as_deref().map(str::to_owned));
        let name = match route {
            Some(route) => format!("{shown} {}", route.path.as_str()),
            None => shown.to_owned(),
        };
        Span {
            trace: self.id,
            id: self.spans[0],
            parent: self.parent,
            kind: Kind::Server,
            name,
            start: recorded.start,
            end: recorded.start,
            attributes: said.0,
            failed: status.is_server_error(),
        }
    }

    /// The exchange with the app, if there was one.
    fn client(&self, recorded: &Recorded, facts: &Facts<'_>) -> Option<Span> {
        let Facts { status, record, .. } = facts;
        let (asked_at, upstream) = (record.asked_at?, record.upstream.as_deref()?);
        let failed = status.is_client_error() || status.is_server_error();
        let (method, shown) = method(facts);
        let mut said = Attributes::default();
        said.add("http.request.method", method);
        said.add_host(Some(upstream));
        // What the gateway answers in the app's place is not the app's answer.
        if record.decision == Decision::Permitted {
            said.add("http.response.status_code", status.as_u16());
        }
        if failed {
            said.add_error(*status, record.reason);
        }
        Some(Span {
            trace: self.id,
            id: self.spans[1],
            parent: Some(self.spans[0]),
            kind: Kind::Client,
            name: shown.to_owned(),
            start: recorded.start.saturating_add(nanos(asked_at.saturating_duration_since(facts.started))),
            end: recorded.start,
            attributes: said.0,
            failed,
        })
    }
}

/// The host that the client asked for, as it stands there: HTTP/2 has it in the target.
fn host<B>(client: &Client, request: &Request<B>) -> Option<HeaderValue> {
    let told = client.host().or_else(|| request.headers().get(HOST)).cloned();
    told.or_else(|| HeaderValue::from_str(request.uri().authority()?.as_str()).ok())
}

/// The method as the semantic conventions want it said, and as it stands in a name: a client can make methods up.
fn method(facts: &Facts<'_>) -> (&'static str, &'static str) {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    let known = facts.asked.and_then(|(method, _)| KNOWN.into_iter().find(|known| *known == method.as_str()));
    known.map_or(("_OTHER", "HTTP"), |known| (known, known))
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

/// What is said of a span.
#[derive(Default)]
struct Attributes(Vec<(&'static str, Value)>);

impl Attributes {
    fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push((key, value.into()));
    }

    fn add_some(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    /// `HOST` or `HOST:PORT`.
    fn add_host(&mut self, text: Option<&str>) {
        let Some(text) = text else { return };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse::<u16>().ok()),
            _ => (text, None),
        };
        self.add("server.address", blotted(host).into_owned());
        self.add_some("server.port", port);
    }

    fn add_error(&mut self, status: StatusCode, reason: Option<&'static str>) {
        self.add("error.type", reason.map_or_else(|| Value::from(status.as_str().to_owned()), Value::from));
    }
}

/// The spans of one request; they end when this is dropped, with the last byte of the answer or without it.
#[derive(Debug)]
pub(super) struct OpenSpans {
    traces: Traces,
    started: Instant,
    /// When the first of them started, in nanoseconds since 1970.
    start: u64,
    spans: Vec<Span>,
}

impl OpenSpans {
    /// The answer ended before its time.
    pub(super) fn broke(&mut self, why: &'static str) {
        for span in &mut self.spans {
            span.failed = true;
            span.attributes.retain(|(key, _)| *key != "error.type");
            span.attributes.push(("error.type", why.into()));
        }
    }
}

impl Drop for OpenSpans {
    fn drop(&mut self) {
        // Counted from the start on, because clocks are set while requests run.
        let end = self.start.saturating_add(nanos(self.started.elapsed()));
        for mut span in self.spans.drain(..) {
            span.end = end;
            self.traces.put(span);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "spans stand beside those of other programs, finer than milliseconds")]
fn now() -> u64 {
    nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The most of a path that a span holds: what waits for the collector is counted in spans, and has to have a bound in
/// bytes too.
const LONGEST_PATH: usize = 1024;

fn beginning(path: &str) -> &str {
    &path[..path.floor_char_boundary(LONGEST_PATH)]
}
