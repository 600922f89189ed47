//! The lockout: so many failures in a row, and the account is shut (L1, L2, L7).
//!
//! Failures are counted by a [`FailureCounts`]: in Redis where there is one, by the same rules in the
//! store where there is none or while it is lost (`books`). This file is what the rest of
//! the house sees: mark the account *before* counting, so that no success overlooks a failure; shut it
//! on this node *before* the tripping answer is given, so that nothing that starts afterwards is
//! accepted; and hand the trip to a task that carries it into the directory, off the response's path
//! (`carry`).
//!
//! Where Redis is lost (`rejoin`): the store counts on, from the copy that it has of every streak
//! (`mirror`); when Redis is back, both halves are joined by union.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::books::Books;
use self::carry::Errand;
pub use self::carry::{CarryOut, CarryOutError, Trip};
pub use self::store_counts::StoreCounts;
use crate::cluster::{FailureCounts, RedisCounts, Subjects, Unavailable};
use crate::directory::lockout::{Attempt, Counted, Reset, Streak};
use crate::directory::{AccountId, Life};

mod books;
mod carry;
mod mirror;
mod rejoin;
mod store_counts;

/// How many trips wait to be carried out at most; one more is found again by the next look at the
/// counts.
const TRIPS_WAITING: usize = 1_024;

/// How failures are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutSettings {
    /// The failure that shuts the account (L1: 5).
    pub threshold: u32,
    pub counts: Counts,
    pub on_loss: OnLoss,
}

/// What counts as a failure (L6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Every refused attempt that names the account or carries one of its tokens' public ids.
    EveryFailure,
    /// Only a wrong secret for a public id that the account really has.
    Guesses,
}

/// What happens while Redis is configured and out of reach (L7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// The store counts.
    Count,
    /// Nobody is judged.
    Closed,
}

/// How the lockout is, for `/readyz` and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub redis: RedisHealth,
    /// Redis's eviction policy, where it may drop counts when memory runs out.
    pub eviction: Option<String>,
    /// Trips that are not in the directory yet.
    pub unfinished: usize,
}

/// How the counts in Redis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisHealth {
    NotConfigured,
    Up,
    /// Out of reach; the store counts, or nobody does ([`OnLoss`]).
    Lost,
}

/// What was found on record by [`Lockout::load`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loaded {
    pub open: usize,
    pub tripped: usize,
}

/// The lockout of this node. A handle: clones share it; its tasks end with the last one.
#[derive(Clone)]
pub struct Lockout {
    parts: Arc<Parts>,
    _tasks: Arc<Tasks>,
}

/// What the lockout's tasks share.
struct Parts {
    settings: ArcSwap<LockoutSettings>,
    subjects: Subjects,
    books: Books,
    errands: mpsc::Sender<Errand>,
    unfinished: carry::Unfinished,
}

struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Lockout {
    /// Starts the lockout on the current runtime: counting in `redis` where there is one, else and
    /// meanwhile in `store`; `carry_out` writes a trip into the directory. Before listening, see
    /// [`Lockout::load`].
    pub fn new(
        redis: Option<RedisCounts>,
        store: Arc<dyn FailureCounts>,
        subjects: Subjects,
        settings: LockoutSettings,
        carry_out: CarryOut,
    ) -> Self {
        let (errands, errands_in) = mpsc::channel(TRIPS_WAITING);
        let (books, copies_in) = Books::new(redis, store, settings.on_loss);
        let unfinished = carry::Unfinished::default();
        let parts = Arc::new(Parts { settings: ArcSwap::from_pointee(settings), subjects, books, errands, unfinished });
        let tasks = vec![
            tokio::spawn(carry::run(Arc::clone(&parts), errands_in, carry_out)),
            tokio::spawn(mirror::run(Arc::clone(&parts), copies_in)),
            tokio::spawn(rejoin::run(Arc::clone(&parts))),
        ];
        Self { parts, _tasks: Arc::new(Tasks(tasks)) }
    }

    pub fn settings(&self) -> LockoutSettings {
        self.parts.settings()
    }

    /// Goes by other settings from now on; failures that were counted stay counted.
    pub fn take_up(&self, settings: LockoutSettings) {
        self.parts.settings.store(Arc::new(settings));
        self.parts.books.take_up(settings.on_loss);
    }

    /// Counts a failed attempt (L1). When this answers [`Counted::Tripped`], the account is shut on
    /// this node already. Goes on to its end even when the caller stops waiting.
    ///
    /// # Errors
    /// When nobody can count now; then the attempt is refused without an opinion.
    pub async fn fail(&self, account: AccountId, life: Life, attempt: Attempt) -> Result<Counted, Unavailable> {
        let parts = Arc::clone(&self.parts);
        to_its_end(async move { parts.fail(account, life, attempt).await }).await
    }

    /// Takes note of a success; only needed while the account's block carries a mark
    /// ([`Subject::streak`](crate::cluster::Subject::streak)). Anything but [`Reset::Cleared`] means
    /// that the success is none. Goes on to its end even when the caller stops waiting.
    ///
    /// # Errors
    /// When nobody can count now.
    pub async fn succeed(&self, account: AccountId, life: Life) -> Result<Reset, Unavailable> {
        let parts = Arc::clone(&self.parts);
        to_its_end(async move { parts.succeed(account, life).await }).await
    }

    /// Does the work of a failure for a name that does not exist (L4); `name_hash` spreads names over
    /// the sinks.
    ///
    /// # Errors
    /// When nobody can count now.
    pub async fn sink(&self, name_hash: u64, attempt: Attempt) -> Result<(), Unavailable> {
        let parts = Arc::clone(&self.parts);
        to_its_end(async move { parts.books.sink(name_hash, attempt).await }).await
    }

    /// Forgets the counts of an account that was deleted (P12).
    ///
    /// # Errors
    /// When the store cannot be reached. What Redis keeps is of no consequence: ids are never reused.
    pub async fn forget(&self, account: AccountId) -> Result<(), Unavailable> {
        self.parts.books.forget(account).await
    }

    /// Reads what is on record, to be done before listening: open streaks are marked, and trips that
    /// were not finished are shut at once and carried out. A Redis that is away is reported and left
    /// for later (L7).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(&self) -> Result<Loaded, Unavailable> {
        self.parts.load().await
    }

    /// Whether nobody may be judged now, not even who was proven before: Redis is lost and the
    /// operator wants it so (L7).
    pub fn is_closed(&self) -> bool {
        self.parts.books.is_closed()
    }

    pub fn health(&self) -> Health {
        Health {
            redis: self.parts.books.redis_health(),
            eviction: self.parts.books.eviction(),
            unfinished: self.parts.unfinished.count(),
        }
    }
}

