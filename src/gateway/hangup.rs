//! The way to close a client's connection that is stuck while what runs on it has been cut.
//!
//! A body that is cut ends with an error as soon as it is asked for its next piece. A client that does
//! not read keeps the server from ever asking; so whoever serves the connection waits for this too, and
//! drops the connection when the cut could not be carried out in an orderly way (R3).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::cluster::Guard;

/// How long the orderly end of what was cut may take.
const GRACE: Duration = Duration::from_millis(500);

/// What runs on one connection. Holds nothing in the register of what runs: it only looks.
#[derive(Clone, Default)]
pub struct Hangup(Arc<Mutex<Weak<Guard>>>);

impl Hangup {
    pub(super) fn watch(&self, guard: &Arc<Guard>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(guard);
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }
}

impl fmt::Debug for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hangup").field("running", &self.running().is_some()).finish()
    }
}
