//! Spans as the protobuf of OTLP, by the messages that OpenTelemetry publishes.

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as proto, ResourceSpans, ScopeSpans};
use prost::Message as _;

use super::span::{Kind, Span, Value};

/// The semantic conventions whose names the attributes have.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// One request of export with all of these spans.
pub(super) fn request(service_name: &str, instance: &str, spans: &[Span]) -> Vec<u8> {
    let attributes = [
        ("service.name", service_name),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", instance),
    ];
    let attributes = attributes.into_iter().map(|(key, value)| text(key, value)).collect();
    let scope = InstrumentationScope {
        name: "locum".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.iter().map(message).collect();
    let spans = ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA.to_owned() };
    let resource = Resource { attributes, ..Resource::default() };
    let of_this_process =
        ResourceSpans { resource: Some(resource), scope_spans: vec![spans], schema_url: SCHEMA.to_owned() };
    ExportTraceServiceRequest { resource_spans: vec![of_this_process] }.encode_to_vec()
}

/// How many spans the collector did not take, of what it answered. An answer that cannot be read came with a
/// status of success, and rejects nothing.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).ok();
    let rejected = answer.and_then(|answer| answer.partial_success).map(|partial| partial.rejected_spans);
    rejected.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

fn message(span: &Span) -> proto::Span {
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
    };
    let attributes = span.attributes.iter().map(|(key, value)| match value {
        Value::Text(value) => text(key, value),
        Value::Number(number) => attribute(key, AnyKind::IntValue(*number)),
    });
    let code = if span.failed { StatusCode::Error } else { StatusCode::Unset };
    proto::Span {
        trace_id: span.trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.0.to_vec()),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes: attributes.collect(),
        status: Some(proto::Status { code: code.into(), ..proto::Status::default() }),
        // Sampled, as whoever comes next was told (W3C trace flags).
        flags: 1,
        ..proto::Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, AnyKind::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: AnyKind) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
