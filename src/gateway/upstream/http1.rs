//! HTTP/1.1 to an app by hyper's client connection.
//!
//! What was never sent is sent again, once, on a new connection. What may have been sent is sent again
//! only when nothing can happen twice by it (a safe method, no body); so a request for which that does not hold never gets a connection that has been
//! silent long enough for the app to be closing it at this moment.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::connect::{AppStream, Offer, Unconnected, connect};
use super::instances::Running;
use super::pool::{AppConnections, Kept, Pool};
use super::steps::{Stepped, Steps};
use super::{AppSide, Bounds, Exchange, Failure, Instance, RequestBody, ResponseBody};

/// Silent for this long, a connection may be about to be closed by the app (some close after 2 s).
const FRESH: Duration = Duration::from_millis(500);
/// The longest head of a response, and the most that is read at once: what one app sends without end
/// must not keep a core from its other connections, and up to three times as much is held for a client that takes nothing.
pub(super) const HEAD_BYTES: usize = 32 * 1024;
pub(super) const HEAD_FIELDS: usize = 200;

/// hyper's client, with the connections of one core.
#[derive(Debug, Clone)]
pub(crate) struct Http1(Arc<Pool>);

/// An open connection. Dropping it closes it, whatever its state.
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    steps: Steps,
    task: AbortHandle,
}

impl Connection {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection that is in use for one exchange.
pub(super) struct Lease {
    connection: Connection,
    pool: Arc<Pool>,
    running: Running,
    instance: usize,
    reusable: bool,
}

impl Lease {
    /// Gives the connection back, after the last byte of the answer.
    pub(super) fn give_back(self) {
        if self.reusable && !self.connection.is_closed() {
            self.pool.keep(self.instance, self.connection);
        }
        drop(self.running);
    }
}

impl Http1 {
    /// To be called on the runtime of the core.
    pub(crate) fn new(instances: usize, connections: AppConnections) -> Self {
        Self(Pool::new(instances, connections))
    }
}

impl Exchange for Http1 {
    async fn exchange(
        &self,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
    ) -> Result<Response<ResponseBody>, Failure> {
        // Boxed, as every way here that is rare, so that the common one is not moved about with room for it.
        if let Some(limit) = bounds.alone {
            return Box::pin(self.exchange_alone(instance, request, bounds, limit)).await;
        }
        let repeatable = request.body().is_empty() && is_safe(request.method());
        let silent_at_most = if repeatable { self.0.stale() } else { FRESH };
        let mut request = request;
        if let Some(Kept { connection, since }) = self.0.take(instance.number, silent_at_most) {
            let spare = (repeatable && since.elapsed() > FRESH).then(|| Box::new(copy_of(&request)));
            request = match self.exchange_on(connection, instance, request, bounds).await {
                Ok(response) => return Ok(response),
                Err(Unanswered::NotSent(request)) => *request,
                Err(Unanswered::Broken) => *spare.ok_or(Failure::Broken("connection_closed"))?,
                Err(Unanswered::Failed(failure)) => return Err(failure),
            };
        }
        Box::pin(self.exchange_on_new(instance, request, bounds)).await
    }
}

/// How an exchange on one connection ended without an answer.
enum Unanswered {
    /// Nothing of the request was sent.
    NotSent(Box<Request<RequestBody>>),
    /// The connection ended before the answer began.
    Broken,
    Failed(Failure),
}

impl Http1 {
    /// On a connection that ends with the answer.
    async fn exchange_alone(
        &self,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
        limit: Duration,
    ) -> Result<Response<ResponseBody>, Failure> {
        let place = self.0.place(limit).await.ok_or(Failure::Full)?;
        let exchange = self.exchange_in(place, instance, request, bounds);
        timeout(limit, exchange).await.unwrap_or(Err(Failure::Silent))
    }

    async fn exchange_on_new(
        &self,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
    ) -> Result<Response<ResponseBody>, Failure> {
        let place = self.0.place(bounds.timeouts.connect).await.ok_or(Failure::Full)?;
        self.exchange_in(place, instance, request, bounds).await
    }

