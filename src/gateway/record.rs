//! What happened to a request: travels inward with it and comes back with its answer, by value.
//!
//! The outermost layer turns it into the line of the access log and the metrics. Nothing here has to be
//! allocated: what is known of a principal or a route is shared with whoever found it.

use std::sync::Arc;
use std::time::Instant;

use crate::authn::Proven;
use crate::policy::Route;

/// What is known of one request by the time it is answered.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) route: Option<Arc<Route>>,
    pub(super) who: Option<Arc<Proven>>,
    pub(super) decision: Decision,
    /// Why it was refused: a slug for the log, never for the client.
    pub(super) reason: Option<&'static str>,
    /// `HOST:PORT` of the app's instance that answered, or failed to.
    pub(super) upstream: Option<Arc<str>>,
    /// When the app was first asked, of a request that is traced.
    pub(super) asked_at: Option<Instant>,
}

/// The outcome of a request, as a small closed set for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Decision {
    /// Forwarded, and answered by the app.
    Permitted,
    /// Malformed or ambiguous.
    Rejected,
    /// No app, route or method for it.
    Unrouted,
    /// No credential, or one that is not good.
    Unauthenticated,
    /// A good credential that may not do this.
    Denied,
    /// From a source that has failed too often, or of a caller that has asked too often.
    Throttled,
    /// Turned away, because there was more to do than could be done.
    Shed,
    /// Nobody could decide, or it was cut, or a fault in Locum itself.
    #[default]
    Failed,
    /// Permitted, but the app did not answer.
    UpstreamFailed,
    /// Answered by the gateway itself.
    Own,
}

impl Decision {
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Rejected => "rejected",
            Self::Unrouted => "unrouted",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Shed => "shed",
            Self::Failed => "failed",
            Self::UpstreamFailed => "upstream_failed",
            Self::Own => "own",
        }
    }
}
