//! How many requests may be sent a second time.
//!
//! Every request adds a part of one to what may be repeated, so an app that fails everything is never asked
//! more often than it was meant to be, and that part more. A small floor by the clock lets an app with few
//! requests have its repetitions too. Each core keeps its own: what all of them allow is the sum.

use std::time::Duration;

use tokio::time::Instant;

/// One repetition, in hundredths.
const ONE: u32 = 100;
/// The most that is saved up.
const MOST: u32 = 100 * ONE;
/// So long for one repetition of the floor.
const FLOOR_EVERY: Duration = Duration::from_secs(1);
/// The most of the floor at once.
const FLOOR_MOST: u32 = 3;

/// When a request is sent to another instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// To so many others, after the first.
    pub attempts: u32,
    /// For one hundred requests, so many repetitions of what may have been sent.
    pub budget_percent: u32,
    /// Also when an instance answers 503.
    pub on_503: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, budget_percent: 20, on_503: false }
    }
}

/// What one core may repeat to one app.
#[derive(Debug)]
pub(super) struct Budget {
    percent: u32,
    saved: u32,
    floor: u32,
    floor_since: Option<Instant>,
}

impl Budget {
    pub(super) const fn new(percent: u32) -> Self {
        Self { percent, saved: 0, floor: FLOOR_MOST, floor_since: None }
    }

    /// One request, whatever becomes of it.
    pub(super) fn request(&mut self) {
        self.saved = (self.saved + self.percent).min(MOST);
    }

    /// Whether it may be sent once more.
    pub(super) fn repeat(&mut self, now: Instant) -> bool {
        if self.saved >= ONE {
            self.saved -= ONE;
            return true;
        }
        let since = *self.floor_since.get_or_insert(now);
        let come = now.duration_since(since).as_secs() / FLOOR_EVERY.as_secs();
        if come > 0 {
            self.floor = u32::try_from(come).unwrap_or(FLOOR_MOST).saturating_add(self.floor).min(FLOOR_MOST);
            self.floor_since = Some(now);
        }
        let allowed = self.floor > 0;
        self.floor -= u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// G8: however requests and failures come, no more is repeated than the part that was meant, and the floor.
        #[test]
        fn never_more_than_the_part_and_the_floor(
            percent in 0_u32..=100,
            steps in prop::collection::vec((1_u32..50, 0_u32..100, 0_u64..3_000), 0..100),
        ) {
            let (mut budget, start) = (Budget::new(percent), Instant::now());
            let (mut now, mut requests, mut repeated) = (start, 0_u64, 0_u64);
            for (new, wishes, passed) in steps {
                now += Duration::from_millis(passed);
                for _ in 0..new {
                    budget.request();
                    requests += 1;
                }
                repeated += (0..wishes).filter(|_| budget.repeat(now)).count() as u64;
            }
            let floor = u64::from(FLOOR_MOST) + now.duration_since(start).as_secs();
            prop_assert!(repeated <= requests * u64::from(percent) / 100 + floor, "{repeated} of {requests}");
        }
    }

    /// G8
    #[test]
    fn what_was_saved_is_there_and_the_floor_comes_back() {
        let (mut budget, now) = (Budget::new(20), Instant::now());
        let all = |budget: &mut Budget, now| (0..1000).filter(|_| budget.repeat(now)).count();
        assert_eq!(all(&mut budget, now), FLOOR_MOST as usize);
        (0..50).for_each(|_| budget.request());
        assert_eq!(all(&mut budget, now), 10);
        assert_eq!(all(&mut budget, now + FLOOR_EVERY), 1);
        assert_eq!(all(&mut budget, now + FLOOR_EVERY * 100), FLOOR_MOST as usize);
        (0..100_000).for_each(|_| budget.request());
        assert_eq!(all(&mut budget, now + FLOOR_EVERY * 100), (MOST / ONE) as usize);
    }
}
