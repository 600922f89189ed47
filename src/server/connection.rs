//! One client's connection, from the accepted socket to its end.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::TcpStream;

use super::data_plane::{Limits, Phases, Stack};
use super::entrance::{Entered, Entrance, Protocol};
use super::http2;
use super::stream::Stream;
use super::taken;
use crate::gateway::{Arrival, Body, Hangup, HeadGuard, Peer, head_guard};

/// What each connection of a thread is served with.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) entrance: Arc<Entrance>,
    pub(super) limits: Limits,
    pub(super) phases: Phases,
}

impl Door {
    pub(super) async fn serve<S: Stack>(mut self, tcp: TcpStream, from: SocketAddr, stack: Rc<RefCell<S>>) {
        if let Err(error) = prepare(&tcp, &self.limits) {
            tracing::debug!(%error, "a client's connection was gone before it was served");
            return;
        }
        let entered = tokio::select! {
            biased;
            entered = self.entrance.enter(tcp, from, &self.limits) => entered,
            () = self.phases.waited_enough() => return,
        };
        match entered {
            Ok(Some(Entered { stream, peer, protocol: Protocol::Http1 })) => {
                serve_http1(stream, peer, stack, &self.limits, self.phases).await;
            }
            Ok(Some(Entered { stream, peer, protocol: Protocol::Http2 })) => {
                http2::serve(stream, peer, stack, &self.limits, self.phases).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, source = %from.ip(), "a connection ended before its first request");
                metrics::counter!("locum_connections_turned_away_total").increment(1);
            }
        }
    }
}

/// A client that reads nothing fills the kernel's buffer and then the server's, and from there on no
/// other limit is ever reached: no head is waited for, and no body is asked for its next piece. The
/// kernel knows best whether anything moves, so it keeps this one (Linux, `TCP_USER_TIMEOUT`).
fn prepare(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(limits.stall_timeout))?;
        socket.set_tcp_notsent_lowat(taken::UNSENT)?;
    }
    stream.set_nodelay(true)
}

async fn serve_http1<S: Stack>(stream: Stream, peer: Peer, stack: Rc<RefCell<S>>, limits: &Limits, mut phases: Phases) {
    let bounds = head_guard::Limits { head_bytes: limits.head_bytes, head_fields: limits.head_fields };
    let stream = HeadGuard::new(stream, peer.clone(), bounds);
    let hangup = Hangup::default();
    let said = Rc::new(Said::default());
    let front = Front { peer, hangup: hangup.clone(), stack, said: Rc::clone(&said) };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes)
        .max_headers(limits.head_fields)
        .serve_connection(TokioIo::new(stream), front)
        .with_upgrades();
    // Dropped before a tunnel runs: one to which hyper never switched is to find that out at once.
    let served = {
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            served = connection.as_mut() => served,
            () = hangup.wait() => return,
            asked = said.goodbye(&mut phases) => {
                if !asked {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    served = connection.as_mut() => served,
                    () = hangup.wait() => return,
                }
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a client's connection ended early");
    }
    if let Some(tunnel) = hangup.take_tunnel() {
        tunnel.run(phases.draining()).await;
    }
}

/// What was said on a connection, by either side.
#[derive(Default)]
struct Said {
    /// The client has asked something.
    asked: Cell<bool>,
    /// Every answer from now on says that it is the last.
    goodbye: Cell<bool>,
}

impl Said {
    /// Lets answers say that the connection ends once it is to, and returns when nobody is accepted any more: with
    /// whether the client has asked anything by then or, if not, within a moment.
    async fn goodbye(&self, phases: &mut Phases) -> bool {
        phases.turning().await;
        self.goodbye.set(true);
        phases.draining().await;
        if !self.asked.get() {
            phases.waited_enough().await;
        }
        self.asked.get()
    }
}

/// What hyper calls for each request of one connection. The stack is its thread's, and borrowed for each
/// request: it may be another one than that of the request before.
struct Front<S> {
    peer: Peer,
    hangup: Hangup,
    stack: Rc<RefCell<S>>,
    said: Rc<Said>,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for Front<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Answering<S::Future> {
        self.said.asked.set(true);
        let arrival = Arrival { peer: self.peer.clone(), hangup: self.hangup.clone(), request };
        Answering { answer: self.stack.borrow_mut().call(arrival), said: Rc::clone(&self.said) }
    }
}

pin_project! {
    /// The answer to one request, which may be the last of its connection.
    struct Answering<F> {
        #[pin]
        answer: F,
        said: Rc<Said>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Answering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answer.poll(context));
        if this.said.goodbye.get() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}
