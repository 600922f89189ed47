//! Failure counts: the state machine of the words, step by step, durable.

use std::time::Duration;

use futures_util::future::join_all;
use locum::directory::lockout::{Attempt, AttemptId, Counted, Reset, Streak};
use locum::directory::owner_cascade::Household;
use locum::directory::{AccountId, Life};
use locum::store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::*;

const THRESHOLD: u32 = 5;

fn attempt(id: u128) -> Attempt {
    let address = (!id.is_multiple_of(3)).then(|| "192.0.2.7".parse().unwrap());
    Attempt { id: AttemptId(id), address, at: NOON.plus(Duration::from_millis(u64::try_from(id).unwrap())) }
}

#[derive(Debug, Clone)]
enum Step {
    Fail(u64, u128),
    Succeed(u64),
    Join(Streak),
    NewLife,
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let life = || 1..4_u64;
    let other = (life(), prop::collection::vec(0..12_u128, 0..5), any::<bool>()).prop_map(|(life, ids, tripped)| {
        let mut streak = Streak::new(Life(life));
        streak.attempts = ids.into_iter().map(attempt).collect();
        streak.attempts.dedup_by_key(|attempt| attempt.id);
        streak.tripped_at = tripped.then_some(NOON);
        Step::Join(streak)
    });
    let step = prop_oneof![
        8 => (life(), 0..12_u128).prop_map(|(life, id)| Step::Fail(life, id)),
        2 => life().prop_map(Step::Succeed),
        2 => other,
        1 => Just(Step::NewLife),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..40)
}

/// The words' own machine, with the one thing that the database knows better: which life it is.
struct Model {
    life: Life,
    streak: Option<Streak>,
}

impl Model {
    fn step<T>(&mut self, life: Life, stale: T, step: impl FnOnce(&mut Streak) -> T) -> T {
        if life < self.life {
            return stale;
        }
        let mut streak = self.streak.take().unwrap_or_else(|| Streak::new(life));
        let answer = step(&mut streak);
        self.streak = Some(streak).filter(|streak| !streak.attempts.is_empty() || streak.tripped_at.is_some());
        answer
    }
}

async fn new_life(store: &Store, owner: AccountId, proxy: AccountId) {
    cascade(store, owner, move |household| household.inactivate_proxy(proxy)).await;
    cascade(store, owner, move |household| household.activate_proxy(proxy).unwrap()).await;
}

fn agrees_with_the_words(kept: Kept, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let backend = Backend::new(kept);
    let store = runtime.block_on(backend.open());
    let ann = person("ann");
    runtime.block_on(add(&store, &[&ann]));
    let mut runner = TestRunner::new(Config { cases: cases * scale(), failure_persistence: None, ..Config::default() });
    let number = std::cell::Cell::new(0);
    let result = runner.run(&steps(), |steps| {
        number.set(number.get() + 1);
        let bot = proxy_of(&ann, &format!("bot{}", number.get()));
        runtime.block_on(async {
            add(&store, &[&bot]).await;
            let books = store.bookkeeping();
            let mut model = Model { life: Life::FIRST, streak: None };
            for step in steps {
                match step {
                    Step::Fail(life, id) => {
                        let life = Life(life);
                        let expected =
                            model.step(life, Counted::Stale, |streak| streak.fail(life, THRESHOLD, attempt(id)));
                        prop_assert_eq!(books.fail(bot.id, life, THRESHOLD, attempt(id)).await.unwrap(), expected);
                    }
                    Step::Succeed(life) => {
                        let expected = model.step(Life(life), Reset::Stale, |streak| streak.succeed(Life(life)));
                        prop_assert_eq!(books.succeed(bot.id, Life(life)).await.unwrap(), expected);
                    }
                    Step::Join(other) => {
                        let expected = model.step(other.life, Counted::Stale, |streak| streak.join(&other, THRESHOLD));
                        prop_assert_eq!(books.join(bot.id, &other, THRESHOLD).await.unwrap(), expected);
                    }
                    Step::NewLife => {
                        new_life(&store, ann.id, bot.id).await;
                        model = Model { life: model.life.next(), streak: None };
                    }
                    Step::Forget => {
                        books.forget(bot.id).await.unwrap();
                        model.streak = None;
                    }
                }
                let all = books.streaks().await.unwrap();
                let kept = all.into_iter().find(|(account, _)| *account == bot.id).map(|(_, streak)| streak);
                prop_assert_eq!(kept, model.streak.clone());
            }
            Ok(())
        })
    });
    result.unwrap();
}

