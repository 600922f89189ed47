//! Failure counts in the store: the same contract as Redis keeps, without it (L2, L7).

use futures_util::future::BoxFuture;

use crate::cluster::failure_counts::{FailureCounts, SINKS, Unavailable};
use crate::directory::lockout::{Attempt, Counted, Reset, Streak};
use crate::directory::{AccountId, Life};
use crate::store::{Bookkeeping, Store, StoreError};

/// Failure counts in the store's bookkeeping.
#[derive(Debug, Clone)]
pub struct StoreCounts(Bookkeeping);

impl StoreCounts {
    pub fn new(store: &Store) -> Self {
        Self(store.bookkeeping())
    }
}

impl FailureCounts for StoreCounts {
    fn fail(
        &self,
        account: AccountId,
        life: Life,
        threshold: u32,
        attempt: Attempt,
    ) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        Box::pin(async move { self.0.fail(account, life, threshold, attempt).await.map_err(unavailable) })
    }

    fn succeed(&self, account: AccountId, life: Life) -> BoxFuture<'_, Result<Reset, Unavailable>> {
        Box::pin(async move { self.0.succeed(account, life).await.map_err(unavailable) })
    }

    /// The whole way of a failure, through the queue of the writer and into a transaction, for an
    /// account that cannot exist (its id has no version): nothing is found, and so nothing is written.
    fn sink(&self, slot: u8, attempt: Attempt) -> BoxFuture<'_, Result<(), Unavailable>> {
        let mut nobody = [0; 16];
        nobody[15] = slot % SINKS;
        Box::pin(async move {
            let counted = self.0.fail(AccountId::from_bytes(nobody), Life::FIRST, u32::MAX, attempt).await;
            counted.map(|_stale| ()).map_err(unavailable)
        })
    }

    fn join(&self, account: AccountId, streak: &Streak, threshold: u32) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        let streak = streak.clone();
        Box::pin(async move { self.0.join(account, &streak, threshold).await.map_err(unavailable) })
    }

    fn streaks(&self) -> BoxFuture<'_, Result<Vec<(AccountId, Streak)>, Unavailable>> {
        Box::pin(async move { self.0.streaks().await.map_err(unavailable) })
    }

    fn forget(&self, account: AccountId) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move { self.0.forget(account).await.map_err(unavailable) })
    }
}

fn unavailable(error: StoreError) -> Unavailable {
    match error {
        StoreError::TimedOut { .. } => Unavailable::TimedOut,
        error => Unavailable::Failed(error.to_string()),
    }
}
