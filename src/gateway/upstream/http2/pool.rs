//! The connections of HTTP/2 of one core, by instance, and the one that is being opened for all who wait for it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::connection::{Connection, Place};
use crate::gateway::upstream::connect::{Offer, Unconnected, connect};
use crate::gateway::upstream::{AppConnections, Instance};

/// How many connections one core keeps to one instance.
const MOST_CONNECTIONS: usize = 32;
/// For how long an app that agreed on HTTP/1.1 only is not asked again.
const REMEMBER_HTTP1: Duration = Duration::from_mins(1);

/// Where an exchange can go on.
pub(super) enum Room {
    Stream(Place),
    /// The app agreed on HTTP/1.1.
    Http1,
}

/// Why there is no room for an exchange.
#[derive(Debug, Clone, Copy)]
pub(super) enum NoPlace {
    Full,
    Unconnected(Unconnected),
}

/// What one core keeps, so its locks are never waited for.
#[derive(Debug)]
pub(super) struct Pool {
    /// By the number of the instance.
    slots: Vec<Mutex<Slot>>,
    places: AppConnections,
}

#[derive(Default)]
struct Slot {
    open: Vec<Arc<Connection>>,
    /// Runs in a task of its own: whoever waits for it may leave.
    opening: Option<Shared<BoxFuture<'static, Result<(), NoPlace>>>>,
    http1_since: Option<Instant>,
}

impl Pool {
    /// To be called on the runtime of the core.
    pub(super) fn new(instances: usize, places: AppConnections) -> Arc<Self> {
        let slots = (0..instances).map(|_| Mutex::default()).collect();
        let pool = Arc::new(Self { slots, places: places.clone() });
        tokio::spawn(tend(Arc::downgrade(&pool), places));
        pool
    }

    /// Room for one stream: on an open connection, or on a new one. `limit` is waited for a place among the connections,
    /// which says nothing of the app, and as long for the app.
    pub(super) async fn room(self: &Arc<Self>, instance: &Arc<Instance>, limit: Duration) -> Result<Room, NoPlace> {
        let find = async {
            loop {
                let opening = match self.look(instance, limit) {
                    Looked::Found(room) => return Ok(room),
                    Looked::Full => return Err(NoPlace::Full),
                    Looked::Opening(opening) => opening,
                };
                opening.await?;
            }
        };
        // Whoever opens one knows why that did not end; who waits longer found each new one taken by others.
        timeout(limit.saturating_mul(2), find).await.unwrap_or(Err(NoPlace::Full))
    }

    /// A place for one more connection; `None` when none became free in time.
    pub(super) async fn place(&self, limit: Duration) -> Option<OwnedSemaphorePermit> {
        self.places.place(limit, || self.close_longest_silent()).await
    }

    fn look(self: &Arc<Self>, instance: &Arc<Instance>, limit: Duration) -> Looked {
        let mut slot = lock(&self.slots[instance.number]);
        if slot.http1_since.is_some_and(|since| since.elapsed() < REMEMBER_HTTP1) {
            return Looked::Found(Room::Http1);
        }
        slot.open.retain(|connection| connection.is_open());
        let with_room = slot.open.iter().filter_map(|connection| Some((connection.load()?, connection)));
        if let Some((_, connection)) = with_room.min_by_key(|(load, _)| *load) {
            return Looked::Found(Room::Stream(connection.enter()));
        }
        if slot.open.len() >= MOST_CONNECTIONS {
            return Looked::Full;
        }
        let opening = slot.opening.get_or_insert_with(|| {
            let opened = tokio::spawn(open_for_all(Arc::downgrade(self), Arc::clone(instance), limit));
            // A task that panicked opened nothing.
            opened
                .map(|opened| opened.unwrap_or(Err(NoPlace::Unconnected(Unconnected::App("connect")))))
                .boxed()
                .shared()
        });
        Looked::Opening(opening.clone())
    }

