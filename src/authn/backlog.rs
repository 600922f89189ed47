//! How long questions wait until they are taken up, so that no more are asked than can be answered in time (G12).
//!
//! They are taken up in the order in which they were asked. A stranger's that has waited for longer than `patience` is
//! not judged any more, so whoever is judged did not wait for longer; and strangers ask none while the oldest has waited
//! for half of that, because the newest would wait for all of those before it. The wait is all that is measured: what
//! holds up the answers, a slow store, a lost Redis or a processor with too much to do, shows in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The questions that wait. Each core reads it before it asks, and nobody waits for anybody.
#[derive(Debug)]
pub(super) struct Backlog {
    epoch: Instant,
    /// Microseconds.
    patience: AtomicU64,
    waiting: AtomicUsize,
    /// Microseconds since the epoch: no question that waits was asked before.
    asked_since: AtomicU64,
}

/// A question's place among those that wait, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    backlog: Arc<Backlog>,
    since: u64,
}

impl Backlog {
    pub(super) fn new(patience: Duration) -> Self {
        let (waiting, asked_since) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { epoch: Instant::now(), patience: AtomicU64::new(micros(patience)), waiting, asked_since }
    }

    /// From now on nobody waits for longer than that.
    pub(super) fn take_up(&self, patience: Duration) {
        self.patience.store(micros(patience), Ordering::Relaxed);
    }

    /// Whether a question that is asked now would wait for too long.
    pub(super) fn is_long(&self, now: Instant) -> bool {
        // Acquired with what was written before the first of those that wait was counted.
        self.waiting.load(Ordering::Acquire) > 0
            && self.at(now).saturating_sub(self.asked_since.load(Ordering::Relaxed)) > self.patience() / 2
    }

    /// Takes a place behind all others.
    pub(super) fn join(self: &Arc<Self>, now: Instant) -> Waiting {
        let since = self.at(now);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            self.asked_since.fetch_max(since, Ordering::Relaxed);
        }
        self.waiting.fetch_add(1, Ordering::Release);
        Waiting { backlog: Arc::clone(self), since }
    }

    fn patience(&self) -> u64 {
        self.patience.load(Ordering::Relaxed)
    }

    /// An instant, in microseconds since the epoch.
    fn at(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.epoch))
    }
}

impl Waiting {
    /// Ends the wait, and answers whether it was too long.
    pub(super) fn ends_too_late(self, now: Instant) -> bool {
        self.backlog.asked_since.fetch_max(self.since, Ordering::Relaxed);
        let waited = self.backlog.at(now).saturating_sub(self.since);
        metrics::histogram!("locum_judgement_wait_seconds").record(Duration::from_micros(waited).as_secs_f64());
        waited > self.backlog.patience()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.backlog.waiting.fetch_sub(1, Ordering::Release);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment so many milliseconds after the first.
    fn moments() -> impl Fn(u64) -> Instant {
        let first = Instant::now() + Duration::from_secs(1);
        move |millis| first + Duration::from_millis(millis)
    }

    const HOUR: u64 = 3_600_000;

    /// DS-001, G12
    #[test]
    fn nothing_more_is_asked_while_the_oldest_question_waits_too_long() {
        let (backlog, at) = (Arc::new(Backlog::new(Duration::from_millis(100))), moments());
        assert!(!backlog.is_long(at(0)), "nobody waits");
        let (first, second) = (backlog.join(at(0)), backlog.join(at(0)));
        assert!(!backlog.is_long(at(0)) && !backlog.is_long(at(50)), "those that wait were asked just now");
        let third = backlog.join(at(51));
        assert!(backlog.is_long(at(51)));
        assert!(first.ends_too_late(at(101)));
        assert!(backlog.is_long(at(101)), "the second was asked with the first");
        drop(second);
        assert!(backlog.is_long(at(101)), "that it is gone says nothing of those behind it");
        assert!(!third.ends_too_late(at(101)), "50 ms are not too long");
        assert!(!backlog.is_long(at(101)));
        drop(backlog.join(at(101)));
        let _fresh = backlog.join(at(HOUR));
        assert!(!backlog.is_long(at(HOUR)));
    }

    /// DS-001, G12
    #[test]
    fn patience_can_change_while_questions_wait() {
        let (backlog, at) = (Arc::new(Backlog::new(Duration::from_secs(1))), moments());
        let (first, second) = (backlog.join(at(0)), backlog.join(at(0)));
        assert!(!backlog.is_long(at(200)) && !first.ends_too_late(at(200)));
        backlog.take_up(Duration::from_millis(100));
        assert!(backlog.is_long(at(200)) && second.ends_too_late(at(200)));
    }
}
