//! The two books in which failures are counted: Redis, and the store (L2, L7).
//!
//! Only one of them counts at a time. While Redis is up, it counts, and the store gets a copy of each
//! streak soon after (`mirror`); so when Redis is lost or forgets, the store
//! counts on from there. While Redis is lost, the store counts, and what it counted is remembered by
//! account, to be joined into Redis later.
//!
//! Architecture invariant: whoever counts in the store because Redis is lost holds the gate for that
//! one step, and whoever declares Redis back takes the gate whole. So no step in the store is under
//! way when the last join reads what the store has, and none is forgotten by it. Every step under the
//! gate has a timeout.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc, oneshot};
use tokio::time::timeout;

use super::mirror::Copy;
use super::{OnLoss, PATIENCE, RedisHealth};
use crate::cluster::failure_counts::SINKS;
use crate::cluster::{FailureCounts, RedisCounts, Unavailable};
use crate::directory::lockout::{Attempt, Counted, Reset, Streak};
use crate::directory::{AccountId, Life};

/// How many steps wait to be copied into the store at most.
const COPIES_WAITING: usize = 8_192;
/// How often a step looks for the book that counts, where Redis comes and goes.
const TRIES: usize = 3;

pub(super) struct Books {
    redis: Option<RedisCounts>,
    store: Arc<dyn FailureCounts>,
    /// Whether nobody is judged while Redis is lost ([`OnLoss::Closed`]).
    closes: AtomicBool,
    /// Redis is configured, and does not count now.
    lost: AtomicBool,
    gate: RwLock<()>,
    /// What was counted in the store while Redis was lost.
    touched: std::sync::Mutex<HashMap<AccountId, Touched>>,
    joining: Mutex<()>,
    copies: mpsc::Sender<Copy>,
    /// Some copy found no place in the queue.
    copies_missing: AtomicBool,
    eviction: ArcSwapOption<String>,
}

/// What happened to an account's streak in the store while Redis was lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Touched {
    /// A success started the count again, in this life; so what Redis still has is void.
    pub(super) cleared_in: Option<Life>,
}

impl Books {
    /// The books, and the queue of what has to be copied from one to the other. A Redis counts as
    /// lost until it was joined once.
    pub(super) fn new(
        redis: Option<RedisCounts>,
        store: Arc<dyn FailureCounts>,
        on_loss: OnLoss,
    ) -> (Self, mpsc::Receiver<Copy>) {
        let (copies, copies_in) = mpsc::channel(COPIES_WAITING);
        let books = Self {
            lost: AtomicBool::new(redis.is_some()),
            redis,
            store,
            closes: AtomicBool::new(on_loss == OnLoss::Closed),
            gate: RwLock::new(()),
            touched: std::sync::Mutex::default(),
            joining: Mutex::default(),
            copies,
            copies_missing: AtomicBool::new(false),
            eviction: ArcSwapOption::empty(),
        };
        (books, copies_in)
    }

    pub(super) async fn fail(
        &self,
        account: AccountId,
        life: Life,
        threshold: u32,
        attempt: Attempt,
    ) -> Result<Counted, Unavailable> {
        for _try in 0..TRIES {
            if let Some(redis) = self.counting_redis() {
                match redis.fail(account, life, threshold, attempt.clone()).await {
                    Ok(counted) => {
                        self.copy(Copy::Failed { account, life, attempt });
                        return Ok(counted);
                    }
                    Err(error) => self.lose(&error),
                }
            }
            // The same attempt under the same id: if Redis counted it after all, the union counts it once.
            let Some(_step) = self.step_in_store().await? else { continue };
            if self.redis.is_some() {
                self.touched().entry(account).or_default();
            }
            return within_patience(self.store.fail(account, life, threshold, attempt)).await;
        }
        Err(Unavailable::Broken)
    }

