//! The connections to apps: how many there may be in the process, and those that are kept open by a core.
//!
//! One client can want a hundred connections at once (HTTP/2), so what bounds clients does not bound these.
//! Without a bound of their own they would take the descriptors that the listeners, the store and the
//! operator's socket stand on (DS-005). What is silent gives way to what is asked for, on every core.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::http1::Connection;

/// Silent for this long, a connection is closed.
const STALE: Duration = Duration::from_secs(50);
/// How many silent connections are kept to one instance, for each core.
const MOST_KEPT: usize = 512;

/// The places for connections to apps, shared by all cores.
#[derive(Debug, Clone)]
pub struct AppConnections {
    free: Arc<Semaphore>,
    /// Told when somebody waits for a place.
    wanted: Arc<Notify>,
    stale: Duration,
    most: usize,
}

impl AppConnections {
    /// So many at once, in use or kept.
    pub fn up_to(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(most)), wanted: Arc::default(), stale: STALE, most }
    }

    pub(in crate::gateway) const fn most(&self) -> usize {
        self.most
    }

    /// How long a silent one is kept.
    #[must_use]
    pub fn kept_for(self, stale: Duration) -> Self {
        Self { stale, ..self }
    }

    /// How long a silent one is kept.
    pub(super) const fn stale(&self) -> Duration {
        self.stale
    }

    /// Returns when somebody waits for a place whom nobody could give one.
    pub(super) fn wanted(&self) -> Notified<'_> {
        self.wanted.notified()
    }

    /// A place for one more connection; `None` when none became free in time. `close_one` closes one of the caller's
    /// own that nobody uses, if there is one.
    pub(super) async fn place(
        &self,
        limit: Duration,
        close_one: impl FnOnce() -> bool,
    ) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(place);
        }
        if !close_one() {
            self.wanted.notify_waiters();
        }
        if let Ok(Ok(place)) = timeout(limit, Arc::clone(&self.free).acquire_owned()).await {
            return Some(place);
        }
        metrics::counter!("locum_app_connections_full_total").increment(1);
        None
    }
}

/// What one core keeps, so its locks are never waited for.
#[derive(Debug)]
pub(super) struct Pool {
    /// By the number of the instance; the one that was used last is at the end.
    kept: Vec<Mutex<Vec<Kept>>>,
    places: AppConnections,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) connection: Connection,
    pub(super) since: Instant,
}

impl Pool {
    /// To be called on the runtime of the core.
    pub(super) fn new(instances: usize, places: AppConnections) -> Arc<Self> {
        let kept = (0..instances).map(|_| Mutex::new(Vec::new())).collect();
        let pool = Arc::new(Self { kept, places: places.clone() });
        tokio::spawn(tend(Arc::downgrade(&pool), places));
        pool
    }

    pub(super) const fn stale(&self) -> Duration {
        self.places.stale
    }

    /// A kept connection that is ready now, the one used last first.
    pub(super) fn take(&self, instance: usize, silent_at_most: Duration) -> Option<Kept> {
        let mut kept = lock(self.kept.get(instance)?);
        let now = Instant::now();
        let mut at = kept.len();
        while at > 0 {
            at -= 1;
            if kept[at].connection.is_closed() {
                kept.remove(at);
            } else if now.duration_since(kept[at].since) > silent_at_most {
                return None;
            } else if kept[at].connection.is_ready() {
                return Some(kept.remove(at));
            }
        }
        None
    }

    /// Keeps a connection, unless its place may be waited for.
    pub(super) fn keep(&self, instance: usize, connection: Connection) {
        let Some(kept) = self.kept.get(instance) else { return };
        if self.places.free.available_permits() == 0 {
            return;
        }
        let mut kept = lock(kept);
        if kept.len() < MOST_KEPT {
            kept.push(Kept { connection, since: Instant::now() });
        }
    }

    /// A place for one more connection; `None` when none became free in time.
    pub(super) async fn place(&self, limit: Duration) -> Option<OwnedSemaphorePermit> {
        self.places.place(limit, || self.close_longest_kept()).await
    }

    /// Whether there was one.
    fn close_longest_kept(&self) -> bool {
        let since = |kept: &Mutex<Vec<Kept>>| lock(kept).first().map(|kept| kept.since);
        let longest = self.kept.iter().filter_map(|kept| Some((since(kept)?, kept))).min_by_key(|(since, _)| *since);
        if let Some((_, kept)) = longest {
            lock(kept).remove(0);
        }
        longest.is_some()
    }

    fn close_silent_for(&self, silent: Duration) {
        let now = Instant::now();
        for kept in &self.kept {
            let mut kept = lock(kept);
            let overdue = kept.partition_point(|kept| now.duration_since(kept.since) >= silent);
            kept.drain(..overdue);
            kept.retain(|kept| !kept.connection.is_closed());
        }
    }
}

/// Closes what was silent for too long though nobody asks for it, and all that is kept when another core
/// has nothing left to close itself. Ends with its pool.
async fn tend(pool: Weak<Pool>, places: AppConnections) {
    let mut wanted = std::pin::pin!(places.wanted.notified());
    loop {
        let is_wanted = timeout(places.stale / 2, wanted.as_mut()).await.is_ok();
        if is_wanted {
            // Before anything is closed, so that a wish that comes meanwhile is not missed.
            wanted.set(places.wanted.notified());
        }
        let Some(pool) = pool.upgrade() else { return };
        pool.close_silent_for(if is_wanted { Duration::ZERO } else { places.stale });
    }
}

fn lock(kept: &Mutex<Vec<Kept>>) -> MutexGuard<'_, Vec<Kept>> {
    // The list is whole after every single step, so a panic elsewhere leaves nothing half done.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
