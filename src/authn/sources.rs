//! The budget of failures of each source address (L8).
//!
//! Only failures are charged, so a source whose credentials are good never notices. The budget is
//! governor's cell rate (a burst, then so many a second), keyed by IPv4 address or IPv6 /64, the
//! smallest piece of IPv6 that one customer gets.
//!
//! Looking whether a budget is exhausted has to charge nothing, which governor does not offer; so the
//! same records stand behind two limiters, and the second one's writes go nowhere.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

use super::records::{ReadOnly, Records};

/// How many failures a source may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Failures at once.
    pub burst: NonZeroU32,
    /// Failures that come back each second.
    pub per_second: NonZeroU32,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        const BURST: NonZeroU32 = NonZeroU32::new(100).expect("100 is not zero");
        Self { burst: BURST, per_second: NonZeroU32::MIN }
    }
}

/// How many sources are remembered at most.
const REMEMBERED: usize = 16 * 1024;

/// The budgets of all sources.
pub struct Sources<C: Clock = DefaultClock> {
    charging: RateLimiter<Prefix, Records<Prefix>, C, NoOpMiddleware<C::Instant>>,
    glancing: RateLimiter<Prefix, ReadOnly<Prefix>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl Sources {
    /// Fresh budgets, on the machine's monotonic clock: a wall clock that jumps gives nothing back and
    /// takes nothing away.
    pub fn new(settings: ThrottleSettings) -> Self {
        Self::on(settings, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Sources<C> {
    fn on(settings: ThrottleSettings, clock: C) -> Self {
        let quota = Quota::per_second(settings.per_second).allow_burst(settings.burst);
        let records = Records::up_to(REMEMBERED);
        Self {
            glancing: RateLimiter::new(quota, records.read_only(), clock.clone()),
            charging: RateLimiter::new(quota, records, clock.clone()),
            clock,
        }
    }
}

impl<C: Clock> Sources<C> {
    /// How long a source has to wait, when its budget is exhausted. Charges nothing.
    pub fn exhausted(&self, address: Option<IpAddr>) -> Option<Duration> {
        let until = self.glancing.check_key(&Prefix::of(address)).err()?;
        Some(until.wait_time_from(self.clock.now()))
    }

    /// Charges one failure. A source whose budget is exhausted owes no more than that.
    pub fn charge(&self, address: Option<IpAddr>) {
        match self.charging.check_key(&Prefix::of(address)) {
            Ok(()) => {}
            Err(_exhausted) => metrics::counter!("locum_throttled_failures_total").increment(1),
        }
    }
}

impl<C: Clock> fmt::Debug for Sources<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// What shares one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefix {
    V4([u8; 4]),
    /// The first 64 bits of an IPv6 address.
    V6([u16; 4]),
    /// Everything that comes without an address, together.
    Unknown,
}

impl Prefix {
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let mut prefix = [0; 4];
                prefix.copy_from_slice(&address.segments()[..4]);
                Self::V6(prefix)
            }
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(octets) => write!(f, "{}", IpAddr::from(*octets)),
            Self::V6(prefix) => {
                let mut segments = [0; 8];
                segments[..4].copy_from_slice(prefix);
                write!(f, "{}/64", IpAddr::from(segments))
            }
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn sources(burst: u32) -> (Sources<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let settings = ThrottleSettings { burst: NonZeroU32::new(burst).unwrap(), per_second: NonZeroU32::MIN };
        (Sources::on(settings, clock.clone()), clock)
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the callers have it")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// L8: a burst, then one a second, and asking costs nothing.
    #[test]
    fn a_source_is_exhausted_after_its_burst_and_recovers_one_a_second() {
        let (sources, clock) = sources(100);
        let source = address("192.0.2.7");
        for _ in 0..100 {
            for _ in 0..3 {
                assert_eq!(sources.exhausted(source), None);
            }
            sources.charge(source);
        }
        let wait = sources.exhausted(source).expect("the burst is used up");
        assert!(wait <= Duration::from_secs(1) && !wait.is_zero(), "{wait:?}");
        for _ in 0..1000 {
            sources.charge(source);
        }
        clock.advance(Duration::from_secs(1));
        assert_eq!(sources.exhausted(source), None, "what is charged beyond the budget is not owed");
        sources.charge(source);
        assert!(sources.exhausted(source).is_some());
    }

    /// L8: one IPv4 address, or one IPv6 /64, whatever form it takes.
    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_slash_64() {
        let (sources, _) = sources(1);
        sources.charge(address("2001:db8:1:2::1"));
        assert!(sources.exhausted(address("2001:db8:1:2:ffff::9")).is_some());
        assert!(sources.exhausted(address("2001:db8:1:3::1")).is_none());
        sources.charge(address("192.0.2.7"));
        assert!(sources.exhausted(address("::ffff:192.0.2.7")).is_some());
        assert!(sources.exhausted(address("192.0.2.8")).is_none());
        assert!(sources.exhausted(None).is_none());
    }

    /// L8, G4: junk from everywhere costs a bounded amount of memory.
    #[test]
    fn sources_are_remembered_up_to_a_bound() {
        let (sources, _) = sources(1);
        for index in 0..u32::try_from(REMEMBERED * 4).unwrap() {
            sources.charge(Some(IpAddr::from(index.to_be_bytes())));
        }
        let kept = sources.charging.into_state_store().len();
        assert!(kept <= REMEMBERED, "{kept} are kept");
    }
}
