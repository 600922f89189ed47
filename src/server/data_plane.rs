//! The data plane's threads: each accepts on its own socket and serves what it accepted to the end.
//!
//! A connection never changes its thread, so nothing on the hot path is shared between cores but
//! what is meant to be. All connections of a thread are served by one stack: when it is exchanged, the
//! next request of every one of them goes through the new one, and what runs in the old one ends there.
//!
//! The end is in three steps. First every answer says that its connection ends, while new ones are still
//! accepted: so a client that asks again and again is never surprised. Then nobody is accepted, and every
//! connection finishes what it is answering. What is left at the deadline is dropped.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use http::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connection::Door;
use super::entrance::Entrance;
pub use crate::config::settings::Limits;
use crate::gateway::{Arrival, Body};

impl Limits {
    /// The same, with what the routes say about tunnels.
    #[must_use]
    pub(super) fn with_tunnels(&self, allowed: bool) -> Self {
        Self { extended_connect: allowed, ..self.clone() }
    }
}

/// A data-plane thread's own stack, shared by its connections. It is ready at any time: what has to wait waits in its futures.
pub trait Stack: Service<Arrival, Response = Response<Body>, Error = Infallible> + 'static {}

impl<S> Stack for S where S: Service<Arrival, Response = Response<Body>, Error = Infallible> + 'static {}

/// How long a connection that has asked nothing yet may take for it, once nobody is accepted any more.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Connections end with the request that they are answering or that comes next; new ones are accepted.
    Turning,
    /// No new connections; each one ends with the request it is answering, at the latest after so long.
    Draining(Duration),
}

/// Where a connection learns that it is to end.
#[derive(Debug, Clone)]
pub(super) struct Phases(watch::Receiver<Phase>);

impl Phases {
    /// Returns when connections are to end, and new ones may still be accepted.
    pub(super) async fn turning(&mut self) {
        let _said_or_gone = self.0.wait_for(|phase| *phase != Phase::Serving).await;
    }

    /// Whether connections are to end by now.
    pub(super) fn is_turning(&self) -> bool {
        *self.0.borrow() != Phase::Serving
    }

    /// Returns when draining has begun, or whoever would say so is gone.
    pub(super) async fn draining(&mut self) {
        let _said_or_gone = self.0.wait_for(|phase| matches!(phase, Phase::Draining(_))).await;
    }

    /// Returns a moment after draining has begun: who has connected and asked nothing yet is waited for so long.
    pub(super) async fn waited_enough(&mut self) {
        self.draining().await;
        tokio::time::sleep(FIRST_WORDS).await;
    }

    /// How long what still runs may take.
    fn time_left(&self) -> Duration {
        match *self.0.borrow() {
            Phase::Draining(timeout) => timeout,
            Phase::Serving | Phase::Turning => Duration::ZERO,
        }
    }
}

/// What a thread serves by from now on.
struct Change<S> {
    make: Box<dyn FnOnce() -> S + Send>,
    entrance: Arc<Entrance>,
    limits: Limits,
    done: oneshot::Sender<()>,
}

/// By which running threads are told to serve by something else.
#[derive(Debug)]
pub struct Changes<S>(Vec<mpsc::Sender<Change<S>>>);

impl<S> Clone for Changes<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A data-plane thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thread that serves has ended")]
pub struct ThreadGone;

impl<S: Stack> Changes<S> {
    /// Exchanges the stack of every thread, and what new connections meet. When this returns, the next request of
    /// every connection goes through the new stack. `make` is called on each thread, with its number.
    ///
    /// # Errors
    /// When a thread has ended; the others have changed.
    pub async fn take_up(
        &self,
        entrance: &Arc<Entrance>,
        limits: &Limits,
        make: impl Fn(u16) -> S + Clone + Send + 'static,
    ) -> Result<(), ThreadGone> {
        let mut under_way = Vec::with_capacity(self.0.len());
        for (number, thread) in (0_u16..).zip(&self.0) {
            let (done, taken_up) = oneshot::channel();
            let make = make.clone();
            let make = Box::new(move || make(number));
            let change = Change { make, entrance: Arc::clone(entrance), limits: limits.clone(), done };
            under_way.push(match thread.send(change).await {
                Ok(()) => Some(taken_up),
                Err(_gone) => None,
            });
        }
        let mut gone = false;
        for taken_up in under_way {
            gone |= match taken_up {
                Some(taken_up) => taken_up.await.is_err(),
                None => true,
            };
        }
        if gone { Err(ThreadGone) } else { Ok(()) }
    }
}