    /// Whether there was one that nobody uses.
    fn close_longest_silent(&self) -> bool {
        let silent = |slot: &Mutex<Slot>| lock(slot).open.iter().filter_map(|open| open.silent_for()).max();
        let longest =
            self.slots.iter().filter_map(|slot| Some((silent(slot)?, slot))).max_by_key(|(silent, _)| *silent);
        let Some((longest, slot)) = longest else { return false };
        let mut slot = lock(slot);
        let at = slot.open.iter().position(|open| open.silent_for().is_some_and(|silent| silent >= longest));
        at.map(|at| slot.open.swap_remove(at)).is_some()
    }

    fn close_silent_for(&self, silent: Duration) {
        for slot in &self.slots {
            let is_used = |open: &Arc<Connection>| open.silent_for().is_none_or(|for_so_long| for_so_long < silent);
            lock(slot).open.retain(|open| open.is_open() && is_used(open));
        }
    }
}

enum Looked {
    Found(Room),
    Opening(Shared<BoxFuture<'static, Result<(), NoPlace>>>),
    Full,
}

/// Opens a connection for all who wait for one, or finds that the app agrees on HTTP/1.1 only.
async fn open_for_all(pool: Weak<Pool>, instance: Arc<Instance>, limit: Duration) -> Result<(), NoPlace> {
    let Some(pool) = pool.upgrade() else { return Err(NoPlace::Unconnected(Unconnected::App("connect"))) };
    let opened = async {
        let place = pool.place(limit).await.ok_or(NoPlace::Full)?;
        open(&instance, place, limit).await.map_err(NoPlace::Unconnected)
    };
    let opened = opened.await;
    let mut slot = lock(&pool.slots[instance.number]);
    slot.opening = None;
    match opened? {
        Some(connection) => {
            slot.open.push(Arc::new(connection));
            slot.http1_since = None;
        }
        None => slot.http1_since = Some(Instant::now()),
    }
    Ok(())
}

/// Opens a connection within `limit`; `None` when the app agrees on HTTP/1.1 only.
pub(super) async fn open(
    instance: &Instance,
    place: OwnedSemaphorePermit,
    limit: Duration,
) -> Result<Option<Connection>, Unconnected> {
    let opening = async {
        let connected = connect(instance, Offer::Http2, limit).await?;
        if !connected.http2 {
            return Ok(None);
        }
        Ok(Some(Connection::begin(connected.stream, instance, place, limit).await?))
    };
    timeout(limit, opening).await.unwrap_or(Err(Unconnected::App("connect_timeout")))
}

/// Closes what was silent for too long though nobody asks for it, and all that is silent when another core has
/// nothing left to close itself. Ends with its pool.
async fn tend(pool: Weak<Pool>, places: AppConnections) {
    let mut wanted = std::pin::pin!(places.wanted());
    loop {
        let is_wanted = timeout(places.stale() / 2, wanted.as_mut()).await.is_ok();
        if is_wanted {
            // Before anything is closed, so that a wish that comes meanwhile is not missed.
            wanted.set(places.wanted());
        }
        let Some(pool) = pool.upgrade() else { return };
        pool.close_silent_for(if is_wanted { Duration::ZERO } else { places.stale() });
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    // The slot is whole after every single step, so a panic elsewhere leaves nothing half done.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("open", &self.open)
            .field("opening", &self.opening.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::upstream::connect::Way;
    use crate::gateway::upstream::endpoint::Endpoint;

    /// G8, G12: what finds no place among the connections says nothing of the app, and one that cannot be reached in
    /// time does.
    #[tokio::test]
    async fn waiting_for_a_place_says_nothing_of_the_app() {
        let limit = Duration::from_millis(100);
        let places = AppConnections::up_to(1);
        let pool = Pool::new(1, places.clone());
        let nobody = Arc::new(Endpoint::new("127.0.0.1:1"));
        let instance = Arc::new(Instance::new(0, nobody, Way::default()));
        let taken = places.place(limit, || false).await.unwrap();
        for _ in 0..3 {
            assert!(matches!(pool.room(&instance, limit).await, Err(NoPlace::Full)));
        }
        drop(taken);
        assert!(matches!(pool.room(&instance, limit).await, Err(NoPlace::Unconnected(Unconnected::App("connect")))));
    }
}
