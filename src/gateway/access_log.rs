//! Which requests have a line in the access log: all, or of those that went well one in so many.
//!
//! What was refused, what failed and what was slow is always written: that is what somebody will look for. The metrics
//! count every request, and a line that stands for several says for how many.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::record::{Decision, Record};

/// Which requests are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Of the requests that went well, one in so many.
    pub sample_one_in: NonZeroU32,
    /// What took as long as this did not go well.
    pub slow: Duration,
}

impl Default for AccessLogSettings {
    fn default() -> Self {
        Self { sample_one_in: NonZeroU32::MIN, slow: Duration::from_secs(1) }
    }
}

/// Chooses for one core, which counts for itself.
#[derive(Debug)]
pub(super) struct AccessLog {
    settings: AccessLogSettings,
    turn: AtomicU32,
}

/// What becomes of the line of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    LeftOut,
    /// It is written; of a kind of which not all are, it stands for so many.
    Written {
        stands_for: Option<u32>,
    },
}

impl AccessLog {
    pub(super) const fn new(settings: AccessLogSettings) -> Self {
        Self { settings, turn: AtomicU32::new(0) }
    }

    pub(super) fn write(&self, record: &Record, status: u16, duration: Duration) -> Writing {
        let one_in = self.settings.sample_one_in.get();
        let went_well = matches!(record.decision, Decision::Permitted | Decision::Own)
            && status < 400
            && duration < self.settings.slow;
        if one_in == 1 || !went_well {
            return Writing::Written { stands_for: None };
        }
        if self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(one_in) {
            Writing::Written { stands_for: Some(one_in) }
        } else {
            Writing::LeftOut
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(1);

    fn one_in(number: u32) -> AccessLog {
        let sample_one_in = NonZeroU32::new(number).unwrap();
        AccessLog::new(AccessLogSettings { sample_one_in, slow: Duration::from_millis(100) })
    }

    fn record(decision: Decision) -> Record {
        Record { decision, ..Record::default() }
    }

    /// G13
    #[test]
    fn of_what_went_well_one_in_so_many_is_written_and_says_so() {
        let log = one_in(10);
        let written = (0..1000).map(|_| log.write(&record(Decision::Permitted), 200, QUICK));
        let written: Vec<_> = written.filter(|writing| *writing != Writing::LeftOut).collect();
        assert_eq!(written, [Writing::Written { stands_for: Some(10) }; 100]);
        let all = one_in(1);
        assert_eq!(all.write(&record(Decision::Permitted), 200, QUICK), Writing::Written { stands_for: None });
    }

    /// G13: what somebody will look for is there.
    #[test]
    fn what_was_refused_failed_or_was_slow_is_always_written() {
        let log = one_in(1_000_000);
        let always = Writing::Written { stands_for: None };
        log.write(&record(Decision::Permitted), 200, QUICK);
        for decision in [
            Decision::Rejected,
            Decision::Unrouted,
            Decision::Unauthenticated,
            Decision::Denied,
            Decision::Throttled,
            Decision::Failed,
            Decision::UpstreamFailed,
        ] {
            assert_eq!(log.write(&record(decision), 200, QUICK), always, "{decision:?}");
        }
        for status in [400, 401, 404, 500, 503] {
            assert_eq!(log.write(&record(Decision::Permitted), status, QUICK), always, "{status}");
        }
        assert_eq!(log.write(&record(Decision::Permitted), 200, Duration::from_millis(100)), always);
        assert_eq!(log.write(&record(Decision::Permitted), 304, QUICK), Writing::LeftOut);
    }
}