    pub(super) async fn succeed(&self, account: AccountId, life: Life) -> Result<Reset, Unavailable> {
        for _try in 0..TRIES {
            if let Some(redis) = self.counting_redis() {
                match redis.succeed(account, life).await {
                    Ok(Reset::Cleared) => {
                        self.clear_copy(account, life).await;
                        return Ok(Reset::Cleared);
                    }
                    Ok(reset) => return Ok(reset),
                    Err(error) => self.lose(&error),
                }
            }
            let Some(_step) = self.step_in_store().await? else { continue };
            let reset = within_patience(self.store.succeed(account, life)).await?;
            if reset == Reset::Cleared && self.redis.is_some() {
                self.touched().entry(account).or_default().cleared_in = Some(life);
            }
            return Ok(reset);
        }
        Err(Unavailable::Broken)
    }

    pub(super) async fn sink(&self, name_hash: u64, attempt: Attempt) -> Result<(), Unavailable> {
        let slot = u8::try_from(name_hash % u64::from(SINKS)).unwrap_or(0);
        for _try in 0..TRIES {
            if let Some(redis) = self.counting_redis() {
                match redis.sink(slot, attempt.clone()).await {
                    Ok(()) => return Ok(()),
                    Err(error) => self.lose(&error),
                }
            }
            let Some(_step) = self.step_in_store().await? else { continue };
            return within_patience(self.store.sink(slot, attempt)).await;
        }
        Err(Unavailable::Broken)
    }

    pub(super) async fn forget(&self, account: AccountId) -> Result<(), Unavailable> {
        if let Some(redis) = self.counting_redis()
            && let Err(error) = redis.forget(account).await
        {
            self.lose(&error);
        }
        self.touched().remove(&account);
        within_patience(self.store.forget(account)).await
    }

    /// The attempts by which an account tripped in `life`, from whichever book knows them.
    pub(super) async fn tripped(&self, account: AccountId, life: Life) -> Result<Option<Vec<Attempt>>, Unavailable> {
        let wanted = |streak: &Streak| streak.life == life && streak.tripped_at.is_some();
        let streaks = within_patience(self.store.streaks()).await?;
        let in_store = streaks.into_iter().find(|(id, streak)| *id == account && wanted(streak));
        if let Some((_, streak)) = in_store {
            return Ok(Some(streak.attempts));
        }
        let in_redis = match &self.redis {
            Some(redis) => redis.streak(account).await?,
            None => None,
        };
        Ok(in_redis.filter(wanted).map(|streak| streak.attempts))
    }

    pub(super) const fn store(&self) -> &Arc<dyn FailureCounts> {
        &self.store
    }

    pub(super) const fn redis(&self) -> Option<&RedisCounts> {
        self.redis.as_ref()
    }

    /// Redis, while it is the one that counts.
    pub(super) fn counting_redis(&self) -> Option<&RedisCounts> {
        if self.is_lost() { None } else { self.redis.as_ref() }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closes() && self.is_lost()
    }

    fn closes(&self) -> bool {
        self.closes.load(Ordering::Acquire)
    }

    pub(super) fn take_up(&self, on_loss: OnLoss) {
        self.closes.store(on_loss == OnLoss::Closed, Ordering::Release);
    }

    pub(super) fn redis_health(&self) -> RedisHealth {
        match (&self.redis, self.is_lost()) {
            (None, _) => RedisHealth::NotConfigured,
            (Some(_), false) => RedisHealth::Up,
            (Some(_), true) => RedisHealth::Lost,
        }
    }

    pub(super) fn eviction(&self) -> Option<String> {
        self.eviction.load().as_deref().cloned()
    }

    pub(super) fn note_eviction(&self, policy: Option<String>) {
        self.eviction.store(policy.map(Arc::new));
    }

    /// Redis does not count any more.
    pub(super) fn lose(&self, error: &Unavailable) {
        if !self.lost.swap(true, Ordering::AcqRel) {
            let instead = if self.closes() {
                "nobody is judged meanwhile (`redis.on_loss` is `closed`)"
            } else {
                "the store counts failures meanwhile"
            };
            tracing::warn!(%error, "Redis is lost: {instead}");
            metrics::gauge!("locum_redis_degraded").set(1.0);
        }
    }

