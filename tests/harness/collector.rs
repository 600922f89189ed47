//! A collector of OpenTelemetry that remembers what it was sent, read by the messages that OpenTelemetry publishes.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::upstream::{Next, Seen, Upstream, respond};

pub(crate) struct Collector(pub(crate) Upstream);

impl Collector {
    pub(crate) fn start() -> Self {
        Self::answering(|stream| respond(stream, "200 OK", &[("Content-Type", "application/x-protobuf")], b""))
    }

    /// Answers each batch as it is told.
    pub(crate) fn answering(answer: impl Fn(&mut TcpStream) -> Next + Send + Sync + 'static) -> Self {
        Self(Upstream::start(|_, _| None, move |_, stream| answer(stream)))
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Every batch so far.
    pub(crate) fn batches(&self) -> Vec<(Seen, ExportTraceServiceRequest)> {
        let batches = self.0.seen().into_iter().filter(|seen| seen.whole);
        batches
            .map(|seen| {
                let batch = ExportTraceServiceRequest::decode(&*seen.body).expect("a batch is what OTLP says");
                (seen, batch)
            })
            .collect()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.batches().into_iter().flat_map(|(_, batch)| batch.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The spans of the trace of the request with this path, the one of the client's side first, once they are there.
    pub(crate) fn trace_of(&self, path: &str) -> Vec<Span> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let spans = self.spans();
            if let Some(server) = spans.iter().find(|span| text(span, "url.path").as_deref() == Some(path)) {
                let mut trace: Vec<_> = spans.iter().filter(|span| span.trace_id == server.trace_id).cloned().collect();
                trace.sort_by_key(|span| span.kind);
                return trace;
            }
            assert!(Instant::now() < deadline, "no span of {path} came");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::new();
    for byte in bytes {
        write!(digits, "{byte:02x}").expect("a string takes everything");
    }
    digits
}

fn value_of(attributes: &[KeyValue], key: &str) -> Option<Value> {
    let mut found = attributes.iter().filter(|attribute| attribute.key == key);
    let value = found.next().and_then(|attribute| attribute.value.clone()).and_then(|AnyValue { value }| value);
    assert!(found.next().is_none(), "`{key}` is said twice");
    value
}

pub(crate) fn text(span: &Span, key: &str) -> Option<String> {
    attribute(&span.attributes, key)
}

pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    match value_of(attributes, key) {
        Some(Value::StringValue(text)) => Some(text),
        Some(Value::IntValue(number)) => Some(number.to_string()),
        Some(other) => panic!("`{key}` is {other:?}"),
        None => None,
    }
}
