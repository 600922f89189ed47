//! One client's connection, from the accepted socket to its end.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
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
            () = self.phases.draining() => return,
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
    let front = Front { peer, hangup: hangup.clone(), stack };
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
            () = phases.draining() => {
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

/// What hyper calls for each request of one connection. The stack is its thread's, and borrowed for each
/// request: it may be another one than that of the request before.
struct Front<S> {
    peer: Peer,
    hangup: Hangup,
    stack: Rc<RefCell<S>>,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for Front<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        self.stack.borrow_mut().call(Arrival { peer: self.peer.clone(), hangup: self.hangup.clone(), request })
    }
}
