use proptest::prelude::*;

use super::*;

const RULES: Outlier =
    Outlier { failures: 3, base: Duration::from_secs(2), longest: Duration::from_secs(20), most_percent: 50 };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sent so long ago that a row of them lasts.
fn of_old(trial: bool, now: Instant) -> Asked {
    Asked { at: now - LASTING, trial }
}

fn fail(standings: &mut Standings, at: usize, verdict: Verdict, now: Instant) -> Option<Change> {
    (0..RULES.failures).find_map(|_| standings.record(at, verdict, of_old(false, now), now))
}

/// G8: an instance that does not answer is left alone, for longer each time, and tried by one request.
#[test]
fn the_time_out_grows_and_one_request_ends_it() {
    let (mut standings, mut now) = (Standings::new(2, RULES), start());
    assert_eq!(standings.access(0, now), Access::Open(WHOLE));
    let mut out = fail(&mut standings, 0, Verdict::Unanswered, now);
    for time in [2, 4, 8, 16, 20, 20].map(seconds) {
        assert_eq!(out, Some(Change::Out { why: "unanswered", time }));
        assert_eq!(standings.access(0, now + time - Duration::from_millis(1)), Access::Shut);
        now += time;
        assert_eq!(standings.access(0, now), Access::Trial);
        standings.begin_trial(0, now);
        assert_eq!(standings.access(0, now), Access::Shut, "one at a time");
        out = standings.record(0, Verdict::Unanswered, of_old(true, now), now);
    }
    now += seconds(20);
    standings.begin_trial(0, now);
    standings.abandon_trial(0, now);
    assert_eq!(standings.access(0, now), Access::Trial, "nothing was found out");
    standings.begin_trial(0, now);
    now += TRIAL;
    assert_eq!(standings.access(0, now), Access::Trial, "the one that finds out has not for ever");
    standings.begin_trial(0, now);
    assert_eq!(standings.record(0, Verdict::Well, of_old(true, now), now), Some(Change::Back));
    assert_eq!(standings.record(0, Verdict::Unanswered, of_old(true, now), now), None, "the first that knows tells");
    let shares: Vec<_> = (0..=10).map(|age| standings.access(0, now + seconds(age))).collect();
    assert_eq!((shares[0], shares[5], shares[10]), (Access::Open(1), Access::Open(9), Access::Open(WHOLE)));
    now += GROWTH;
    standings.record(0, Verdict::Well, of_old(false, now), now);
    assert!(standings.is_clear(now));
    now += RULES.longest;
    let out = fail(&mut standings, 0, Verdict::Unanswered, now);
    assert_eq!(out, Some(Change::Out { why: "unanswered", time: seconds(2) }), "long ago is forgotten");
}

/// G8: an answer in between ends the row, and what was asked before an instance was left alone tells nothing.
#[test]
fn only_failures_in_a_row_count() {
    let (mut standings, now) = (Standings::new(2, RULES), start());
    for verdict in [Verdict::Unanswered, Verdict::Unanswered, Verdict::Well, Verdict::Unanswered, Verdict::Unreachable]
    {
        assert_eq!(standings.record(0, verdict, of_old(false, now), now), None);
    }
    assert_eq!(standings.access(0, now), Access::Suspect);
    assert_eq!(standings.access(0, now + SUSPECT), Access::Open(WHOLE));
    assert!(standings.record(0, Verdict::Unanswered, of_old(false, now), now).is_some());
    for late in [Verdict::Well, Verdict::Failing, Verdict::Unanswered] {
        assert_eq!(standings.record(0, late, of_old(false, now), now), None);
        assert!(standings.is_out(0));
    }
    assert_eq!(standings.record(0, Verdict::Failing, of_old(true, now), now), None);
    assert_eq!(standings.record(0, Verdict::Well, of_old(true, now), now), Some(Change::Back), "a trial was answered");
}

/// G8: many failures at the same moment are one caller's doing; only those that go on for a while take out an instance
/// that can be reached.
#[test]
fn a_row_of_failures_has_to_last() {
    let (mut standings, now) = (Standings::new(2, RULES), start());
    let sent = Asked { at: now, trial: false };
    for verdict in [Verdict::Failing, Verdict::Unanswered].into_iter().cycle().take(100) {
        assert_eq!(standings.record(0, verdict, sent, now + LASTING - Duration::from_millis(1)), None);
    }
    let late = now + LASTING;
    assert!(standings.record(0, Verdict::Failing, Asked { at: late, trial: false }, late).is_some());

    let at_once = (0..RULES.failures).find_map(|_| standings.record(1, Verdict::Unreachable, sent, now));
    assert_eq!(at_once, Some(Change::Out { why: "unreachable", time: RULES.base }), "which no caller brings about");
}