/// The running threads.
#[derive(Debug)]
pub struct DataPlane {
    phase: watch::Sender<Phase>,
    threads: Vec<JoinHandle<()>>,
}

impl DataPlane {
    /// Starts one thread for each set of listeners. `make` is called on each thread, with its number.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start<S: Stack>(
        listeners: Vec<Vec<TcpListener>>,
        entrance: &Arc<Entrance>,
        limits: &Limits,
        make: impl Fn(u16) -> S + Clone + Send + 'static,
    ) -> io::Result<(Self, Changes<S>)> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let mut threads = Vec::with_capacity(listeners.len());
        let mut changes = Vec::with_capacity(listeners.len());
        for (number, listeners) in (0_u16..).zip(listeners) {
            let (limits, phases, make) = (limits.clone(), Phases(phases.clone()), make.clone());
            let (places, entrance) = (Arc::clone(&places), Arc::clone(entrance));
            let (change, changes_in) = mpsc::channel(1);
            changes.push(change);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("data-{number}")).spawn(move || {
                let local = LocalSet::new();
                let run = async {
                    let stack = Rc::new(RefCell::new(make(number)));
                    let served = Served { door: RefCell::new(Door { entrance, limits, phases }), stack };
                    serve_thread(listeners, Rc::new(served), changes_in, places).await
                };
                if let Err(error) = local.block_on(&runtime, run) {
                    tracing::error!(%error, thread = number, "a data-plane thread could not serve");
                }
            })?;
            threads.push(thread);
        }
        Ok((Self { phase, threads }, Changes(changes)))
    }

    /// From now on every answer says that its connection ends.
    pub fn turn(&self) {
        self.phase.send_replace(Phase::Turning);
    }

    /// Stops accepting and waits until every connection has ended, or `timeout` passed. Blocks; to be called off
    /// the async threads.
    pub fn drain(self, timeout: Duration) {
        self.phase.send_replace(Phase::Draining(timeout));
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a data-plane thread panicked");
            }
        }
    }
}

/// What one thread serves by now.
struct Served<S> {
    /// For connections that are to come.
    door: RefCell<Door>,
    /// For the next request of every connection.
    stack: Rc<RefCell<S>>,
}

impl<S: Stack> Served<S> {
    async fn take_up(self: Rc<Self>, mut changes: mpsc::Receiver<Change<S>>) {
        while let Some(Change { make, entrance, limits, done }) = changes.recv().await {
            let new = make();
            let old = self.stack.replace(new);
            {
                let mut door = self.door.borrow_mut();
                (door.entrance, door.limits) = (entrance, limits);
            }
            drop(old);
            if done.send(()).is_err() {
                tracing::debug!("nobody waits any more for a change that was taken up");
            }
        }
    }
}

async fn serve_thread<S: Stack>(
    listeners: Vec<TcpListener>,
    served: Rc<Served<S>>,
    changes: mpsc::Receiver<Change<S>>,
    places: Arc<Semaphore>,
) -> io::Result<()> {
    let listeners = listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
    let connections = TaskTracker::new();
    // Beside accepting, because a client that was accepted and waits for its place must not be lost.
    let changing = tokio::task::spawn_local(Rc::clone(&served).take_up(changes));
    let accepting = listeners.into_iter().map(|listener| accept(listener, &served, &connections, &places));
    join_all(accepting).await;
    connections.close();
    let time_left = served.door.borrow().phases.time_left();
    if tokio::time::timeout(time_left, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "connections were still open at the shutdown timeout and are dropped");
    }
    changing.abort();
    Ok(())
}

/// Accepts until draining begins.
async fn accept<S: Stack>(
    listener: tokio::net::TcpListener,
    served: &Served<S>,
    connections: &TaskTracker,
    places: &Arc<Semaphore>,
) {
    let mut phases = served.door.borrow().phases.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = phases.draining() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // First the client and then its place, or a thread that waits for clients would sit on one. Who was
                // accepted is served, if need be beside the places, for whoever drains has no more to come.
                let place = tokio::select! {
                    biased;
                    place = a_place(places) => place,
                    () = phases.draining() => None,
                };
                let door = served.door.borrow().clone();
                let serve = door.serve(stream, peer, Rc::clone(&served.stack));
                connections.spawn_local(async move {
                    serve.await;
                    drop(place);
                });
            }
            Err(error) => back_off(&error).await,
        }
    }
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
