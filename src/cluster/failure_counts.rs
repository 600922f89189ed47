//! Where failures are counted: one contract, kept by Redis and by the store alike.
//!
//! Every backend answers exactly as [`Streak`] does, step by step, and each step is atomic: of many
//! parallel failures one answers [`Counted::Tripped`]. `tests/lockout/battery.rs` is the contract's
//! specification and runs against each backend.

use futures_util::future::BoxFuture;

use crate::directory::lockout::{Attempt, Counted, Reset, Streak};
use crate::directory::{AccountId, Life};

/// How many sinks take the failures of names that do not exist (L4): a fixed number, so that no flood
/// of names makes anything grow.
pub const SINKS: u8 = 64;

/// The counts cannot be reached now. Nobody knows whether the step was taken; repeating it, here or
/// elsewhere, counts the same attempt once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("the failure counts did not answer in time")]
    TimedOut,
    /// Not even tried: the last tries failed, and the next is not due yet.
    #[error("the failure counts are out of reach and were not asked")]
    Broken,
    #[error("the failure counts failed: {0}")]
    Failed(String),
}

/// Counts failures in a row. See the module for the contract.
pub trait FailureCounts: Send + Sync {
    /// Counts one failure of `account` in `life` (L1).
    fn fail(
        &self,
        account: AccountId,
        life: Life,
        threshold: u32,
        attempt: Attempt,
    ) -> BoxFuture<'_, Result<Counted, Unavailable>>;

    /// Takes note of a success in `life`: the count starts again, unless it comes to a trip.
    fn succeed(&self, account: AccountId, life: Life) -> BoxFuture<'_, Result<Reset, Unavailable>>;

    /// Does the work of a failure for a name that does not exist, on sink `slot` of [`SINKS`] (L4).
    fn sink(&self, slot: u8, attempt: Attempt) -> BoxFuture<'_, Result<(), Unavailable>>;

    /// Joins what was counted elsewhere, by union (L7).
    fn join(&self, account: AccountId, streak: &Streak, threshold: u32) -> BoxFuture<'_, Result<Counted, Unavailable>>;

    /// Every streak with a failure on record, tripped ones too.
    fn streaks(&self) -> BoxFuture<'_, Result<Vec<(AccountId, Streak)>, Unavailable>>;

    /// Removes everything about an account that was deleted (P12).
    fn forget(&self, account: AccountId) -> BoxFuture<'_, Result<(), Unavailable>>;
}
