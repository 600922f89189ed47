//! How fast a client has to be: so many bytes a second, on average over any stretch longer than a limit
//! (DS-004).
//!
//! A client begins with a limit's worth of time. Waiting for it takes from that, every byte that it gives or
//! takes earns its time back, and nobody saves more than the limit. So a client may stand still, or be slow
//! for a while, and one that drips ends. Only waiting for the client counts; while nobody waits for it, and an
//! app is silent, nothing is taken.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// What one client has left, in one direction.
#[derive(Debug, Clone)]
pub struct Pace {
    limit: f64,
    /// Bytes a second; `None`: any that move are enough.
    rate: Option<f64>,
    /// Seconds. Less than nothing when something was still on its way at the last look.
    left: f64,
    since: Option<Instant>,
}

impl Pace {
    pub fn new(limit: Duration, rate: Option<NonZeroU32>) -> Self {
        let limit = limit.as_secs_f64();
        Self { limit, rate: rate.map(|rate| f64::from(rate.get())), left: limit, since: None }
    }

    /// For how long a client may be too slow.
    pub fn limit(&self) -> Duration {
        Duration::from_secs_f64(self.limit)
    }

    /// Begins to wait for the client, unless it is waited for already.
    pub fn waits(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// So many bytes came or went. `waited` turns the time since the waiting began into that which counts; it is
    /// asked only when somebody waited.
    #[expect(clippy::cast_precision_loss, reason = "a piece of a body is smaller than 2^52 bytes")]
    pub fn moved(&mut self, bytes: usize, waited: impl FnOnce(Instant) -> Duration) {
        if let Some(since) = self.since.take() {
            self.left -= waited(since).as_secs_f64();
        }
        let earned = self.rate.map_or(self.limit, |rate| bytes as f64 / rate);
        self.left = (self.left + earned).min(self.limit);
    }

    /// Until when the client is waited for, while `outstanding` bytes are on their way to it.
    #[expect(clippy::cast_precision_loss, reason = "a piece of a body is smaller than 2^52 bytes")]
    pub fn until(&self, outstanding: usize) -> Option<Instant> {
        let allowed = self.rate.map_or(0.0, |rate| outstanding as f64 / rate);
        // No limit is longer than ten years, and no rate makes more of what a buffer holds.
        Some(self.since? + Duration::from_secs_f64((self.left + allowed).max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How long a client lasts that moves so many bytes every so often; at most ten thousand steps.
    fn lasts(rate: u32, bytes: usize, every: Duration) -> Option<Duration> {
        let mut pace = Pace::new(LIMIT, NonZeroU32::new(rate));
        let started = Instant::now();
        let mut now = started;
        for _step in 0..10_000 {
            pace.waits(now);
            now += every;
            if pace.until(0).is_some_and(|until| until <= now) {
                return Some(now - started);
            }
            pace.moved(bytes, |since| now - since);
        }
        None
    }

    /// DS-004
    #[test]
    fn who_drips_is_out_after_the_limit_and_who_keeps_the_rate_never() {
        let drips = lasts(500, 1, seconds(1)).unwrap();
        assert!((60..=61).contains(&drips.as_secs()), "{drips:?}");
        let large_and_rare = lasts(500, 16_000, seconds(50)).unwrap();
        assert_eq!(large_and_rare, seconds(100), "{large_and_rare:?}");
        assert_eq!(lasts(500, 500, seconds(1)), None);
        assert_eq!(lasts(500, 26_000, seconds(50)), None);
        assert_eq!(lasts(0, 1, seconds(59)), None, "without a rate any byte is enough");
        assert_eq!(lasts(0, 1, seconds(60)), Some(LIMIT));
    }

    /// DS-004: what was given early buys no more than the limit, and what is still on its way its own time.
    #[test]
    fn nobody_saves_more_than_the_limit() {
        let (mut pace, now) = (Pace::new(LIMIT, NonZeroU32::new(500)), Instant::now());
        pace.moved(1 << 30, |_| unreachable!("nobody waited"));
        assert_eq!(pace.until(0), None);
        pace.waits(now);
        assert_eq!(pace.until(0).unwrap() - now, LIMIT);
        assert_eq!(pace.until(500).unwrap() - now, LIMIT + seconds(1));
        pace.moved(500, |_| seconds(61));
        pace.waits(now);
        assert_eq!(pace.until(0).unwrap(), now);
    }

    /// DS-004: a slow app is not the client's fault.
    #[test]
    fn only_waiting_for_the_client_counts() {
        let (mut pace, now) = (Pace::new(LIMIT, NonZeroU32::new(500)), Instant::now());
        pace.waits(now);
        pace.moved(0, |_| Duration::ZERO);
        assert_eq!(pace.until(0), None, "nobody waits");
        pace.waits(now + LIMIT * 10);
        assert_eq!(pace.until(0).unwrap(), now + LIMIT * 11);
    }
}
