//! When a certificate is renewed, and how long a failure is waited out.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::server::tls::validity::Validity;

const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// Each pause is so many times the one before. Authorities allow a handful of failures an hour.
const GROWTH: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_hours(6);

/// How late of all that is allowed; so gates that began together do not come together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(pub(super) u8);

impl Chance {
    fn of(self, duration: Duration) -> Duration {
        duration / u32::from(u8::MAX) * u32::from(self.0)
    }
}

/// After two thirds of its life, or up to a twentieth of it earlier.
pub(super) fn renewal(validity: Validity, chance: Chance) -> Timestamp {
    let life = validity.until.since(validity.from);
    validity.from.plus((life / 3 * 2).saturating_sub(chance.of(life / 20)))
}

/// After so many failures in a row, the first being 1; up to a quarter more or less.
pub(super) fn pause(failures: u32, chance: Chance) -> Duration {
    let grown = GROWTH.checked_pow(failures.saturating_sub(1)).and_then(|times| FIRST_PAUSE.checked_mul(times));
    let pause = grown.map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE));
    pause / 4 * 3 + chance.of(pause / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Chance = Chance(0);
    const LATE: Chance = Chance(u8::MAX);

    /// G11: a certificate of ninety days has thirty left, or a few more.
    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life() {
        let day = Duration::from_hours(24);
        let from = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let validity = Validity { from, until: from.plus(day * 90) };
        assert_eq!(renewal(validity, EARLY), from.plus(day * 60));
        let earliest = renewal(validity, LATE).since(from);
        assert!(earliest < day * 56 && earliest > day * 55, "{earliest:?}");
    }

    /// G11: an authority that fails is asked at most seven times in the first hour, and then every few hours.
    #[test]
    fn pauses_grow_and_have_a_bound() {
        for chance in [EARLY, Chance(128), LATE] {
            let mut before = Duration::ZERO;
            let mut times = 0;
            for failures in 1.. {
                before += pause(failures, chance);
                if before > Duration::from_hours(1) {
                    break;
                }
                times += 1;
            }
            assert!((4..=6).contains(&times), "{chance:?}: {times}");
        }
        assert_eq!(pause(1, EARLY), Duration::from_millis(7_500));
        for failures in [9, 100, u32::MAX] {
            let longest = pause(failures, LATE);
            assert!(longest > Duration::from_hours(7) && longest <= Duration::from_mins(450), "{longest:?}");
        }
    }
}
