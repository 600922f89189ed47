//! The way to close a client's connection that is stuck while what runs on it has been cut.
//!
//! A body that is cut ends with an error as soon as it is asked for its next piece. A client that does
//! not read keeps the server from ever asking; so whoever serves the connection waits for this too, and
//! drops the connection when the cut could not be carried out in an orderly way (R3).
//!
//! It is also the way on which a tunnel comes out: whoever serves the connection runs it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use super::tunnel::Tunnel;
use crate::cluster::Guard;

/// How long the orderly end of what was cut may take.
const GRACE: Duration = Duration::from_millis(500);

/// What runs on one connection.
#[derive(Clone, Default)]
pub struct Hangup(Arc<Mutex<Runs>>);

#[derive(Default)]
struct Runs {
    /// Holds nothing in the register of what runs: it only looks.
    guard: Weak<Guard>,
    tunnel: Option<Tunnel>,
}

impl Hangup {
    pub(super) fn watch(&self, guard: &Arc<Guard>) {
        self.lock().guard = Arc::downgrade(guard);
    }

    /// Leaves a tunnel for whoever serves the connection.
    pub(super) fn hand_over(&self, tunnel: Tunnel) {
        self.lock().tunnel = Some(tunnel);
    }

    /// What is to be run once the last answer was sent.
    pub fn take_tunnel(&self) -> Option<Tunnel> {
        self.lock().tunnel.take()
    }

    /// Returns when the connection is to be dropped. Has to be polled in the task that serves the
    /// connection, after the connection: that is where the next request is noticed.
    pub async fn wait(&self) {
        loop {
            std::future::poll_fn(|cx| self.poll_cut(cx)).await;
            tokio::time::sleep(GRACE).await;
            if self.running().is_some_and(|guard| guard.is_cancelled()) {
                return;
            }
        }
    }

    fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.running().map_or(Poll::Pending, |guard| guard.poll_cancelled(cx))
    }

    fn running(&self) -> Option<Arc<Guard>> {
        self.lock().guard.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hangup").field("running", &self.running().is_some()).finish()
    }
}
