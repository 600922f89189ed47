//! Schedules: cron text with five fields, read in a time zone.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// When a job is due.
#[derive(Clone)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone_name: String,
    zone: TimeZone,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "`{text}` is no schedule: {why}; give minute, hour, day, month and day of the week, such as `0 3 * * *` for every \
         day at three"
    )]
    Text { text: String, why: String },
    #[error("`{0}` never comes: no day of any year is like that")]
    Never(String),
    #[error("this machine knows no time zone `{0}`: give `UTC`, or a name such as `Europe/Berlin`")]
    Zone(String),
}

impl Schedule {
    /// Reads cron text, and the name of the time zone that it is meant in.
    ///
    /// # Errors
    /// Says what is wrong, and what would be right.
    pub fn parse(text: &str, zone_name: &str, now: Timestamp) -> Result<Self, ScheduleError> {
        let shown = |text: &str| text.chars().take(64).flat_map(char::escape_debug).collect::<String>();
        let zone = match zone_name {
            "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| ScheduleError::Zone(shown(name)))?,
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron =
            parser.parse(text).map_err(|error| ScheduleError::Text { text: shown(text), why: error.to_string() })?;
        let schedule = Self { text: text.to_owned(), cron, zone_name: zone_name.to_owned(), zone };
        if schedule.next(now).is_none() {
            return Err(ScheduleError::Never(shown(text)));
        }
        Ok(schedule)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The first instant after `after` at which it is due.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(after.as_millis()).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    /// The next instants at which it is due, the soonest first.
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after), |last| self.next(*last)).take(count).collect()
    }

    /// What it means, in words.
    pub fn words(&self) -> String {
        let words = self.cron.describe();
        format!("{} ({})", words.trim_end_matches('.'), self.zone_name)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").field("text", &self.text).field("zone", &self.zone_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-22T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn upcoming(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(text, zone, at(after)).unwrap();
        schedule.upcoming(at(after), count).iter().map(ToString::to_string).collect()
    }

    /// T9: what is due next, in the zone that was meant.
    #[test]
    fn a_schedule_is_due_in_its_time_zone() {
        let daily = ["2026-11-23T03:00:00.000Z", "2026-11-24T03:00:00.000Z"];
        assert_eq!(upcoming("0 3 * * *", "UTC", NOON, 2), daily);
        assert_eq!(upcoming("0 3 * * *", "Europe/Berlin", NOON, 1), ["2026-11-23T02:00:00.000Z"]);
        assert_eq!(upcoming("30 1 * * MON", "UTC", NOON, 1), ["2026-11-23T01:30:00.000Z"]);
        assert_eq!(upcoming("0 12 * * *", "UTC", NOON, 1), ["2026-11-23T12:00:00.000Z"], "not at this instant again");
    }

    /// T9: on the day on which clocks are put forward, what is due in the hour that does not exist is done once; on the
    /// day on which they are put back, what is due in the hour that comes twice is done once too.
    #[test]
    fn a_daily_job_runs_once_on_days_of_other_lengths() {
        let spring = upcoming("30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", 3);
        let days: Vec<_> = spring.iter().map(|instant| &instant[..10]).collect();
        assert_eq!(days, ["2027-03-28", "2027-03-29", "2027-03-30"], "{spring:?}");
        let autumn = upcoming("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        let days: Vec<_> = autumn.iter().map(|instant| &instant[..10]).collect();
        assert_eq!(days, ["2026-10-25", "2026-10-26"], "{autumn:?}");
    }

    /// T9
    #[test]
    fn a_schedule_says_what_it_means() {
        let words = Schedule::parse("0 3 * * MON-FRI", "UTC", at(NOON)).unwrap().words();
        assert!(words.contains("03:00") && words.contains("Monday") && words.ends_with("(UTC)"), "{words}");
    }

    /// T9
    #[test]
    fn what_is_no_schedule_is_refused_in_words() {
        let now = at(NOON);
        for text in ["", "* * * *", "0 0 3 * * *", "61 * * * *", "* * * * *; reboot", "@every 5m"] {
            let refused = Schedule::parse(text, "UTC", now);
            assert!(matches!(refused, Err(ScheduleError::Text { .. })), "{text}: {refused:?}");
        }
        assert_eq!(Schedule::parse("0 0 30 2 *", "UTC", now).unwrap_err(), ScheduleError::Never("0 0 30 2 *".into()));
        let nowhere = Schedule::parse("0 3 * * *", "Mars/Olympus", now).unwrap_err();
        assert_eq!(nowhere, ScheduleError::Zone("Mars/Olympus".into()));
    }
}