/// L1, L2, P11
#[test]
fn counting_in_sqlite_agrees_with_the_words() {
    agrees_with_the_words(Kept::Sqlite, 48);
}

/// L1, L2, P11
#[test]
fn counting_in_postgres_agrees_with_the_words() {
    agrees_with_the_words(Kept::Postgres, 16);
}

claims! {
    /// L2: of many parallel failures the fifth trips, once.
    async fn of_many_parallel_failures_exactly_one_trips(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        let books = store.bookkeeping();
        let failing = (0..500).map(|id| {
            let books = books.clone();
            tokio::spawn(async move { books.fail(ann.id, Life::FIRST, THRESHOLD, attempt(id)).await.unwrap() })
        });
        let answers: Vec<Counted> = join_all(failing).await.into_iter().map(Result::unwrap).collect();
        let trips: Vec<_> = answers.iter().filter_map(|answer| match answer {
            Counted::Tripped(attempts) => Some(attempts.len()),
            _ => None,
        }).collect();
        assert_eq!(trips, [5]);
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Counted::Counted(_))).count(), 4);
        assert_eq!(answers.iter().filter(|answer| **answer == Counted::Locked).count(), 495);
    }

    /// L2: what counts survives the process, what trips survives the loss of power too.
    async fn a_trip_is_committed_as_durably_as_a_change(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        let mut durable = Vec::new();
        for id in 0..6 {
            store.bookkeeping().fail(ann.id, Life::FIRST, THRESHOLD, attempt(id)).await.unwrap();
            durable.push(store.statistics().durable_commits);
        }
        assert_eq!(durable, [1, 1, 1, 1, 2, 2], "the fifth trips");
        assert_eq!(store.statistics().commits, 7);
    }

    /// L2: surviving a restart.
    async fn a_streak_is_there_after_reopening(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        for id in 0..4 {
            store.bookkeeping().fail(ann.id, Life::FIRST, THRESHOLD, attempt(id)).await.unwrap();
        }
        store.close().await;
        let store = backend.open().await;
        let fifth = store.bookkeeping().fail(ann.id, Life::FIRST, THRESHOLD, attempt(4)).await.unwrap();
        assert_eq!(fifth, Counted::Tripped((0..5).map(attempt).collect()));
    }

    async fn an_account_that_is_gone_leaves_no_count(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        store.bookkeeping().fail(ann.id, Life::FIRST, THRESHOLD, attempt(1)).await.unwrap();
        cascade(&store, ann.id, Household::delete_owner).await;
        let answer = store.bookkeeping().fail(ann.id, Life::FIRST, THRESHOLD, attempt(2)).await.unwrap();
        assert_eq!(answer, Counted::Stale);
        assert_eq!(store.bookkeeping().streaks().await.unwrap(), []);
    }

    /// Counting leaves no action: that is the business of whoever counts.
    async fn counting_is_no_change_and_leaves_no_action(backend: Backend) {
        let store = backend.open().await;
        let ann = person("ann");
        add(&store, &[&ann]).await;
        let before = store.read().await.unwrap().head().await.unwrap();
        for id in 0..5 {
            store.bookkeeping().fail(ann.id, Life::FIRST, THRESHOLD, attempt(id)).await.unwrap();
        }
        assert_eq!(store.read().await.unwrap().audit().await.unwrap(), before);
    }
}
