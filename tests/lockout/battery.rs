//! The claims: what every backend of `cluster::FailureCounts` has to do.

use std::sync::Arc;

use futures_util::future::join_all;
use locum::cluster::failure_counts::SINKS;
use locum::directory::Life;
use locum::directory::lockout::{Attempt, Counted, Reset, Streak};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{World, attempt, scale};

const THRESHOLD: u32 = 5;

/// One step on an account. Attempts are drawn from few, so that they repeat.
#[derive(Debug, Clone)]
enum Step {
    /// In the account's life so many lives ago.
    Fail {
        ago: u64,
        attempt: u16,
    },
    Succeed {
        ago: u64,
    },
    Join {
        ago: u64,
        attempts: Vec<u16>,
        tripped: bool,
    },
    /// The account becomes active again.
    NextLife,
}

fn step() -> impl Strategy<Value = Step> {
    let ago = || prop_oneof![9 => Just(0_u64), 1 => Just(1_u64)];
    prop_oneof![
        12 => (ago(), 0..8_u16).prop_map(|(ago, attempt)| Step::Fail { ago, attempt }),
        2 => ago().prop_map(|ago| Step::Succeed { ago }),
        3 => (ago(), prop::collection::vec(0..8_u16, 0..5), prop::bool::weighted(0.1))
            .prop_map(|(ago, attempts, tripped)| Step::Join { ago, attempts, tripped }),
        1 => Just(Step::NextLife),
    ]
}

/// What a step came to, whichever step it was.
#[derive(Debug, PartialEq)]
enum Came {
    Counted(Counted),
    Reset(Reset),
}

fn other_half(life: Life, attempts: &[u16], tripped: bool) -> Streak {
    let mut half = Streak::new(life);
    for number in attempts {
        // the threshold is beyond reach: this only leaves out what repeats
        half.fail(life, u32::MAX, attempt(*number));
    }
    if tripped && !half.attempts.is_empty() {
        half.tripped_at = half.attempts.last().map(|last| last.at);
    }
    half
}

/// L1, L2, L7, P11: step by step the backend answers as `directory::lockout::Streak` does, and keeps
/// what it keeps.
pub(crate) async fn every_step_answers_as_the_state_machine_does(world: Arc<World>) {
    let mut runner = TestRunner::new(Config { cases: 96 * scale(), failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 1..40);
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        runner.run(&steps, |steps| handle.block_on(agrees(&world, steps))).unwrap();
    })
    .await
    .unwrap();
}

async fn agrees(world: &World, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let account = world.account().await;
    let mut life = Life::FIRST;
    let mut model = Streak::new(life);
    for step in steps {
        let earlier = |ago: u64| Life(life.0.saturating_sub(ago).max(1));
        let (expected, came) = match &step {
            Step::Fail { ago, attempt: number } => {
                let life = earlier(*ago);
                let expected = model.fail(life, THRESHOLD, attempt(*number));
                let came = world.counts.fail(account, life, THRESHOLD, attempt(*number)).await.unwrap();
                (Came::Counted(expected), Came::Counted(came))
            }
            Step::Succeed { ago } => {
                let life = earlier(*ago);
                let came = world.counts.succeed(account, life).await.unwrap();
                (Came::Reset(model.succeed(life)), Came::Reset(came))
            }
            Step::Join { ago, attempts, tripped } => {
                let half = other_half(earlier(*ago), attempts, *tripped);
                let came = world.counts.join(account, &half, THRESHOLD).await.unwrap();
                (Came::Counted(model.join(&half, THRESHOLD)), Came::Counted(came))
            }
            Step::NextLife => {
                life = life.next();
                world.reach(account, life).await;
                // Whoever becomes active again is heard of in the new life before stragglers of the
                // old one are told apart from it.
                let came = world.counts.succeed(account, life).await.unwrap();
                (Came::Reset(model.succeed(life)), Came::Reset(came))
            }
        };
        prop_assert_eq!(expected, came, "at {:?}", step);
        let kept = world.counts.streaks().await.unwrap().into_iter().find(|(id, _)| *id == account);
        let open = !model.attempts.is_empty() || model.tripped_at.is_some();
        prop_assert_eq!(kept.map(|(_, streak)| streak), open.then(|| model.clone()), "after {:?}", step);
    }
    world.counts.forget(account).await.unwrap();
    Ok(())
}

