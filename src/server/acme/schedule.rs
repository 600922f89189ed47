//! When a certificate is renewed, how long a failure is waited out, and when the authority is asked what it would like.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::server::tls::validity::Validity;

const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// Each pause is so many times the one before. Authorities allow a handful of failures an hour.
const GROWTH: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_hours(6);

/// An authority that would be asked more often, or more rarely, is not listened to (RFC 9773 §4.3.2).
const ASKED_AFTER: [Duration; 2] = [Duration::from_mins(1), Duration::from_hours(24)];
/// However the authority likes it, a certificate is not renewed sooner after the one before,
const BETWEEN: Duration = Duration::from_hours(1);
/// nor so late that less than such a part of its life is left.
const LEFT: u32 = 6;

/// How late of all that is allowed; so gates that began together do not come together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(pub(super) u8);

impl Chance {
    fn of(self, duration: Duration) -> Duration {
        duration / u32::from(u8::MAX) * u32::from(self.0)
    }
}

/// From when to when the authority would have a certificate renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Window {
    /// `None` for one that is none (RFC 9773 §4.2).
    pub(super) fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }
}

/// What is to be done for one name, and when.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    /// When a certificate is obtained.
    pub(super) due: Timestamp,
    /// When the authority is asked for the window of the one that there is.
    pub(super) asks: Timestamp,
    /// Attempts that failed since the last that did not.
    failures: u32,
    /// Questions without an answer, in the same way.
    unheard: u32,
    /// The same for one certificate, so that a window that stays means a time that stays.
    chance: Chance,
    not_before: Timestamp,
}

impl Plan {
    /// For what an earlier process left.
    pub(super) fn new(name: String, held: Option<Validity>, now: Timestamp, chance: Chance) -> Self {
        let due = held.map_or(now, |validity| renewal(validity, chance));
        Self { name, due, asks: now, failures: 0, unheard: 0, chance, not_before: now }
    }

    pub(super) fn obtained(&mut self, validity: Validity, now: Timestamp, chance: Chance) {
        let due = renewal(validity, chance).max(soonest_after(validity, now));
        let not_before = now.plus(BETWEEN);
        *self = Self { due, not_before, ..Self::new(std::mem::take(&mut self.name), Some(validity), now, chance) };
    }

    /// With how long is waited.
    pub(super) fn failed(&mut self, now: Timestamp, chance: Chance) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let pause = pause(self.failures, chance);
        self.due = now.plus(pause);
        pause
    }

    /// Follows the authority, within reason; says whether that changes anything.
    pub(super) fn heard(&mut self, window: Window, again: Duration, validity: Validity, now: Timestamp) -> bool {
        self.unheard = 0;
        self.asks_in(again, now);
        if self.failures > 0 {
            // It is being obtained already, as fast as is decent.
            return false;
        }
        let life = validity.until.since(validity.from);
        let latest = validity.from.plus(life / LEFT * (LEFT - 1));
        let chosen = window.start.plus(self.chance.of(window.end.since(window.start)));
        let due = chosen.max(self.not_before).min(latest);
        std::mem::replace(&mut self.due, due) != due
    }

    pub(super) fn unheard(&mut self, now: Timestamp, chance: Chance) {
        self.unheard = self.unheard.saturating_add(1);
        self.asks_in(pause(self.unheard, chance), now);
    }

    /// There is nothing to ask, or nobody.
    pub(super) fn asks_tomorrow(&mut self, now: Timestamp) {
        self.asks_in(Duration::from_hours(24), now);
    }

    fn asks_in(&mut self, pause: Duration, now: Timestamp) {
        let [soonest, latest] = ASKED_AFTER;
        self.asks = now.plus(pause.clamp(soonest, latest));
    }
}

/// After two thirds of its life, or up to a twentieth of it earlier.
pub(super) fn renewal(validity: Validity, chance: Chance) -> Timestamp {
    let life = validity.until.since(validity.from);
    validity.from.plus((life / 3 * 2).saturating_sub(chance.of(life / 20)))
}

/// When the one after a certificate that was obtained now may be asked for: whatever the authority hands out, or the
/// clock here says of it, certificates are not ordered without a pause.
fn soonest_after(validity: Validity, now: Timestamp) -> Timestamp {
    let left = validity.until.since(now);
    if renewal(validity, Chance(u8::MAX)) > now {
        return now;
    }
    now.plus(if left.is_zero() { BETWEEN } else { (left / 2).clamp(FIRST_PAUSE, BETWEEN) })
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

    /// G11
    #[test]
    fn a_certificate_that_arrives_old_is_not_renewed_without_a_pause() {
        let (minute, day) = (Duration::from_mins(1), Duration::from_hours(24));
        let from = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let validity = Validity { from, until: from.plus(day * 90) };
        let due_after = |now: Timestamp| {
            let mut plan = Plan::new("app.test".to_owned(), None, now, EARLY);
            plan.obtained(validity, now, EARLY);
            plan.due.since(now)
        };
        assert_eq!(due_after(from), day * 60);
        assert_eq!(due_after(from.plus(day * 80)), minute * 60);
        assert_eq!(due_after(from.plus(day * 89 + minute * (24 * 60 - 4))), minute * 2);
        assert_eq!(due_after(from.plus(day * 89 + Duration::from_secs(24 * 3600 - 1))), FIRST_PAUSE);
        assert_eq!(due_after(from.plus(day * 91)), minute * 60, "the clock here is wrong, or the authority's");
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

    /// G11: a window of the authority is followed, at a place in it that stays; not sooner than an hour after the certificate
    /// was obtained, not in the last sixth of its life, and not while attempts fail.
    #[test]
    fn a_window_of_the_authority_is_followed_within_reason() {
        let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
        let from = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let validity = Validity { from, until: from.plus(day * 90) };
        let window = |start: u32, end: u32| Window::new(from.plus(day * start), from.plus(day * end)).unwrap();
        assert_eq!(Window::new(from, from), None);

        let now = from.plus(day * 2);
        let mut plan = Plan::new("app.test".to_owned(), Some(validity), now, EARLY);
        assert!(plan.heard(window(40, 41), hour * 6, validity, now));
        assert_eq!((plan.due, plan.asks), (from.plus(day * 40), now.plus(hour * 6)));
        assert!(!plan.heard(window(40, 41), Duration::ZERO, validity, now), "nothing new");
        assert_eq!(plan.asks, now.plus(Duration::from_mins(1)));
        assert!(plan.heard(window(1, 3), day * 30, validity, now));
        assert_eq!((plan.due, plan.asks), (now, now.plus(day)), "a window that began is now");
        plan.heard(window(80, 89), hour, validity, now);
        assert_eq!(plan.due, from.plus(day * 75));
        let pause = plan.failed(now, EARLY);
        assert!(!plan.heard(window(1, 3), hour, validity, now));
        assert_eq!(plan.due, now.plus(pause));

        plan.obtained(validity, now, LATE);
        assert_eq!(plan.asks, now, "at once");
        assert!(plan.heard(window(1, 2), hour, validity, now));
        assert_eq!(plan.due, now.plus(hour), "whatever the authority says, it is not asked to sign without end");
        plan.heard(window(40, 42), hour, validity, now);
        let late = plan.due.since(from);
        assert!(late > day * 41 && late <= day * 42, "{late:?}");
        plan.unheard(now, EARLY);
        assert_eq!((plan.asks, plan.due.since(from)), (now.plus(Duration::from_mins(1)), late));
    }
}
