//! The tables of an app that say what is done when it is not well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When one of several upstreams is left alone because it fails, and for how long.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OutlierTable {
    /// So many failures in a row: no connection, no answer in time, an answer 502, 503 or 504. All but the first kind
    /// have to go on for a second in which nobody was answered well.
    #[schemars(range(min = 1, max = 1_000))]
    pub(crate) failures: u32,
    /// For how long at first, and twice as long each time that the one request fails which is sent then to find out.
    pub(crate) ejection_time: String,
    /// And for how long at most.
    pub(crate) max_ejection_time: String,
    /// The most upstreams, in percent, that are left alone although they can be reached, and never all. Those that cannot
    /// be are left alone whatever the others do; when none can, the app is known to be away and callers get a 503 at once.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) max_ejected_percent: u32,
}

/// When a request is sent to another upstream.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetryTable {
    /// To so many others after the first; 0: never.
    #[schemars(range(min = 0, max = 10))]
    pub(crate) attempts: u32,
    /// For one hundred requests, so many may be sent again that may have been sent before; beside these three at once,
    /// and one a second, for each thread.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) budget_percent: u32,
    /// Also when an upstream answers 503.
    pub(crate) on_503: bool,
}

/// Requests of the gateway's own by which it learns which upstreams are well.
#[derive(Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HealthTable {
    /// What is asked for with `GET`, such as `/healthz`. Absent: nothing is.
    pub(crate) path: Option<String>,
    /// The `Host` that is asked for. Absent: that of the upstream.
    pub(crate) host: Option<String>,
    /// From one check of an upstream to the next.
    pub(crate) interval: String,
    /// How long a check may take.
    pub(crate) timeout: String,
    /// So many good checks in a row bring an upstream back.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) healthy_after: u32,
    /// So many bad checks in a row take it out, also when no other is left.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) unhealthy_after: u32,
    /// The status that is good: one, such as `200`, or from one to another, such as `200-399`.
    pub(crate) status: String,
}

impl Default for OutlierTable {
    fn default() -> Self {
        Self {
            failures: 5,
            ejection_time: "2s".to_owned(),
            max_ejection_time: "60s".to_owned(),
            max_ejected_percent: 50,
        }
    }
}

impl Default for RetryTable {
    fn default() -> Self {
        Self { attempts: 3, budget_percent: 20, on_503: false }
    }
}

impl Default for HealthTable {
    fn default() -> Self {
        Self {
            path: None,
            host: None,
            interval: "5s".to_owned(),
            timeout: "2s".to_owned(),
            healthy_after: 2,
            unhealthy_after: 3,
            status: "200-399".to_owned(),
        }
    }
}