impl fmt::Debug for Lockout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lockout")
            .field("settings", &self.settings())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

impl Parts {
    fn settings(&self) -> LockoutSettings {
        **self.settings.load()
    }

    async fn fail(&self, account: AccountId, life: Life, attempt: Attempt) -> Result<Counted, Unavailable> {
        let subject = self.subjects.subject(account);
        let _failing = self.subjects.failing(&subject);
        let counted = self.books.fail(account, life, self.settings().threshold, attempt).await?;
        match &counted {
            Counted::Tripped(attempts) => self.shut(Trip { account, life, attempts: attempts.clone() }),
            Counted::Locked => self.shut_again(account, life),
            Counted::Counted(_) | Counted::Stale | Counted::Repeated(_) => {}
        }
        Ok(counted)
    }

    async fn succeed(&self, account: AccountId, life: Life) -> Result<Reset, Unavailable> {
        let subject = self.subjects.subject(account);
        let seen = subject.streak();
        let reset = self.books.succeed(account, life).await?;
        match reset {
            Reset::Cleared => subject.clear_mark(seen),
            Reset::Locked => self.shut_again(account, life),
            Reset::Stale => {}
        }
        Ok(reset)
    }

    /// Shuts the account on this node, and sends the trip on its way into the directory.
    fn shut(&self, trip: Trip) {
        let subject = self.subjects.subject(trip.account);
        self.subjects.trip(&subject, trip.life);
        self.send(Errand::Trip(trip));
    }

    /// The counts say that it tripped before. If this node hears it for the first time, whoever saw
    /// the trip may be gone, so it is carried out from here.
    fn shut_again(&self, account: AccountId, life: Life) {
        let subject = self.subjects.subject(account);
        if self.subjects.trip(&subject, life) {
            self.send(Errand::Recover(account, life));
        }
    }

    fn send(&self, errand: Errand) {
        match self.errands.try_reserve() {
            Ok(place) => {
                self.unfinished.began();
                place.send(errand);
            }
            // The counts keep the trip; the next look at them finds it.
            Err(_full) => self.unfinished.look_again(),
        }
    }

    /// Takes over one streak that is on record somewhere.
    fn take_over(&self, account: AccountId, streak: &Streak) {
        let subject = self.subjects.subject(account);
        if streak.tripped_at.is_some() {
            if self.subjects.trip(&subject, streak.life) {
                self.send(Errand::Trip(Trip { account, life: streak.life, attempts: streak.attempts.clone() }));
            }
        } else {
            self.subjects.mark(&subject);
        }
    }
}

/// Runs a step to its end, whether or not the caller keeps waiting: half a step would be a failure
/// that was counted and not marked, or a trip that nobody carries out.
async fn to_its_end<T: Send + 'static>(
    step: impl Future<Output = Result<T, Unavailable>> + Send + 'static,
) -> Result<T, Unavailable> {
    match tokio::spawn(step).await {
        Ok(answer) => answer,
        Err(ended) => Err(Unavailable::Failed(format!("the step did not come to its end: {ended}"))),
    }
}

/// How long the store may take for what nobody's answer waits for.
const PATIENCE: Duration = Duration::from_secs(2);
