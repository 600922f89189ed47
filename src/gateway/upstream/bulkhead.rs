//! How many requests run at one app at a time, so that an app that hangs takes nothing from another (DS-007).
//!
//! A request that waits for an app holds a connection to it, a client's, and one of the slots of the process. So each
//! app has a bound: the one that its settings name, and beside it a share of what may run in the whole process, which
//! grows with what the others leave free. Whatever an app takes, something is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::gateway::slots::{Caller, reserved};

/// An app may take so many times what is still free, so alone it gets four parts of five.
const OF_WHAT_IS_FREE: usize = 4;
/// One part of so many is kept for the apps, for each the same.
const KEPT: usize = 20;

/// How many requests run at one app, and wait for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppLimits {
    /// At once, on all cores and at all instances; `None`: only by the share.
    pub max_requests: Option<usize>,
    /// So many more wait until one of these has ended, instead of being refused at once.
    pub max_pending: usize,
}

/// The count of one app, on a cache line of its own: what one app is asked must not slow down another.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicUsize);

/// What runs at all apps, so that each can see what the others leave.
#[derive(Debug, Clone)]
pub(super) struct Counts(Arc<[Count]>);

impl Counts {
    pub(super) fn of(apps: usize) -> Self {
        Self(std::iter::repeat_with(Count::default).take(apps).collect())
    }

    fn sum(&self) -> usize {
        self.0.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }
}

/// The bound of one app.
#[derive(Debug)]
pub(super) struct Bulkhead {
    counts: Counts,
    /// Its place in the counts.
    at: usize,
    limits: AppLimits,
    /// What may run at all apps; `None` when there is one app only, with which nobody shares.
    shared: Option<usize>,
    /// How many of a hundred of each of these numbers strangers cannot have: else the reserve of the process would end at
    /// the door of the app.
    reserved_percent: u8,
    pending: AtomicUsize,
    freed: Notify,
}

/// A request that runs; its place is free when this is dropped, after the last byte of the answer.
#[derive(Debug)]
pub(crate) struct Entered(Arc<Bulkhead>);

/// No room for a request.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl Bulkhead {
    pub(super) fn new(counts: Counts, at: usize, limits: AppLimits, requests: usize, reserved_percent: u8) -> Self {
        let shared = (counts.0.len() > 1).then_some(requests);
        Self { counts, at, limits, shared, reserved_percent, pending: AtomicUsize::new(0), freed: Notify::new() }
    }

    /// Lets a request in; waits as long as that, where waiting is allowed.
    ///
    /// # Errors
    /// When there is no room.
    pub(super) async fn enter(self: &Arc<Self>, caller: Caller, longest: Duration) -> Result<Entered, NoRoom> {
        let nobody_waits = self.limits.max_pending == 0 || self.pending.load(Ordering::SeqCst) == 0;
        if nobody_waits && let Some(entered) = self.try_enter(caller) {
            return Ok(entered);
        }
        if self.limits.max_pending == 0 {
            return Err(NoRoom);
        }
        let _pending = Pending::among(self, self.part_of(self.limits.max_pending, caller)).ok_or(NoRoom)?;
        let entering = async {
            loop {
                // Tried before the first wait: the last one that ran may have ended before this one was counted.
                if let Some(entered) = self.try_enter(caller) {
                    return entered;
                }
                self.freed.notified().await;
            }
        };
        timeout(longest, entering).await.map_err(|_| NoRoom)
    }

    /// What of a number this caller can have.
    fn part_of(&self, number: usize, caller: Caller) -> usize {
        match caller {
            Caller::Known => number,
            Caller::Stranger | Caller::ToBeAsked => number - reserved(number, self.reserved_percent),
        }
    }

    fn try_enter(self: &Arc<Self>, caller: Caller) -> Option<Entered> {
        let one_more = |running| self.has_room(running, caller).then_some(running + 1);
        let running = &self.counts.0[self.at].0;
        running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(Entered(Arc::clone(self)))
    }

    fn has_room(&self, running: usize, caller: Caller) -> bool {
        if self.limits.max_requests.is_some_and(|most| running >= self.part_of(most, caller)) {
            return false;
        }
        let Some(requests) = self.shared.map(|requests| self.part_of(requests, caller)) else { return true };
        // What is kept for every app by itself, so that few have to add up what runs at all of them.
        let apps = self.counts.0.len();
        let own = requests / (KEPT * apps);
        let free = || (requests - own * apps).saturating_sub(self.counts.sum());
        running < own || running < OF_WHAT_IS_FREE * free()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let bulkhead = &self.0;
        bulkhead.counts.0[bulkhead.at].0.fetch_sub(1, Ordering::SeqCst);
        if bulkhead.limits.max_pending > 0 && bulkhead.pending.load(Ordering::SeqCst) > 0 {
            bulkhead.freed.notify_one();
        }
    }
}

