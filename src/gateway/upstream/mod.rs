//! Where apps run, and how they are spoken to.
//!
//! ```text
//!   app_side       a connection that no longer speaks HTTP
//!   endpoint       the addresses of one instance, and the way to connect
//!   connect        a new connection, with TLS where it is spoken
//!   tls            who is believed to be an app, and what it is shown
//!   shared         what all cores know of one app together
//!   standing       how its instances stand: asked, left alone, tried, back
//!   bulkhead       how many requests run at one app, and wait for it
//!   instances      its instances as one core sees them, and which of them is asked next
//!   budget         how many requests may be sent to another instance
//!   watch          what goes on beside the requests
//!   names          the addresses that names stand for
//!   probe          active checks of instances
//!   http1          one exchange over HTTP/1.1, by hyper
//!   http2          many exchanges on one connection, by h2
//!   pool           how many connections there may be; those that are kept open and taken again
//!   request_body   what streams to an app: counted, cut, and known to be whole or not
//!   response_body  what streams from an app, and gives its connection back when all was said
//!   steps          the steps on the way to an answer, counted, and hints among them
//! ```
//!
//! An exchange is behind one trait, because a lighter codec is to come beside hyper's. The law for any of
//! them: a connection is used again only when both messages were whole, and whatever is doubtful is
//! closed, because one caller's answer must never reach another (invariant 10).

mod app_side;
mod budget;
mod bulkhead;
mod connect;
mod endpoint;
mod http1;
mod http2;
mod instances;
mod names;
mod pool;
mod probe;
mod request_body;
mod response_body;
mod shared;
mod standing;
mod steps;
mod tls;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;

pub(super) use app_side::AppSide;
pub use budget::Retry;
pub use bulkhead::AppLimits;
pub(super) use bulkhead::Entered;
pub use connect::TransportSettings;
use http1::Http1;
pub(super) use http1::copy_of;
use http2::Http2;
pub(super) use instances::{Attempt, Instance, Instances, Tried};
pub use names::Resolver;
pub use pool::AppConnections;
pub use probe::HealthCheck;
pub(super) use request_body::{BodyLimits, Fault, Progress, RequestBody};
pub(super) use response_body::ResponseBody;
pub(super) use shared::SharedApps;
pub use standing::Outlier;
pub use tls::{AppTlsError, AppTlsSettings};
pub use watch::Watching;
pub(super) use watch::watch;

use super::early_hints::EarlyHints;
use super::settings::Timeouts;
use crate::cluster::Guard;

/// What bounds one exchange.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) timeouts: Timeouts,
    /// When the whole request has to be over; `None`: whenever it is.
    pub(super) deadline: Option<Instant>,
    /// Ends the exchange when the access is withdrawn.
    pub(super) guard: Option<Arc<Guard>>,
    /// Whether the client said that it takes trailers, for apps that have a place for them.
    pub(super) takes_trailers: bool,
    /// How far the request's body has come; `None` when there is none.
    pub(super) progress: Option<Arc<Progress>>,
    /// Where hints go that come before the answer; `None`: nowhere.
    pub(super) hints: Option<EarlyHints>,
    /// Whether the app is asked to switch to another protocol, and an answer may be that it does.
    pub(super) may_switch: bool,
    /// For a check: on a new connection that is not kept, and over so long after there was a place for it.
    pub(super) alone: Option<Duration>,
}

/// Why an exchange brought no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection; nothing was sent, and the request is whole.
    Unreachable { request: Box<Request<RequestBody>>, why: &'static str },
    /// This machine has no local port, descriptor or memory for one more connection, which says nothing of the app;
    /// nothing was sent, and the request is whole.
    NoSocket(Box<Request<RequestBody>>),
    /// The app said, time and again, that it looked at nothing of it; the request is whole.
    Refused(Box<Request<RequestBody>>),
    /// As many connections to apps are in use as may be.
    Full,
    /// The connection broke, or what came was no answer.
    Broken(&'static str),
    /// The same, of a connection that was shared: another request has told that it broke.
    Lost(&'static str),
    /// No answer in time.
    Silent,
    /// The access was withdrawn meanwhile.
    Cut,
}

/// One way of speaking to an app.
pub(super) trait Exchange: Clone + Send + Sync + 'static {
    /// Sends one request and answers with the head of the response as soon as it is there.
    fn exchange(
        &self,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Failure>> + Send;
}

/// Every way of speaking to apps, with the connections of one core.
#[derive(Debug, Clone)]
pub(super) struct Upstreams {
    http1: Http1,
    http2: Http2,
}

impl Upstreams {
    /// To be called on the runtime of the core.
    pub(super) fn new(instances: usize, connections: AppConnections) -> Self {
        let http1 = Http1::new(instances, connections.clone());
        Self { http2: Http2::new(instances, connections, http1.clone()), http1 }
    }
}

impl Exchange for Upstreams {
    async fn exchange(
        &self,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
    ) -> Result<Response<ResponseBody>, Failure> {
        // What may become a tunnel is asked in HTTP/1.1, which can switch.
        if instance.way().speaks_http2() && !bounds.may_switch {
            // Boxed, so that the common way is not moved about with room for this one.
            Box::pin(self.http2.exchange(instance, request, bounds)).await
        } else {
            self.http1.exchange(instance, request, bounds).await
        }
    }
}