/// L2: of many parallel failures the fifth trips, once, and says which five.
pub(crate) async fn of_many_parallel_failures_exactly_one_trips(world: Arc<World>) {
    for _round in 0..5 {
        let account = world.account().await;
        let failures = (0..200).map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(number)).await })
        });
        let mut counted = [0; 4];
        let mut tripped = Vec::new();
        for answer in join_all(failures).await {
            match answer.unwrap().unwrap() {
                Counted::Counted(count @ 1..=4) => counted[count as usize - 1] += 1,
                Counted::Tripped(attempts) => tripped.push(attempts),
                Counted::Locked => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(counted, [1; 4], "each count is given once");
        assert_eq!(tripped.len(), 1, "exactly one trips");
        let mut ids: Vec<_> = tripped[0].iter().map(|attempt| attempt.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5, "with the five attempts of the streak");
    }
}

/// L2, AU-033: retries that repeat an attempt count it once, however they overlap.
pub(crate) async fn a_repeated_attempt_counts_once(world: Arc<World>) {
    let account = world.account().await;
    let retries = (0..64_u16).flat_map(|_| 0..4_u16).map(|number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(number)).await })
    });
    let answers: Vec<_> = join_all(retries).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    let count = |wanted: fn(&Counted) -> bool| answers.iter().filter(|answer| wanted(answer)).count();
    assert_eq!(count(|answer| matches!(answer, Counted::Counted(_))), 4);
    assert_eq!(count(|answer| matches!(answer, Counted::Repeated(_))), 64 * 4 - 4);
    let fifth = world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(4)).await.unwrap();
    assert!(matches!(fifth, Counted::Tripped(attempts) if attempts.len() == 5));
}

/// P11
pub(crate) async fn an_earlier_life_is_stale_and_a_new_one_starts_at_zero(world: Arc<World>) {
    let account = world.account().await;
    for number in 0..5 {
        world.counts.fail(account, Life(1), THRESHOLD, attempt(number)).await.unwrap();
    }
    world.reach(account, Life(2)).await;
    assert_eq!(world.counts.fail(account, Life(2), THRESHOLD, attempt(10)).await, Ok(Counted::Counted(1)));
    assert_eq!(world.counts.fail(account, Life(1), THRESHOLD, attempt(11)).await, Ok(Counted::Stale));
    assert_eq!(world.counts.succeed(account, Life(1)).await, Ok(Reset::Stale));
    assert_eq!(world.counts.fail(account, Life(2), THRESHOLD, attempt(12)).await, Ok(Counted::Counted(2)));
    assert_eq!(world.counts.succeed(account, Life(2)).await, Ok(Reset::Cleared));
    assert_eq!(world.counts.fail(account, Life(1), THRESHOLD, attempt(13)).await, Ok(Counted::Stale));
}

/// L1
pub(crate) async fn a_success_starts_the_count_again(world: Arc<World>) {
    let account = world.account().await;
    for round in 0..3 {
        for number in 0..4 {
            let counted = world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(round * 4 + number)).await;
            assert_eq!(counted, Ok(Counted::Counted(u32::from(number) + 1)));
        }
        assert_eq!(world.counts.succeed(account, Life::FIRST).await, Ok(Reset::Cleared));
        assert_eq!(world.counts.succeed(account, Life::FIRST).await, Ok(Reset::Cleared));
    }
    assert_eq!(world.counts.streaks().await.unwrap(), Vec::new());
}

/// L2
pub(crate) async fn a_success_after_the_trip_is_none(world: Arc<World>) {
    let account = world.account().await;
    for number in 0..5 {
        world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(number)).await.unwrap();
    }
    assert_eq!(world.counts.succeed(account, Life::FIRST).await, Ok(Reset::Locked));
    assert_eq!(world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(5)).await, Ok(Counted::Locked));
}