    async fn exchange_in(
        &self,
        place: OwnedSemaphorePermit,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
    ) -> Result<Response<ResponseBody>, Failure> {
        let limit = bounds.timeouts.connect;
        let connection = async {
            let stream = connect(instance, Offer::Http1, limit).await?.stream;
            begin(stream, instance, place).await.map_err(Unconnected::App)
        };
        let connection = match connection.await {
            Ok(connection) => connection,
            Err(none) => return Err(none.failure(request)),
        };
        match self.exchange_on(connection, instance, request, bounds).await {
            Ok(response) => Ok(response),
            Err(Unanswered::NotSent(request)) => Err(Failure::Unreachable { request, why: "connection_closed" }),
            Err(Unanswered::Broken) => Err(Failure::Broken("connection_closed")),
            Err(Unanswered::Failed(failure)) => Err(failure),
        }
    }

    async fn exchange_on(
        &self,
        mut connection: Connection,
        instance: &Arc<Instance>,
        request: Request<RequestBody>,
        bounds: &Bounds,
    ) -> Result<Response<ResponseBody>, Unanswered> {
        let running = instance.enter();
        connection.steps.begin(bounds.hints.is_some());
        let mut sent = pin!(connection.sender.try_send_request(request));
        let steps = &connection.steps;
        let sent = poll_fn(|cx| {
            let Some(hints) = &bounds.hints else { return sent.as_mut().poll(cx) };
            if steps.pass_hints(hints) {
                // Once more, when the client's connection has been flushed, which it is before it asks again.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let answered = sent.as_mut().poll(cx);
            if answered.is_pending() {
                steps.wake_for_hints(cx);
            }
            answered
        });
        let mut response = match wait_for_head(pin!(sent), bounds).await.map_err(Unanswered::Failed)? {
            Ok(response) => response,
            Err(mut error) => {
                let untouched = error.take_message();
                tracing::debug!(error = %error.error(), upstream = %instance.authority(), "an app's connection failed");
                return Err(untouched.map_or(Unanswered::Broken, |request| Unanswered::NotSent(Box::new(request))));
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !bounds.may_switch {
                return Err(Unanswered::Failed(Failure::Broken("switched_unasked")));
            }
            connection.steps.end();
            let side = Box::pin(AppSide::of(&mut response, running, bounds.timeouts.connect)).await;
            let side = side.map_err(Unanswered::Failed)?;
            return Ok(response.map(|body| ResponseBody::switched(body, side)));
        }
        // An answer that came before the request was whole leaves a connection of which nobody can say
        // what comes next on it.
        let whole = bounds.progress.as_ref().is_none_or(|progress| progress.is_whole());
        let reusable = whole && bounds.alone.is_none();
        let lease = Lease { connection, pool: Arc::clone(&self.0), running, instance: instance.number, reusable };
        Ok(response.map(|body| ResponseBody::of_http1(body, lease)))
    }
}

/// Waits for the head of the response: as long as the upload moves, and then as long as settings allow.
pub(super) async fn wait_for_head<T, E>(
    mut sent: Pin<&mut impl Future<Output = Result<T, E>>>,
    bounds: &Bounds,
) -> Result<Result<T, E>, Failure> {
    let mut answered = pin!(poll_fn(|cx| {
        if let Poll::Ready(response) = sent.as_mut().poll(cx) {
            return Poll::Ready(Ok(response));
        }
        match &bounds.guard {
            Some(guard) => guard.poll_cancelled(cx).map(|()| Err(Failure::Cut)),
            None => Poll::Pending,
        }
    }));
    let mut moved = 0;
    loop {
        if let Ok(answer) = timeout(bounds.timeouts.response, answered.as_mut()).await {
            return answer;
        }
        let now_moved = bounds.progress.as_ref().map_or(0, |progress| progress.moved());
        if now_moved == moved {
            return Err(Failure::Silent);
        }
        moved = now_moved;
    }
}

/// Begins to speak HTTP/1.1 on a new connection, which holds its place until it has ended.
async fn begin(
    stream: AppStream,
    instance: &Instance,
    place: OwnedSemaphorePermit,
) -> Result<Connection, &'static str> {
    let steps = Steps::default();
    let stream = Stepped::new(stream, steps.clone(), place);
    let handshake =
        http1::Builder::new().max_buf_size(HEAD_BYTES).max_headers(HEAD_FIELDS).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|_| "connect")?;
    let upstream = Arc::clone(instance.authority());
    let task = tokio::spawn(async move {
        let ended = connection.with_upgrades().await;
        if let Err(error) = ended {
            tracing::debug!(%error, %upstream, "an app's connection ended with an error");
        }
    });
    Ok(Connection { sender, steps, task: task.abort_handle() })
}

/// The head again, for a request without a body.
pub(in crate::gateway) fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("closed", &self.sender.is_closed()).finish_non_exhaustive()
    }
}
