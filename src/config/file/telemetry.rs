//! What the gateway says about itself: `[log]` and `[tracing]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the gateway writes about itself.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogTable {
    /// The form of a line.
    pub(crate) format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`: this kind of line and what is more important. Or directives
    /// for parts of Locum, such as `info,locum::gateway=debug`.
    pub(crate) level: String,
    /// Of the requests that went well, one in so many has a line in the access log; 1 means all.
    ///
    /// Such a line says `sampled_one_in`: it stands for so many. What was refused, failed, was answered with 400 or above or
    /// was slow is always written, and the metrics count everything.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) access_sample_one_in: u32,
    /// A request is slow when the head of its answer took as long as this.
    pub(crate) access_slow: String,
}

/// Spans of OpenTelemetry, sent to a collector.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TracingTable {
    /// Where the collector takes OTLP over HTTP (protobuf), such as `http://127.0.0.1:4318`; `/v1/traces` is added.
    /// Absent: nothing is traced.
    ///
    /// While it takes nothing, spans are dropped and counted (`locum_trace_spans_total`); no request waits for it.
    pub(crate) endpoint: Option<String>,
    /// One request in so many is traced; 1 means all.
    ///
    /// A trusted proxy (`server.trusted_proxies`) that sends `traceparent` decides itself. From anybody else only the id of
    /// the trace is taken.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) sample_one_in: u32,
    /// What this gateway is called in traces (`service.name`).
    pub(crate) service_name: String,
    /// A file with headers for the collector, one `Name: value` a line, readable by its owner only: for its credential.
    pub(crate) headers_file: Option<String>,
    /// With `https://`: a file with the certificates, in PEM, of the authorities that vouch for the collector. Only they are
    /// believed then; without it the authorities that this machine trusts are.
    pub(crate) ca_file: Option<String>,
    /// How long the collector may take for one batch, connecting included.
    pub(crate) timeout: String,
}

/// The form of a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl Default for LogTable {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: "info".to_owned(),
            access_sample_one_in: 1,
            access_slow: "1s".to_owned(),
        }
    }
}

impl Default for TracingTable {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample_one_in: 100,
            service_name: "locum".to_owned(),
            headers_file: None,
            ca_file: None,
            timeout: "10s".to_owned(),
        }
    }
}
