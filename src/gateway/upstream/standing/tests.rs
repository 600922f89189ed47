use proptest::prelude::*;

use super::*;

const RULES: Outlier =
    Outlier { failures: 3, base: Duration::from_secs(2), longest: Duration::from_secs(20), most_percent: 50 };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn fail(standings: &mut Standings, at: usize, verdict: Verdict, now: Instant) -> Option<Change> {
    (0..RULES.failures).find_map(|_| standings.record(at, verdict, false, now))
}

/// G8: an instance that does not answer is left alone, for longer each time, and tried by one request.
#[test]
fn the_time_out_grows_and_one_request_ends_it() {
    let (mut standings, mut now) = (Standings::new(2, RULES), Instant::now());
    assert_eq!(standings.access(0, now), Access::Open(WHOLE));
    let mut out = fail(&mut standings, 0, Verdict::Unanswered, now);
    for time in [2, 4, 8, 16, 20, 20].map(seconds) {
        assert_eq!(out, Some(Change::Out { why: "unanswered", time }));
        assert_eq!(standings.access(0, now + time - Duration::from_millis(1)), Access::Shut);
        now += time;
        assert_eq!(standings.access(0, now), Access::Trial);
        standings.begin_trial(0);
        assert_eq!(standings.access(0, now), Access::Shut, "one at a time");
        out = standings.record(0, Verdict::Unanswered, true, now);
    }
    now += seconds(20);
    standings.begin_trial(0);
    standings.abandon_trial(0, now);
    assert_eq!(standings.access(0, now), Access::Trial, "nothing was found out");
    standings.begin_trial(0);
    assert_eq!(standings.record(0, Verdict::Well, true, now), Some(Change::Back));
    let shares: Vec<_> = (0..=10).map(|age| standings.access(0, now + seconds(age))).collect();
    assert_eq!((shares[0], shares[5], shares[10]), (Access::Open(1), Access::Open(9), Access::Open(WHOLE)));
    now += GROWTH;
    standings.record(0, Verdict::Well, false, now);
    assert!(standings.is_clear(now));
    now += RULES.longest;
    let out = fail(&mut standings, 0, Verdict::Unanswered, now);
    assert_eq!(out, Some(Change::Out { why: "unanswered", time: seconds(2) }), "long ago is forgotten");
}

/// G8: an answer in between ends the row, and what was asked before an instance was left alone tells nothing.
#[test]
fn only_failures_in_a_row_count() {
    let (mut standings, now) = (Standings::new(2, RULES), Instant::now());
    for verdict in [Verdict::Unanswered, Verdict::Unanswered, Verdict::Well, Verdict::Unanswered, Verdict::Unreachable]
    {
        assert_eq!(standings.record(0, verdict, false, now), None);
    }
    assert_eq!(standings.access(0, now), Access::Suspect);
    assert_eq!(standings.access(0, now + SUSPECT), Access::Open(WHOLE));
    assert!(standings.record(0, Verdict::Unanswered, false, now).is_some());
    for late in [Verdict::Well, Verdict::Failing, Verdict::Unanswered] {
        assert_eq!(standings.record(0, late, false, now), None);
        assert!(standings.is_out(0));
    }
}

/// G8: what all instances answer is the app's own answer; when none answers, the app is known to be away, and
/// found again soon.
#[test]
fn instances_that_answer_are_never_all_out_and_those_that_do_not_are() {
    for count in 1..6 {
        let (mut standings, now) = (Standings::new(count, RULES), Instant::now());
        let out = (0..count).filter(|at| fail(&mut standings, *at, Verdict::Failing, now).is_some()).count();
        assert_eq!(out, count / 2, "of {count}");

        let (mut standings, mut now) = (Standings::new(count, RULES), now);
        for _round in 0..3 {
            for at in 0..count {
                if standings.access(at, now) == Access::Trial {
                    standings.begin_trial(at);
                    standings.record(at, Verdict::Unanswered, true, now);
                } else {
                    fail(&mut standings, at, Verdict::Unanswered, now);
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
    let (mut standings, now) = (Standings::new(1, RULES), Instant::now());
    assert_eq!(standings.check(0, true, now), None);
    assert!(matches!(standings.check(0, false, now), Some(Change::Out { why: "health_check", .. })));
    assert_eq!(standings.check(0, false, now), None);
    assert_eq!(standings.access(0, now + seconds(1000)), Access::Shut);
    standings.record(0, Verdict::Well, false, now);
    assert_eq!(standings.access(0, now), Access::Shut);
    assert_eq!(standings.check(0, true, now), Some(Change::Back));
    assert_eq!(standings.access(0, now), Access::Open(1));
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Well), Just(Verdict::Failing), Just(Verdict::Unanswered), Just(Verdict::Unreachable)]
}

proptest! {
    /// G8: whatever happens in whatever order, no more instances that answer are out than may be, times stay in
    /// their bounds, no instance has two trials at once, and all come back when they are well again.
    #[test]
    fn the_rules_hold_in_any_order(
        count in 1_usize..6,
        steps in prop::collection::vec((0_usize..6, verdict(), 0_u64..5_000, any::<bool>()), 0..200),
    ) {
        let (mut standings, mut now) = (Standings::new(count, RULES), Instant::now());
        let mut trials = vec![false; count];
        for (at, verdict, passed, abandoned) in steps {
            let at = at % count;
            now += Duration::from_millis(passed);
            let before = (0..count).filter(|other| standings.is_out(*other) && *other != at).count();
            let trial = trials[at];
            if trial && abandoned {
                standings.abandon_trial(at, now);
                trials[at] = false;
                continue;
            }
            match standings.access(at, now) {
                Access::Trial => {
                    prop_assert!(!trial);
                    standings.begin_trial(at);
                    trials[at] = true;
                    if abandoned {
                        // It goes on until another step finds it.
                        continue;
                    }
                }
                Access::Open(share) => prop_assert!((1..=WHOLE).contains(&share)),
                Access::Suspect | Access::Shut => {}
            }
            let change = standings.record(at, verdict, trials[at], now);
            trials[at] = false;
            if let Some(Change::Out { why, time }) = change {
                prop_assert!(time >= RULES.base && time <= RULES.longest);
                prop_assert!(why == "unanswered" || before < count / 2);
                prop_assert!(verdict != Verdict::Well);
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
                    standings.begin_trial(at);
                }
                standings.record(at, Verdict::Well, trial, now);
            }
            now += GROWTH;
        }
        prop_assert!(standings.is_clear(now));
    }
}
