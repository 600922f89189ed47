//! Traces: what a request took, as spans of OpenTelemetry, sent to a collector beside the path of requests.
//!
//! ```text
//!   context    traceparent and tracestate (W3C Trace Context), read strictly
//!   span       one step of a request, and the ids by which steps belong together
//!   queue      from the threads that serve to the one that sends: bounded, never waited for
//!   export     batches, tried again, and dropped when nobody takes them
//!   collector  one connection to the collector: OTLP over HTTP
//!   otlp       spans as the protobuf of OTLP
//!   settings   where to, how many, and with which headers
//! ```
//!
//! Architecture invariant: nothing here ever holds up a request. Whoever serves puts a span into a bounded queue or
//! counts it as dropped; everything that can wait is on the control runtime.
//!
//! Without the cargo feature `otel`, `export`, `collector` and `otlp` are missing, and `absent` stands for `export`:
//! nothing can be configured then.

mod context;
mod queue;
mod settings;
mod span;

#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod export;
#[cfg(not(feature = "otel"))]
#[path = "absent.rs"]
mod export;
#[cfg(feature = "otel")]
mod otlp;

pub use context::{Parent, TRACEPARENT, TRACESTATE, is_tracestate};
pub use export::Exporting;
pub use queue::{Drawn, Queued, Tracer, Traces};
pub use settings::{CollectorTls, Endpoint, EndpointError, HeadersError, Settings, TlsError, headers};
pub use span::{Kind, Span, SpanId, TraceId, Value, traceparent};

/// Whether this binary can send spans.
pub const AVAILABLE: bool = cfg!(feature = "otel");
