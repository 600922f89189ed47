//! How the instances of one app stand: which are asked, which are left alone, and for how long.
//!
//! Two things can be wrong with an instance. It *does not answer* (no connection, no head of a response in
//! time, a connection that breaks off): so many times in a row, and it is left alone whatever the others
//! do; if that is so of all, nobody is asked, and the app is known to be away. Or it *answers that it cannot*
//! (502, 503, 504): then it is left alone only while enough others are there, because what all of them say
//! is the app's own answer and belongs to the client.
//!
//! When the time of an instance is over, one request finds out how it is. If it is well, it gets its share of
//! the requests little by little; if it is not, it is left alone for twice as long.
//!
//! Pure code: the time is an argument, and whoever shares it between cores puts a lock around it.

use std::time::Duration;

use tokio::time::Instant;

/// How long one that could not be reached is asked after all others.
const SUSPECT: Duration = Duration::from_secs(2);
/// How long it takes until one that is back gets as much as the others.
const GROWTH: Duration = Duration::from_secs(10);
/// A whole share of the requests.
pub(super) const WHOLE: u32 = 16;

/// When an instance is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlier {
    /// So many failures in a row; at least one.
    pub failures: u32,
    /// For how long at first; twice as long each time that it fails again.
    pub base: Duration,
    /// And for how long at most.
    pub longest: Duration,
    /// The most instances of an app, in percent, that are left alone although they answer.
    pub most_percent: u32,
}

impl Default for Outlier {
    fn default() -> Self {
        Self { failures: 5, base: Duration::from_secs(2), longest: Duration::from_mins(1), most_percent: 50 }
    }
}

/// How an exchange ended, as far as it tells of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    /// It answered that it cannot: 502, 503, 504.
    Failing,
    /// It was asked and did not answer.
    Unanswered,
    /// There was no connection to it.
    Unreachable,
}

/// Whether an instance may be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// With so many of [`WHOLE`] of its share.
    Open(u32),
    /// When there is no other.
    Suspect,
    /// By one request, that finds out.
    Trial,
    Shut,
}

/// What became of an instance, for the log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Out { why: &'static str, time: Duration },
    Back,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Since when; `None`: from the start.
    In(Option<Instant>),
    Growing(Instant),
    Out {
        since: Instant,
        until: Instant,
    },
    /// One request is finding out.
    Trial,
}

#[derive(Debug)]
struct Standing {
    state: State,
    /// In a row, of every kind.
    failures: u32,
    /// In a row, without an answer.
    unanswered: u32,
    /// In a row, with too little time between them.
    ejections: u32,
    suspect_until: Option<Instant>,
    /// The active checks say that it is not well.
    checked_down: bool,
}

/// All instances of one app, by their place in its settings.
#[derive(Debug)]
pub(super) struct Standings {
    rules: Outlier,
    all: Vec<Standing>,
}

impl Standings {
    pub(super) fn new(count: usize, rules: Outlier) -> Self {
        let fresh = || Standing {
            state: State::In(None),
            failures: 0,
            unanswered: 0,
            ejections: 0,
            suspect_until: None,
            checked_down: false,
        };
        Self { rules, all: std::iter::repeat_with(fresh).take(count).collect() }
    }

    pub(super) fn access(&self, at: usize, now: Instant) -> Access {
        let one = &self.all[at];
        if one.checked_down {
            return Access::Shut;
        }
        match one.state {
            State::In(_) if one.suspect_until.is_some_and(|until| now < until) => Access::Suspect,
            State::In(_) => Access::Open(WHOLE),
            State::Growing(since) => Access::Open(grown(now.duration_since(since))),
            State::Out { .. } if self.due(one).is_some_and(|due| now >= due) => Access::Trial,
            State::Out { .. } | State::Trial => Access::Shut,
        }
    }

    /// Takes the one request that finds out. To be called when [`Access::Trial`] was the answer.
    pub(super) fn begin_trial(&mut self, at: usize) {
        self.all[at].state = State::Trial;
    }

    /// The request that was to find out has ended without telling.
    pub(super) fn abandon_trial(&mut self, at: usize, now: Instant) {
        if matches!(self.all[at].state, State::Trial) {
            self.all[at].state = State::Out { since: now, until: now };
        }
    }

