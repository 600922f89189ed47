//! One node's lockout over a real store on SQLite, and a Redis where the test wants one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locum::authn::lockout::{Counts, Lockout, LockoutSettings, OnLoss, RedisHealth, Trip};
use locum::cluster::{FailureCounts, RedisCounts, RedisSettings, Subject, Subjects, Unavailable};
use locum::directory::lockout::{Counted, Reset};
use locum::directory::{AccountId, Life};

use crate::redis_server::Redis;
use crate::world::{self, World, attempt};

/// What the requirement gives Redis for one step.
pub const BUDGET: Duration = Duration::from_millis(100);

/// What was carried into the directory.
#[derive(Clone, Default)]
pub struct Carried {
    trips: Arc<Mutex<Vec<Trip>>>,
    /// How often carrying out fails before it succeeds.
    pub failures: Arc<AtomicU32>,
    pub tries: Arc<AtomicUsize>,
}

impl Carried {
    pub fn trips(&self) -> Vec<Trip> {
        self.trips.lock().unwrap().clone()
    }

    /// Waits until `count` trips were carried out.
    pub async fn wait_for(&self, count: usize) -> Vec<Trip> {
        eventually("the trips are carried out", || self.trips().len() >= count).await;
        self.trips()
    }
}

/// A node. Its store outlives it, so that another can be started on the same one.
pub struct Node {
    pub lockout: Lockout,
    pub subjects: Subjects,
    pub carried: Carried,
}

impl Node {
    /// Starts a node that has loaded what is on record.
    pub async fn start(world: &World, redis: Option<&Redis>, on_loss: OnLoss) -> Self {
        let node = Self::unloaded(Arc::clone(&world.counts), redis, on_loss);
        node.lockout.load().await.unwrap();
        node
    }

    pub fn unloaded(store: Arc<dyn FailureCounts>, redis: Option<&Redis>, on_loss: OnLoss) -> Self {
        let redis = redis.map(|server| {
            RedisCounts::open(&RedisSettings { url: server.url().into(), authorities: None, timeout: BUDGET }).unwrap()
        });
        let (subjects, carried) = (Subjects::new(), Carried::default());
        let settings = LockoutSettings { threshold: 5, counts: Counts::EveryFailure, on_loss };
        let book = carried.clone();
        let carry_out = Arc::new(move |trip: Trip| {
            let book = book.clone();
            let carrying: futures_util::future::BoxFuture<'static, _> = Box::pin(async move {
                book.tries.fetch_add(1, Ordering::SeqCst);
                let spare = |left: u32| left.checked_sub(1);
                if book.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spare).is_ok() {
                    return Err("the database is away".into());
                }
                book.trips.lock().unwrap().push(trip);
                Ok(())
            });
            carrying
        });
        let lockout = Lockout::new(redis, store, subjects.clone(), settings, carry_out);
        Self { lockout, subjects, carried }
    }

    pub async fn fail(&self, account: AccountId, number: u16) -> Result<Counted, Unavailable> {
        self.lockout.fail(account, Life::FIRST, attempt(number)).await
    }

    /// Counts failures that none of them trips.
    pub async fn fail_with(&self, account: AccountId, numbers: std::ops::Range<u16>) {
        for number in numbers {
            let counted = self.fail(account, number).await.unwrap();
            assert!(matches!(counted, Counted::Counted(_)), "{number}: {counted:?}");
        }
    }

    pub async fn succeed(&self, account: AccountId) -> Result<Reset, Unavailable> {
        self.lockout.succeed(account, Life::FIRST).await
    }

    pub fn subject(&self, account: AccountId) -> Arc<Subject> {
        self.subjects.subject(account)
    }

    /// Waits until Redis is in this state for the node.
    pub async fn redis_is(&self, health: RedisHealth) {
        eventually("the node notices Redis", || self.lockout.health().redis == health).await;
    }
}

/// The attempts that a trip has to name, by number.
pub fn addresses(numbers: impl IntoIterator<Item = u16>) -> Vec<Option<IpAddr>> {
    numbers.into_iter().map(|number| attempt(number).address).collect()
}

pub fn addresses_of(trip: &Trip) -> Vec<Option<IpAddr>> {
    trip.attempts.iter().map(|attempt| attempt.address).collect()
}

/// How many failures the store has on record, by account.
pub async fn in_store(world: &World) -> HashMap<AccountId, u32> {
    let streaks = world.counts.streaks().await.unwrap();
    streaks.into_iter().map(|(account, streak)| (account, streak.count())).collect()
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the store's copy has so many failures of the account.
pub async fn copied(world: &World, account: AccountId, count: u32) {
    let started = Instant::now();
    while in_store(world).await.get(&account).copied().unwrap_or(0) != count {
        assert!(started.elapsed() < Duration::from_secs(10), "the store never had {count} failures");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn sqlite() -> World {
    world::sqlite().await
}
