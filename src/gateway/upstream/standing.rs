//! How the instances of one app stand: which are asked, which are left alone, and for how long.
//!
//! Two things can be wrong with an instance. It *cannot be reached*: so many times in a row, and it is left
//! alone whatever the others do; if that is so of all, nobody is asked, and the app is known to be away. Or it
//! *was asked and did not do well* (502, 503, 504, no head of a response in time, a connection that breaks
//! off): a caller may have brought that about, by a page that takes long or makes the app fail. So it is left
//! alone only when that goes on for a while without a good answer to anybody, and only while enough others are
//! there: never the last one.
//!
//! When the time of an instance is over, one request finds out how it is. It has not for ever: soon another one
//! may try too, and the first that knows tells. If the instance is well, it gets its share of the requests
//! little by little; if it is not, it is left alone for twice as long.
//!
//! Pure code: the time is an argument, and whoever shares it between cores puts a lock around it.

use std::time::Duration;

use tokio::time::Instant;

/// How long one that could not be reached is asked after all others.
const SUSPECT: Duration = Duration::from_secs(2);
/// So long a row of failures takes at least, of an instance that can be reached: many at the same moment are one
/// caller's doing.
const LASTING: Duration = Duration::from_secs(1);
/// So long the one request that finds out keeps others from trying.
const TRIAL: Duration = Duration::from_secs(2);
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
    /// The most instances of an app, in percent, that are left alone although they can be reached.
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
    /// There was no connection to it, which no caller can bring about.
    Unreachable,
}

/// A request, as far as it matters to the standing of the instance that it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: Instant,
    /// It is to find out how the instance is.
    pub(super) trial: bool,
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
    /// One request is finding out; from then on another may.
    Trial {
        until: Instant,
    },
}

#[derive(Debug)]
struct Standing {
    state: State,
    /// In a row, of every kind.
    failures: u32,
    /// When the first request of that row was sent.
    failing_since: Option<Instant>,
    /// In a row, without a connection.
    unreachable: u32,
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
            failing_since: None,
            unreachable: 0,
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
            State::Trial { until } if now >= until => Access::Trial,
            State::Out { .. } | State::Trial { .. } => Access::Shut,
        }
    }

    /// Takes a request that finds out. To be called when [`Access::Trial`] was the answer.
    pub(super) fn begin_trial(&mut self, at: usize, now: Instant) {
        self.all[at].state = State::Trial { until: now + TRIAL };
    }

    /// A request that was to find out has ended without telling.
    pub(super) fn abandon_trial(&mut self, at: usize, now: Instant) {
        if matches!(self.all[at].state, State::Trial { .. }) {
            self.all[at].state = State::Out { since: now, until: now };
        }
    }

    /// Takes note of how an exchange ended.
    pub(super) fn record(&mut self, at: usize, verdict: Verdict, asked: Asked, now: Instant) -> Option<Change> {
        let quota = self.quota();
        let others_out = self.all.iter().enumerate().filter(|(other, one)| *other != at && one.is_out()).count();
        let rules = self.rules;
        let one = &mut self.all[at];
        let trial = asked.trial;
        let tells = match one.state {
            State::In(_) | State::Growing(_) => !trial,
            State::Trial { .. } => trial,
            // Another trial has failed meanwhile, but this one was answered.
            State::Out { .. } => trial && verdict == Verdict::Well,
        };
        if !tells {
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
        one.failures = one.failures.saturating_add(1);
        let since = one.failing_since.map_or(asked.at, |since| since.min(asked.at));
        one.failing_since = Some(since);
        let unreachable = verdict == Verdict::Unreachable;
        one.unreachable = if unreachable { one.unreachable.saturating_add(1) } else { 0 };
        if unreachable {
            one.suspect_until = Some(now + SUSPECT);
        }
        let away = one.unreachable >= rules.failures || (trial && unreachable);
        let lasting = one.failures >= rules.failures && now.saturating_duration_since(since) >= LASTING;
        let failing = (lasting || trial) && others_out < quota;
        if away || failing {
            return Some(Change::Out { why: verdict.slug(), time: one.eject(&rules, now) });
        }
        if trial {
            // It can be reached, and too few others are there to go without it.
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
                State::Out { .. } | State::Trial { .. } => false,
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
        let (since, until) = match one.state {
            State::In(_) | State::Growing(_) => return None,
            State::Trial { until } => return Some(until),
            State::Out { since, until } => (since, until),
        };
        let alone = self.all.iter().all(Standing::is_out);
        Some(if alone { until.min(since + self.rules.base) } else { until })
    }

    /// How many may be out although they can be reached: never all.
    fn quota(&self) -> usize {
        let count = self.all.len();
        (count * self.rules.most_percent as usize / 100).min(count.saturating_sub(1))
    }
}

impl Verdict {
    const fn slug(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Failing => "failing",
            Self::Unanswered => "unanswered",
            Self::Unreachable => "unreachable",
        }
    }
}

impl Standing {
    const fn is_out(&self) -> bool {
        self.checked_down || matches!(self.state, State::Out { .. } | State::Trial { .. })
    }

    const fn forgive(&mut self) {
        self.failures = 0;
        self.failing_since = None;
        self.unreachable = 0;
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