    /// Takes note of how an exchange ended; `trial` says whether it was the one that finds out.
    pub(super) fn record(&mut self, at: usize, verdict: Verdict, trial: bool, now: Instant) -> Option<Change> {
        let quota = self.quota();
        let others_out = self.all.iter().enumerate().filter(|(other, one)| *other != at && one.is_out()).count();
        let rules = self.rules;
        let one = &mut self.all[at];
        if matches!(one.state, State::Trial) != trial || matches!(one.state, State::Out { .. }) {
            // What was asked before tells nothing new.
            return None;
        }
        if verdict == Verdict::Well {
            one.forgive();
            if let State::Growing(since) = one.state
                && now.duration_since(since) >= GROWTH
            {
                one.state = State::In(Some(now));
            }
            if trial {
                one.state = State::Growing(now);
                return Some(Change::Back);
            }
            return None;
        }
        one.failures += 1;
        one.unanswered = if verdict == Verdict::Failing { 0 } else { one.unanswered + 1 };
        if verdict == Verdict::Unreachable {
            one.suspect_until = Some(now + SUSPECT);
        }
        let dead = one.unanswered >= rules.failures || (trial && verdict != Verdict::Failing);
        let failing = (one.failures >= rules.failures || trial) && others_out < quota;
        if dead || failing {
            let why = if dead { "unanswered" } else { "failing" };
            return Some(Change::Out { why, time: one.eject(&rules, now) });
        }
        if trial {
            // It answers, and too few others are there to go without it.
            one.state = State::Growing(now);
            return Some(Change::Back);
        }
        None
    }

    /// Takes note of what the active checks say, when it is another thing than before.
    pub(super) fn check(&mut self, at: usize, well: bool, now: Instant) -> Option<Change> {
        let one = &mut self.all[at];
        if one.checked_down != well {
            return None;
        }
        one.checked_down = !well;
        if well {
            one.forgive();
            one.ejections = 0;
            one.state = State::Growing(now);
            return Some(Change::Back);
        }
        Some(Change::Out { why: "health_check", time: Duration::ZERO })
    }

    /// Whether all are asked alike, so that nobody has to look here.
    pub(super) fn is_clear(&self, now: Instant) -> bool {
        self.all.iter().all(|one| {
            let whole = match one.state {
                State::In(_) => true,
                State::Growing(since) => now.duration_since(since) >= GROWTH,
                State::Out { .. } | State::Trial => false,
            };
            let suspect = one.suspect_until.is_some_and(|until| now < until);
            whole && one.failures == 0 && !suspect && !one.checked_down
        })
    }

    pub(super) fn is_out(&self, at: usize) -> bool {
        self.all[at].is_out()
    }

    /// How long until one can be asked again, at a guess.
    pub(super) fn soonest(&self, now: Instant) -> Duration {
        let tried = self.all.iter().filter(|one| !one.checked_down).filter_map(|one| self.due(one));
        tried.map(|due| due.saturating_duration_since(now)).min().unwrap_or(SUSPECT)
    }

    /// When one that is out is to be tried. While no other is there, nobody waits for the end of a long time:
    /// an app that was away for an hour is found within seconds when it is back.
    fn due(&self, one: &Standing) -> Option<Instant> {
        let State::Out { since, until } = one.state else { return None };
        let alone = self.all.iter().all(Standing::is_out);
        Some(if alone { until.min(since + self.rules.base) } else { until })
    }

    /// How many may be out although they answer: never all.
    fn quota(&self) -> usize {
        let count = self.all.len();
        (count * self.rules.most_percent as usize / 100).min(count.saturating_sub(1))
    }
}

impl Standing {
    const fn is_out(&self) -> bool {
        self.checked_down || matches!(self.state, State::Out { .. } | State::Trial)
    }

    const fn forgive(&mut self) {
        self.failures = 0;
        self.unanswered = 0;
        self.suspect_until = None;
    }

    /// Answers for how long.
    fn eject(&mut self, rules: &Outlier, now: Instant) -> Duration {
        if let State::In(Some(since)) = self.state
            && now.duration_since(since) >= rules.longest
        {
            self.ejections = 0;
        }
        let time = rules.base.saturating_mul(1 << self.ejections.min(20)).min(rules.longest);
        self.ejections += 1;
        self.forgive();
        self.state = State::Out { since: now, until: now + time };
        time
    }
}

/// What one that is back since then gets of its share: more and more, and something at once.
fn grown(age: Duration) -> u32 {
    let sixteenths = age.as_millis() * u128::from(WHOLE) / GROWTH.as_millis();
    u32::try_from(sixteenths).map_or(WHOLE, |grown| (grown + 1).min(WHOLE))
}

#[cfg(test)]
#[path = "standing/tests.rs"]
mod tests;