fn half(numbers: impl IntoIterator<Item = u16>) -> Streak {
    let attempts: Vec<Attempt> = numbers.into_iter().map(attempt).collect();
    Streak { life: Life::FIRST, attempts, tripped_at: None }
}

/// L7, decision 22: by union, never by maximum.
pub(crate) async fn halves_are_joined_by_union(world: Arc<World>) {
    let account = world.account().await;
    for number in [1, 2] {
        world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(number)).await.unwrap();
    }
    assert_eq!(world.counts.join(account, &half([2, 3, 4]), THRESHOLD).await, Ok(Counted::Counted(4)));
    assert_eq!(world.counts.join(account, &half([2, 3, 4]), THRESHOLD).await, Ok(Counted::Repeated(4)));
    let (_, streak) = world.counts.streaks().await.unwrap().remove(0);
    assert_eq!(streak, half([1, 2, 3, 4]));
}

/// L7
pub(crate) async fn halves_that_make_a_whole_trip_once(world: Arc<World>) {
    let account = world.account().await;
    for number in [1, 2, 3] {
        world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(number)).await.unwrap();
    }
    let joins = (0..20).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.counts.join(account, &half([4, 5, 6]), THRESHOLD).await })
    });
    let answers: Vec<_> = join_all(joins).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    let whole = half([1, 2, 3, 4, 5]).attempts;
    assert_eq!(answers.iter().filter(|answer| **answer == Counted::Tripped(whole.clone())).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Counted::Locked).count(), 19);
}

/// L2, L7
pub(crate) async fn a_tripped_half_locks_the_other(world: Arc<World>) {
    let account = world.account().await;
    world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(9)).await.unwrap();
    let tripped = Streak { tripped_at: Some(attempt(5).at), ..half([1, 2, 3, 4, 5]) };
    assert_eq!(world.counts.join(account, &tripped, THRESHOLD).await, Ok(Counted::Locked));
    assert_eq!(world.counts.streaks().await.unwrap(), vec![(account, tripped)]);
    assert_eq!(world.counts.succeed(account, Life::FIRST).await, Ok(Reset::Locked));
}

/// L2: what a start has to find.
pub(crate) async fn every_open_streak_is_listed(world: Arc<World>) {
    let mut expected = Vec::new();
    for number in 0..1_200 {
        let account = world.account().await;
        world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(number)).await.unwrap();
        expected.push((account, half([number])));
    }
    let cleared = expected.pop().unwrap().0;
    world.counts.succeed(cleared, Life::FIRST).await.unwrap();
    let mut listed = world.counts.streaks().await.unwrap();
    listed.sort_by_key(|(account, _)| *account);
    assert_eq!(listed, expected);
}

/// P12
pub(crate) async fn what_is_forgotten_starts_anew(world: Arc<World>) {
    let account = world.account().await;
    for number in 0..5 {
        world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(number)).await.unwrap();
    }
    world.counts.forget(account).await.unwrap();
    assert_eq!(world.counts.streaks().await.unwrap(), Vec::new());
    assert_eq!(world.counts.fail(account, Life::FIRST, THRESHOLD, attempt(9)).await, Ok(Counted::Counted(1)));
}

/// L4, AU-041: names that do not exist go to a fixed number of sinks, and nobody's count moves.
pub(crate) async fn no_flood_of_names_makes_anything_grow(world: Arc<World>) {
    let victim = world.account().await;
    for number in 0..4 {
        world.counts.fail(victim, Life::FIRST, THRESHOLD, attempt(number)).await.unwrap();
    }
    for slot in 0..SINKS {
        world.counts.sink(slot, attempt(u16::from(slot))).await.unwrap();
    }
    let before = (world.size)().await;
    for number in 0..5_000 * scale() {
        let [_, high, low, slot] = number.to_be_bytes();
        world.counts.sink(slot, attempt(u16::from_be_bytes([high, low]))).await.unwrap();
    }
    assert_eq!((world.size)().await, before);
    assert_eq!(world.counts.streaks().await.unwrap(), vec![(victim, half([0, 1, 2, 3]))]);
    assert!(before <= usize::from(SINKS) + 1);
}
