//! What bounds clients: the table `[limits]`, and the limits of rate that stand on apps and routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What bounds the connections of clients, and their requests all together.
///
/// A client that reaches a limit of time or rate loses its connection, or over HTTP/2 its stream.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsTable {
    /// How many clients may be connected at once; more wait in the kernel. 0: as many as the limit of open files
    /// allows, about half of it. Never more than that.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) connections: u32,
    /// How long everything before the first request may take: the header of a proxy, the handshake of TLS.
    pub(crate) handshake_timeout: String,
    /// How long the head of a request may take; over HTTP/1 also how long a connection may stay without one.
    pub(crate) head_timeout: String,
    /// How long a connection of HTTP/2 may stay without a request.
    pub(crate) idle_timeout: String,
    /// How long a client may take less of an answer, or give less of a body, than `min_rate` asks.
    ///
    /// Only the time in which the gateway waits for the client counts, and none in which an app is slow.
    pub(crate) stall_timeout: String,
    /// The fewest bytes a second, on average over any stretch longer than `stall_timeout`. 0: slow clients are
    /// welcome, as long as they do not stand still.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub(crate) min_rate: u32,
    /// The largest head of a request of HTTP/1: request line and headers.
    pub(crate) head_bytes: String,
    /// The most headers in a request.
    #[schemars(range(min = 10, max = 1_000))]
    pub(crate) head_fields: u16,
    /// The largest head of a request of HTTP/2, as HPACK counts it: 32 bytes more for each header.
    pub(crate) http2_head_bytes: String,
    /// How many requests may run at once on one connection of HTTP/2.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) http2_streams: u16,
    /// How many requests may run at once, over all connections together; more are turned away with 503. A request runs
    /// until the last byte of its answer, a WebSocket until it ends. 0: as many as there may be connections to apps,
    /// which is about half of the limit of open files, and not more than 16,384.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub(crate) requests: u32,
    /// How many of a hundred of `requests` are kept for callers whose credential this gateway has proven before.
    /// Strangers are turned away when no more than these are left.
    #[schemars(range(min = 0, max = 90))]
    pub(crate) reserved_percent: u8,
    /// How long a credential that this gateway has not proven may wait until somebody looks at it; at most `2s`. Strangers
    /// who would wait for longer are turned away with 503.
    pub(crate) judgement_wait: String,
}

impl Default for LimitsTable {
    fn default() -> Self {
        Self {
            connections: 0,
            handshake_timeout: "10s".to_owned(),
            head_timeout: "30s".to_owned(),
            idle_timeout: "3m".to_owned(),
            stall_timeout: "60s".to_owned(),
            min_rate: 500,
            head_bytes: "64KiB".to_owned(),
            head_fields: 100,
            http2_head_bytes: "32KiB".to_owned(),
            http2_streams: 100,
            requests: 0,
            reserved_percent: 20,
            judgement_wait: "500ms".to_owned(),
        }
    }
}

/// How many requests one caller, or all together, may make. Each node counts for itself.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitTable {
    /// Whose requests are counted together.
    pub(crate) per: Per,
    /// So many requests in the time of `every`.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) requests: u32,
    /// The time in which so many come back: one after the other, not all at its end.
    #[serde(default = "a_second")]
    pub(crate) every: String,
    /// How many may come at once. Absent: as many as `requests`.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) burst: Option<u32>,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Per {
    /// Those from one IPv4 address or IPv6 /64. Counted before anything is judged, refused ones too.
    Source,
    /// Those of one account that may make them; of who has none, those from one source.
    Account,
    /// All that may be made.
    All,
}

fn a_second() -> String {
    "1s".to_owned()
}
