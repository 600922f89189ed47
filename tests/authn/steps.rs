//! Failure counts that know how often they were asked: the steps that L3 forbids and L4 demands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use locum::cluster::{FailureCounts, Unavailable};
use locum::directory::lockout::{Attempt, Counted, Reset, Streak};
use locum::directory::{AccountId, Life};

/// How many steps were taken, by whoever asks for one answer.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<AtomicU64>);

impl Steps {
    pub(crate) fn taken(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) struct Counting<C> {
    pub(crate) counts: C,
    pub(crate) steps: Steps,
}

impl<C: FailureCounts> FailureCounts for Counting<C> {
    fn fail(
        &self,
        account: AccountId,
        life: Life,
        threshold: u32,
        attempt: Attempt,
    ) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        self.steps.0.fetch_add(1, Ordering::SeqCst);
        self.counts.fail(account, life, threshold, attempt)
    }

    fn succeed(&self, account: AccountId, life: Life) -> BoxFuture<'_, Result<Reset, Unavailable>> {
        self.steps.0.fetch_add(1, Ordering::SeqCst);
        self.counts.succeed(account, life)
    }

    fn sink(&self, slot: u8, attempt: Attempt) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.steps.0.fetch_add(1, Ordering::SeqCst);
        self.counts.sink(slot, attempt)
    }

    fn join(&self, account: AccountId, streak: &Streak, threshold: u32) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        self.counts.join(account, streak, threshold)
    }

    fn streaks(&self) -> BoxFuture<'_, Result<Vec<(AccountId, Streak)>, Unavailable>> {
        self.counts.streaks()
    }

    fn forget(&self, account: AccountId) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.counts.forget(account)
    }
}
