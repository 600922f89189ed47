//! The breaker: after a failure nobody asks again until a moment has passed, and then only one does.
//!
//! A Redis that hangs would otherwise cost every request its whole budget (L7); so it costs one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long nobody asks after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// Time is the caller's: milliseconds on its monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Until when nobody asks; 0 while all is well.
    closed_again_at_ms: AtomicU64,
}

impl Breaker {
    /// Whether the caller may ask now. After a pause this lets one caller through, and holds the
    /// others back for another pause.
    pub(super) fn lets_through(&self, now_ms: u64) -> bool {
        let until = self.closed_again_at_ms.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        let next = after_pause(now_ms);
        now_ms >= until
            && self.closed_again_at_ms.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn succeeded(&self) {
        // A plain load first: the good case does not fight over the line.
        if self.closed_again_at_ms.load(Ordering::Acquire) != 0 {
            self.closed_again_at_ms.store(0, Ordering::Release);
        }
    }

    pub(super) fn failed(&self, now_ms: u64) {
        self.closed_again_at_ms.store(after_pause(now_ms), Ordering::Release);
    }
}

fn after_pause(now_ms: u64) -> u64 {
    let pause_ms = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
    now_ms.saturating_add(pause_ms).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L7: a Redis that hangs costs one slow request at a time.
    #[test]
    fn after_a_failure_one_asks_per_pause() {
        let breaker = Breaker::default();
        assert!(breaker.lets_through(0) && breaker.lets_through(0));
        breaker.failed(1_000);
        assert!(!breaker.lets_through(1_000) && !breaker.lets_through(1_249));
        assert!(breaker.lets_through(1_250));
        assert!(!breaker.lets_through(1_250), "two at once");
        assert!(breaker.lets_through(1_500));
        breaker.succeeded();
        assert!(breaker.lets_through(1_500) && breaker.lets_through(1_500));
    }
}