/// One that waits.
struct Pending<'a>(&'a Bulkhead);

impl<'a> Pending<'a> {
    fn among(bulkhead: &'a Bulkhead, most: usize) -> Option<Self> {
        let before = bulkhead.pending.fetch_add(1, Ordering::SeqCst);
        let pending = Self(bulkhead);
        (before < most).then_some(pending)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulkheads(apps: usize, limits: AppLimits, connections: usize) -> Vec<Arc<Bulkhead>> {
        let counts = Counts::of(apps);
        (0..apps).map(|at| Arc::new(Bulkhead::new(counts.clone(), at, limits, connections, 20))).collect()
    }

    fn all_that_enter(bulkhead: &Arc<Bulkhead>) -> Vec<Entered> {
        all_of(Caller::Known, bulkhead)
    }

    fn all_of(caller: Caller, bulkhead: &Arc<Bulkhead>) -> Vec<Entered> {
        std::iter::from_fn(|| bulkhead.try_enter(caller)).take(10_000).collect()
    }

    /// DS-007: apps that hang leave something to the others, however many hang, and never take more than there is.
    #[test]
    fn whatever_hangs_leaves_a_share_for_the_others() {
        let bulkheads = bulkheads(4, AppLimits::default(), 1000);
        let mut held: Vec<Vec<Entered>> = Vec::new();
        for bulkhead in &bulkheads {
            held.push(all_that_enter(bulkhead));
        }
        let had: Vec<usize> = held.iter().map(Vec::len).collect();
        assert!((750..=800).contains(&had[0]) && had[1] > 100, "{had:?}");
        assert!(had.iter().all(|had| *had >= 12) && had.iter().sum::<usize>() <= 1000, "{had:?}");
        held.clear();
        assert_eq!(bulkheads[0].counts.sum(), 0);
    }

    /// DS-007
    #[test]
    fn one_app_shares_with_nobody_and_few_connections_are_shared_too() {
        assert_eq!(all_that_enter(&bulkheads(1, AppLimits::default(), 10)[0]).len(), 10_000);
        for connections in 1..8 {
            let bulkheads = bulkheads(2, AppLimits::default(), connections);
            let held = all_that_enter(&bulkheads[0]);
            assert!(!held.is_empty() && held.len() <= connections, "{} of {connections}", held.len());
        }
    }

    /// DS-001: strangers leave a part of every number to callers who are known.
    #[test]
    fn strangers_leave_room_at_the_app_too() {
        let limits = AppLimits { max_requests: Some(10), max_pending: 0 };
        let bounded = &bulkheads(1, limits, 1000)[0];
        let strangers = all_of(Caller::Stranger, bounded);
        assert_eq!((strangers.len(), all_that_enter(bounded).len()), (8, 2));
        let shared = bulkheads(2, AppLimits::default(), 100);
        let strangers: Vec<_> = shared.iter().map(|bulkhead| all_of(Caller::Stranger, bulkhead)).collect();
        assert!(strangers.iter().map(Vec::len).sum::<usize>() <= 80);
        for bulkhead in &shared {
            assert!(bulkhead.try_enter(Caller::Known).is_some());
        }
    }

    /// G8
    #[tokio::test]
    async fn one_more_than_may_run_waits_where_that_is_allowed() {
        let limits = AppLimits { max_requests: Some(2), max_pending: 1 };
        let bulkhead = &bulkheads(1, limits, 1000)[0];
        let wait = Duration::from_secs(20);
        let (first, _second) =
            (bulkhead.enter(Caller::Known, wait).await.unwrap(), bulkhead.enter(Caller::Known, wait).await.unwrap());
        let waiting = tokio::spawn({
            let bulkhead = Arc::clone(bulkhead);
            async move { bulkhead.enter(Caller::Known, wait).await }
        });
        tokio::task::yield_now().await;
        bulkhead.enter(Caller::Known, wait).await.unwrap_err();
        drop(first);
        let third = waiting.await.unwrap().unwrap();
        bulkhead.enter(Caller::Known, Duration::from_millis(20)).await.unwrap_err();
        drop(third);
        bulkhead.enter(Caller::Known, wait).await.unwrap();
        assert_eq!(bulkhead.pending.load(Ordering::SeqCst), 0);
    }
}