    /// Redis counts again. To be called with the gate taken whole.
    pub(super) fn win_back(&self, _gate: &RwLockWriteGuard<'_, ()>) {
        self.lost.store(false, Ordering::Release);
        tracing::info!("Redis counts failures");
        metrics::gauge!("locum_redis_degraded").set(0.0);
    }

    /// Waits until no step in the store is under way, and keeps new ones out.
    pub(super) async fn take_gate(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// What was counted in the store while Redis was lost, once.
    pub(super) fn take_touched(&self) -> HashMap<AccountId, Touched> {
        std::mem::take(&mut *self.touched())
    }

    /// Whether the store has counted for this account since the last join.
    pub(super) fn is_touched(&self, account: AccountId) -> bool {
        self.touched().contains_key(&account)
    }

    /// Puts back what could not be joined.
    pub(super) fn put_back(&self, not_joined: HashMap<AccountId, Touched>) {
        let mut touched = self.touched();
        for (account, Touched { cleared_in }) in not_joined {
            let entry = touched.entry(account).or_default();
            entry.cleared_in = entry.cleared_in.max(cleared_in);
        }
    }

    /// Joining is done by one at a time.
    pub(super) async fn join_alone(&self) -> MutexGuard<'_, ()> {
        self.joining.lock().await
    }

    /// Whether the copy of some step was dropped since the last time.
    pub(super) fn take_copies_missing(&self) -> bool {
        self.copies_missing.swap(false, Ordering::AcqRel)
    }

    pub(super) fn note_copies_missing(&self) {
        self.copies_missing.store(true, Ordering::Release);
    }

    /// Has the streak of one account copied from Redis once more.
    pub(super) async fn copy_again(&self, account: AccountId, life: Life) {
        if self.copies.send(Copy::Again { account, life }).await.is_err() {
            // The copying task ends with the lockout only.
            self.note_copies_missing();
        }
    }

    /// Waits until everything that Redis counted is in the store, as far as it can be known.
    pub(super) async fn flush_copies(&self) {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            // Either error means that the copying task has ended, and with it the lockout.
            if self.copies.send(Copy::Flush(done)).await.is_ok() {
                is_done.await.unwrap_or_default();
            }
        };
        if timeout(PATIENCE, flushed).await.is_err() {
            tracing::warn!("the store's copy of the failure counts is behind");
        }
    }

    /// Enters a step in the store. `None` when Redis came back meanwhile.
    async fn step_in_store(&self) -> Result<Option<RwLockReadGuard<'_, ()>>, Unavailable> {
        if self.redis.is_none() {
            return Ok(Some(self.gate.read().await));
        }
        if self.closes() {
            return Err(Unavailable::Broken);
        }
        // What Redis counted until just now has to be in the store before the store counts on.
        self.flush_copies().await;
        let step = self.gate.read().await;
        Ok(self.is_lost().then_some(step))
    }

    fn copy(&self, copy: Copy) {
        if self.copies.try_send(copy).is_err() {
            self.note_copies_missing();
        }
    }

    /// Clears the store's copy before the success is answered: or a process that dies in between
    /// would count failures that a success has made void.
    async fn clear_copy(&self, account: AccountId, life: Life) {
        let (done, is_done) = oneshot::channel();
        let cleared =
            async { self.copies.send(Copy::Cleared { account, life, done }).await.is_ok() && is_done.await.is_ok() };
        if !timeout(PATIENCE, cleared).await.unwrap_or(false) {
            self.note_copies_missing();
        }
    }

    fn touched(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, Touched>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store's steps have timeouts of their own; this one only says that there always is one.
pub(super) async fn within_patience<T>(step: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
    timeout(PATIENCE, step).await.map_err(|_| Unavailable::TimedOut)?
}
