use super::*;
use crate::directory::AppName;
use crate::gateway::identity_headers::Preset;
use crate::gateway::settings::{Identity, Resilience, Timeouts};
use crate::gateway::tunnel::TunnelSettings;
use crate::gateway::upstream::{Outlier, SharedApps, TransportSettings};
use crate::policy::{AppRoutes, PathPrefix, PathReading};

const FAILURES: u32 = 3;

fn instances(count: usize) -> Instances {
    let routing = AppRoutes {
        name: AppName::parse("app").unwrap(),
        hosts: Vec::new(),
        path_prefix: PathPrefix::parse("/").unwrap(),
        path_reading: PathReading::Exact,
        routes: Vec::new(),
    };
    let outlier = Outlier { failures: FAILURES, ..Outlier::default() };
    let app = AppSettings {
        routing,
        upstreams: (0..count).map(|n| format!("a:{n}")).collect(),
        transport: TransportSettings::default(),
        headers: Preset::None,
        set_headers: Vec::new(),
        secret_header: None,
        identity: Identity::Account,
        timeouts: Timeouts::default(),
        tunnels: TunnelSettings::default(),
        early_hints: true,
        resilience: Resilience { outlier, ..Resilience::default() },
        rate_limits: Vec::new(),
    };
    let shared = SharedApps::new(std::slice::from_ref(&app), 100, 0);
    Instances::new(&app, shared.iter().next().unwrap(), &mut (0..))
}

/// The first that is asked by one more request so long from now, which is then over.
fn first_in(instances: &Instances, seconds: u64) -> usize {
    let attempt = next_in(instances, seconds, true).unwrap();
    let number = attempt.instance().number;
    attempt.answered(http::StatusCode::OK);
    number
}

fn first(instances: &Instances) -> usize {
    first_in(instances, 0)
}

fn next_in(instances: &Instances, seconds: u64, repeatable: bool) -> Option<Attempt> {
    instances.next_at(&mut Tried::default(), repeatable, || Instant::now() + Duration::from_secs(seconds))
}

/// Tells of it what a row of requests would that find nobody there.
fn take_out(instances: &Instances, number: usize) {
    for _ in 0..FAILURES {
        instances.shared.record(number, Verdict::Unreachable, instances.shared.send(number, false));
    }
}

/// G8
#[test]
fn all_instances_take_their_turn_and_each_is_tried_once() {
    for count in 1..6 {
        let instances = instances(count);
        let mut asked: Vec<_> = (0..count * 4).map(|_| first(&instances)).collect();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked.len(), count);
        let mut tried = Tried::default();
        let attempts = std::iter::from_fn(|| instances.next(&mut tried, true));
        assert_eq!(attempts.count(), count.min(4), "after the first, three others");
        tried.0.sort_unstable();
        tried.0.dedup();
        assert_eq!(tried.0.len(), count.min(4));
    }
}

/// G8
#[test]
fn the_less_loaded_of_two_is_asked() {
    let instances = instances(2);
    let busy = instances.all[0].enter();
    assert!((0..4).all(|_| first(&instances) == 1));
    drop(busy);
    assert!((0..4).any(|_| first(&instances) == 0));
}

/// G8
#[test]
fn what_could_not_be_reached_is_asked_last_for_a_while() {
    let instances = instances(3);
    instances.shared.record(1, Verdict::Unreachable, instances.shared.send(1, false));
    for _ in 0..6 {
        let mut tried = Tried::default();
        while instances.next(&mut tried, true).is_some() {}
        assert_eq!(tried.0.last(), Some(&1));
    }
    assert!((0..6).any(|_| next_in(&instances, 2, true).unwrap().instance().number == 1));
}

/// G8: when the time of one that is out is over, a request that can be sent again finds out, alone; then it has more of
/// the requests from second to second.
#[test]
fn one_that_comes_back_is_tried_by_one_request_and_gets_more_little_by_little() {
    let instances = instances(2);
    take_out(&instances, 0);
    assert!((0..20).all(|_| first(&instances) == 1));
    let other = next_in(&instances, 2, false).unwrap();
    assert_eq!(other.instance().number, 1, "what cannot be repeated finds nothing out");
    drop(other);
    let trial = next_in(&instances, 2, true).unwrap();
    assert_eq!(trial.instance().number, 0);
    assert!((0..20).all(|_| first_in(&instances, 2) == 1), "one at a time");
    drop(trial);
    let trial = next_in(&instances, 2, true).unwrap();
    assert_eq!(trial.instance().number, 0, "nothing was found out");
    trial.answered(http::StatusCode::NOT_FOUND);
    let share = |seconds| (0..320).filter(|_| first_in(&instances, seconds) == 0).count();
    let shares = [0, 3, 6, 9, 12].map(share);
    assert!(shares.is_sorted() && shares[0] > 0 && shares[0] < 40, "{shares:?}");
    assert!((140..=180).contains(&shares[4]), "{shares:?}");
}

/// G8: what was asked before a good answer came from the same instance says nothing bad of it, whoever asked.
#[test]
fn a_good_answer_to_anybody_outweighs_what_was_asked_before_it() {
    let instances = instances(2);
    for verdict in [Verdict::Unreachable, Verdict::Unanswered, Verdict::Failing] {
        let asked: Vec<_> = (0..FAILURES * 2).map(|_| instances.shared.send(0, false)).collect();
        instances.shared.record(0, Verdict::Well, instances.shared.send(0, false));
        for sent in asked {
            instances.shared.record(0, verdict, sent);
        }
        assert!(instances.shared.trouble().is_none(), "{verdict:?}");
    }
    take_out(&instances, 0);
    assert!(instances.shared.trouble().is_some());
}

/// G8: a request that finds out and never ends keeps others from it for a short time only.
#[test]
fn a_trial_that_does_not_end_makes_room_for_another() {
    let instances = instances(1);
    take_out(&instances, 0);
    let endless = next_in(&instances, 2, false).unwrap();
    assert!(next_in(&instances, 3, true).is_none());
    let second = next_in(&instances, 5, true).unwrap();
    second.answered(http::StatusCode::OK);
    assert!(next_in(&instances, 5, true).is_some());
    endless.unreachable();
    assert!(next_in(&instances, 5, true).is_some(), "the first that knows has told");
}

/// DS-007: when none is left nobody is asked, and whoever comes is told when to come again.
#[test]
fn when_all_are_out_nobody_is_asked() {
    let instances = instances(2);
    take_out(&instances, 0);
    take_out(&instances, 1);
    assert!(instances.next(&mut Tried::default(), true).is_none());
    let wait = instances.try_again_after();
    assert!(wait > Duration::from_secs(1) && wait <= Duration::from_secs(2), "{wait:?}");
    assert_eq!(instances.shared.notes().len(), 2);
    assert!(next_in(&instances, 2, false).is_some(), "any request finds out when there is no other");
}
