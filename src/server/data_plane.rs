//! The data plane's threads: each accepts on its own socket and serves what it accepted to the end.
//!
//! A connection never changes its thread, so nothing on the hot path is shared between cores but
//! what is meant to be. Draining is in two steps: every connection finishes what it is answering and
//! closes; what is left at the deadline is dropped.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connection::Door;
use super::entrance::Entrance;
use crate::gateway::{Arrival, Body};

/// What bounds the clients' connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many are open at once, all threads together; more wait in the kernel.
    pub connections: usize,
    /// How long a client may take to send the head of a request; also the longest idle time between
    /// two requests of one connection.
    pub head_timeout: Duration,
    /// How long a connection of HTTP/2 may stay without a request.
    pub idle_timeout: Duration,
    /// How long everything before the first request may take: a proxy's header, a handshake.
    pub handshake_timeout: Duration,
    /// How long a client may take nothing of what it is sent, before the kernel ends the connection.
    pub stall_timeout: Duration,
    /// The most that is buffered for one head.
    pub head_bytes: usize,
    /// The most header fields in one head.
    pub head_fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16 * 1024,
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(3),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_mins(1),
            head_bytes: 64 * 1024,
            head_fields: 100,
        }
    }
}

/// A data-plane thread's own stack. It is ready at any time: what has to wait waits in its futures.
pub trait Stack: Service<Arrival, Response = Response<Body>, Error = Infallible> + Clone + 'static {}

impl<S> Stack for S where S: Service<Arrival, Response = Response<Body>, Error = Infallible> + Clone + 'static {}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new connections; each one ends with the request it is answering.
    Draining,
}

/// Where a connection learns that it is to end.
#[derive(Debug, Clone)]
pub(super) struct Phases(watch::Receiver<Phase>);

impl Phases {
    /// Returns when draining has begun, or whoever would say so is gone.
    pub(super) async fn draining(&mut self) {
        let _said_or_gone = self.0.wait_for(|phase| *phase == Phase::Draining).await;
    }
}

/// The running threads.
#[derive(Debug)]
pub struct DataPlane {
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<()>>,
}

impl DataPlane {
    /// Starts one thread a listener. `make` is called on each thread, with its number.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start<S: Stack>(
        listeners: Vec<TcpListener>,
        entrance: &Arc<Entrance>,
        limits: &Limits,
        shutdown_timeout: Duration,
        make: impl Fn(u16) -> S + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let mut threads = Vec::with_capacity(listeners.len());
        for (number, listener) in (0_u16..).zip(listeners) {
            let (limits, phases, make) = (limits.clone(), Phases(phases.clone()), make.clone());
            let (places, entrance) = (Arc::clone(&places), Arc::clone(entrance));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("data-{number}")).spawn(move || {
                let local = LocalSet::new();
                let door = Door { entrance, limits, phases };
                let run = async { serve_thread(listener, make(number), door, places, shutdown_timeout).await };
                if let Err(error) = local.block_on(&runtime, run) {
                    tracing::error!(%error, thread = number, "a data-plane thread could not serve");
                }
            })?;
            threads.push(thread);
        }
        Ok(Self { phase, threads })
    }

    /// Stops accepting and waits until every connection has ended, or its thread's deadline passed.
    /// Blocks; to be called off the async threads.
    pub fn drain(self) {
        self.phase.send_replace(Phase::Draining);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a data-plane thread panicked");
            }
        }
    }
}

async fn serve_thread<S: Stack>(
    listener: TcpListener,
    stack: S,
    mut door: Door,
    places: Arc<Semaphore>,
    shutdown_timeout: Duration,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = TaskTracker::new();
    loop {
        // First the client and then its place, or a thread that waits for clients would sit on one.
        let accepted = async {
            let accepted = listener.accept().await?;
            Ok::<_, io::Error>((accepted, a_place(&places).await))
        };
        let accepted = tokio::select! {
            biased;
            () = door.phases.draining() => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok(((stream, peer), place)) => {
                let serve = door.clone().serve(stream, peer, stack.clone());
                connections.spawn_local(async move {
                    serve.await;
                    drop(place);
                });
            }
            Err(error) => back_off(&error).await,
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(shutdown_timeout, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "connections were still open at the shutdown timeout and are dropped");
    }
    Ok(())
}

/// A place for one more client; `None` never comes, because nobody closes the places.
async fn a_place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        return Some(place);
    }
    tracing::warn!("as many clients are connected as may be: more have to wait");
    metrics::counter!("locum_connections_full_total").increment(1);
    Arc::clone(places).acquire_owned().await.ok()
}

/// A connection that was gone before it was accepted costs nothing; no descriptors or memory left
/// means waiting until some are free again. The loop never ends on an error.
async fn back_off(error: &io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    ) {
        return;
    }
    tracing::warn!(%error, "a connection could not be accepted; waiting before the next");
    metrics::counter!("locum_accept_errors_total").increment(1);
    tokio::time::sleep(Duration::from_millis(50)).await;
}