/// G8: what all instances do is the app's own doing, and none of its callers shuts it for the others; when none can be
/// reached, the app is known to be away, and found again soon.
#[test]
fn instances_that_can_be_reached_are_never_all_out_and_those_that_cannot_are() {
    for count in 1..6 {
        for verdict in [Verdict::Failing, Verdict::Unanswered] {
            let (mut standings, mut now) = (Standings::new(count, RULES), start());
            let out = (0..count).filter(|at| fail(&mut standings, *at, verdict, now).is_some()).count();
            assert_eq!(out, count / 2, "of {count}");
            now += RULES.longest;
            for at in (0..count).filter(|at| standings.access(*at, now) == Access::Trial).collect::<Vec<_>>() {
                standings.begin_trial(at, now);
                standings.record(at, verdict, of_old(true, now), now);
            }
            assert!((0..count).filter(|at| standings.is_out(*at)).count() <= count / 2, "of {count}");
        }

        let now = start();
        let (mut standings, mut now) = (Standings::new(count, RULES), now);
        for _round in 0..3 {
            for at in 0..count {
                if standings.access(at, now) == Access::Trial {
                    standings.begin_trial(at, now);
                    standings.record(at, Verdict::Unreachable, of_old(true, now), now);
                } else {
                    fail(&mut standings, at, Verdict::Unreachable, now);
                }
            }
            assert!((0..count).all(|at| standings.access(at, now) == Access::Shut));
            assert!(standings.soonest(now) <= RULES.base);
            now += RULES.base;
            assert!((0..count).all(|at| standings.access(at, now) == Access::Trial));
        }
    }
}

/// G8: what an active check says holds until it says another thing.
#[test]
fn a_check_takes_an_instance_out_and_brings_it_back() {
    let (mut standings, now) = (Standings::new(1, RULES), start());
    assert_eq!(standings.check(0, true, now), None);
    assert!(matches!(standings.check(0, false, now), Some(Change::Out { why: "health_check", .. })));
    assert_eq!(standings.check(0, false, now), None);
    assert_eq!(standings.access(0, now + seconds(1000)), Access::Shut);
    standings.record(0, Verdict::Well, of_old(false, now), now);
    assert_eq!(standings.access(0, now), Access::Shut);
    assert_eq!(standings.check(0, true, now), Some(Change::Back));
    assert_eq!(standings.access(0, now), Access::Open(1));
}

/// Late enough that something can have been before.
fn start() -> Instant {
    Instant::now() + LASTING
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Well), Just(Verdict::Failing), Just(Verdict::Unanswered), Just(Verdict::Unreachable)]
}

proptest! {
    /// G8: whatever happens in whatever order, no instance that can be reached is out beyond the part that may be, and
    /// never the last; times stay in their bounds, a trial has a time in which it is alone, and all come back when they
    /// are well again.
    #[test]
    fn the_rules_hold_in_any_order(
        count in 1_usize..6,
        steps in prop::collection::vec((0_usize..6, verdict(), 0_u64..5_000, 0_u64..5_000, any::<bool>()), 0..200),
    ) {
        let (mut standings, mut now) = (Standings::new(count, RULES), start());
        let mut trials: Vec<Option<Instant>> = vec![None; count];
        let mut rows: Vec<Option<Instant>> = vec![None; count];
        for (at, verdict, passed, took, abandoned) in steps {
            let at = at % count;
            now += Duration::from_millis(passed);
            let before = (0..count).filter(|other| standings.is_out(*other) && *other != at).count();
            if trials[at].is_some() && abandoned {
                standings.abandon_trial(at, now);
                trials[at] = None;
                continue;
            }
            match standings.access(at, now) {
                Access::Trial => {
                    prop_assert!(trials[at].is_none_or(|since| now >= since + TRIAL));
                    standings.begin_trial(at, now);
                    trials[at] = Some(now);
                    if abandoned {
                        // It goes on until another step finds it.
                        continue;
                    }
                }
                Access::Open(share) => prop_assert!((1..=WHOLE).contains(&share)),
                Access::Suspect | Access::Shut => {}
            }
            let sent = trials[at].unwrap_or_else(|| now - Duration::from_millis(took).min(LASTING));
            let trial = trials[at].take().is_some();
            if !trial && !standings.is_out(at) {
                let since = rows[at].map_or(sent, |since| since.min(sent));
                rows[at] = (verdict != Verdict::Well).then_some(since);
            }
            let change = standings.record(at, verdict, Asked { at: sent, trial }, now);
            if let Some(Change::Out { why, time }) = change {
                prop_assert!(time >= RULES.base && time <= RULES.longest);
                prop_assert!(verdict != Verdict::Well);
                prop_assert_eq!(why, verdict.slug());
                if verdict != Verdict::Unreachable {
                    prop_assert!(before < count / 2, "{} of {} were out", before, count);
                    prop_assert!(trial || rows[at].is_some_and(|since| now >= since + LASTING));
                }
            }
            match change {
                Some(Change::Back) if verdict != Verdict::Well => rows[at] = Some(sent),
                Some(_) => rows[at] = None,
                None => {}
            }
            prop_assert!(standings.soonest(now) <= RULES.longest.max(SUSPECT));
        }
        for at in 0..count {
            standings.abandon_trial(at, now);
        }
        now += RULES.longest;
        for _twice in 0..2 {
            for at in 0..count {
                let trial = standings.access(at, now) == Access::Trial;
                if trial {
                    standings.begin_trial(at, now);
                }
                standings.record(at, Verdict::Well, Asked { at: now, trial }, now);
            }
            now += GROWTH;
        }
        prop_assert!(standings.is_clear(now));
    }
}
