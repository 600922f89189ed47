//! From the fifth failure to the directory: what is shut when, and that no trip is lost (L1, L2).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use locum::authn::lockout::{Counts, Loaded, Lockout, LockoutSettings, OnLoss};
use locum::cluster::{FailureCounts, Stamp, Subjects, Unavailable};
use locum::directory::lockout::{Attempt, Counted, Reset, Streak};
use locum::directory::{AccountId, Life};

use crate::node::{Node, addresses, addresses_of, eventually, sqlite};
use crate::redis_server::Redis;
use crate::world::attempt;

/// L1, L2: the fifth shuts the account on this node before it is answered, and is carried out once,
/// with the five addresses.
#[tokio::test]
async fn the_fifth_failure_shuts_the_account_before_it_is_answered() {
    let world = sqlite().await;
    let node = Node::start(&world, None, OnLoss::Count).await;
    let account = world.account().await;
    node.fail_with(account, 1..5).await;
    let (stamp, subject) = (Stamp::take(&node.subjects, account, None), node.subject(account));
    assert!(!subject.tripped_in(Life::FIRST));
    let fifth = node.fail(account, 5).await.unwrap();
    assert!(matches!(fifth, Counted::Tripped(_)), "{fifth:?}");
    assert!(subject.tripped_in(Life::FIRST));
    assert!(!stamp.holds(), "what was cached before the trip still answers");
    let trips = node.carried.wait_for(1).await;
    assert_eq!((trips[0].account, trips[0].life), (account, Life::FIRST));
    assert_eq!(addresses_of(&trips[0]), addresses(1..6));
    assert_eq!(node.fail(account, 6).await, Ok(Counted::Locked));
    assert_eq!(node.succeed(account).await, Ok(Reset::Locked));
    assert_eq!(node.carried.trips().len(), 1);
}

/// L2: of 300 parallel failures one trips, and one trip is carried out; in Redis and in the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_parallel_failures_one_trip_is_carried_out() {
    let redis = Redis::start();
    for server in [None, Some(&redis)] {
        let world = sqlite().await;
        let node = Arc::new(Node::start(&world, server, OnLoss::Count).await);
        let account = world.account().await;
        let failures = (0..300).map(|number| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { node.fail(account, number).await })
        });
        let answers = join_all(failures).await;
        let tripped = answers.iter().filter(|answer| matches!(answer, Ok(Ok(Counted::Tripped(_))))).count();
        assert_eq!(tripped, 1);
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Ok(_)))));
        node.carried.wait_for(1).await;
        eventually("all errands are done", || node.lockout.health().unfinished == 0).await;
        assert_eq!(node.carried.trips().len(), 1);
    }
}

/// AU-031: a thousand good credentials at once while four failures are on record: all are good, and
/// the count is zero afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_successes_clear_four_failures() {
    let redis = Redis::start();
    for server in [None, Some(&redis)] {
        let world = sqlite().await;
        let node = Arc::new(Node::start(&world, server, OnLoss::Count).await);
        let account = world.account().await;
        node.fail_with(account, 0..4).await;
        assert_ne!(node.subject(account).streak(), 0);
        let successes = (0..1_000).map(|_| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { node.succeed(account).await })
        });
        for answer in join_all(successes).await {
            assert_eq!(answer.unwrap(), Ok(Reset::Cleared));
        }
        assert_eq!(node.subject(account).streak(), 0, "the next good credential would ask the counts again");
        assert_eq!(world.counts.streaks().await.unwrap(), Vec::new());
        assert_eq!(node.fail(account, 9).await, Ok(Counted::Counted(1)));
    }
}

/// L1: a trip that cannot be written now is written later, and others do not wait for it.
#[tokio::test]
async fn a_trip_is_tried_again_until_it_is_written() {
    let world = sqlite().await;
    let node = Node::start(&world, None, OnLoss::Count).await;
    node.carried.failures.store(3, Ordering::SeqCst);
    let (one, other) = (world.account().await, world.account().await);
    for account in [one, other] {
        node.fail_with(account, 1..5).await;
        node.fail(account, 5).await.unwrap();
    }
    assert!(node.lockout.health().unfinished > 0);
    let mut accounts: Vec<_> = node.carried.wait_for(2).await.iter().map(|trip| trip.account).collect();
    accounts.sort();
    assert_eq!(accounts, [one, other]);
    assert_eq!(node.carried.tries.load(Ordering::SeqCst), 5);
    eventually("nothing is unfinished", || node.lockout.health().unfinished == 0).await;
}

/// AU-040: a node dies between the trip and the directory; the next one shuts the account before it
/// listens, and carries the trip out. With the trip in the store, and in Redis.
#[tokio::test]
async fn a_trip_that_died_with_its_node_is_found_by_the_next() {
    let redis = Redis::start();
    for server in [None, Some(&redis)] {
        let world = sqlite().await;
        let (account, open) = (world.account().await, world.account().await);
        let node = Node::start(&world, server, OnLoss::Count).await;
        node.carried.failures.store(u32::MAX, Ordering::SeqCst);
        node.fail_with(open, 0..2).await;
        node.fail_with(account, 1..5).await;
        node.fail(account, 5).await.unwrap();
        drop(node);

        let node = Node::unloaded(Arc::clone(&world.counts), server, OnLoss::Count);
        assert!(!node.subject(account).tripped_in(Life::FIRST));
        node.lockout.load().await.unwrap();
        assert!(node.subject(account).tripped_in(Life::FIRST), "nobody is to listen before this");
        assert_ne!(node.subject(open).streak(), 0, "an open streak is not marked");
        let trips = node.carried.wait_for(1).await;
        assert_eq!(trips[0].account, account);
        assert_eq!(addresses_of(&trips[0]), addresses(1..6));
    }
}

/// L2: the counts survive a restart without Redis.
#[tokio::test]
async fn a_streak_goes_on_after_a_restart() {
    let world = sqlite().await;
    let account = world.account().await;
    let node = Node::start(&world, None, OnLoss::Count).await;
    node.fail_with(account, 1..4).await;
    drop(node);
    let node = Node::unloaded(Arc::clone(&world.counts), None, OnLoss::Count);
    assert_eq!(node.lockout.load().await, Ok(Loaded { open: 1, tripped: 0 }));
    node.fail_with(account, 4..5).await;
    assert!(matches!(node.fail(account, 5).await, Ok(Counted::Tripped(_))));
}

/// P11: the next life starts at zero, whatever the last one left.
#[tokio::test]
async fn the_next_life_starts_at_zero() {
    let redis = Redis::start();
    for server in [None, Some(&redis)] {
        let world = sqlite().await;
        let node = Node::start(&world, server, OnLoss::Count).await;
        let account = world.account().await;
        node.fail_with(account, 1..5).await;
        node.fail(account, 5).await.unwrap();
        world.reach(account, Life(2)).await;
        assert!(!node.subject(account).tripped_in(Life(2)));
        assert_eq!(node.lockout.fail(account, Life(2), attempt(6)).await, Ok(Counted::Counted(1)));
        assert_eq!(node.lockout.succeed(account, Life(2)).await, Ok(Reset::Cleared));
        assert_eq!(node.subject(account).streak(), 0);
    }
}

/// L2: hanging up does not undo a failure, nor lose a trip.
#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing() {
    let world = sqlite().await;
    let node = Node::start(&world, None, OnLoss::Count).await;
    let account = world.account().await;
    for number in 1..6 {
        let mut failing = Box::pin(node.fail(account, number));
        // Begun, and given up at the first wait.
        assert!(futures_util::poll!(failing.as_mut()).is_pending());
        drop(failing);
    }
    let trips = node.carried.wait_for(1).await;
    assert_eq!(trips[0].attempts.len(), 5);
}

/// AU-041: a flood of names touches nobody, neither in memory nor in the counts.
#[tokio::test]
async fn a_flood_of_names_leaves_no_trace() {
    let world = sqlite().await;
    let node = Node::start(&world, None, OnLoss::Count).await;
    let victim = world.account().await;
    node.fail_with(victim, 0..4).await;
    let blocks = node.subjects.len();
    for hash in 0..2_000_u64 {
        node.lockout.sink(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15), attempt(7)).await.unwrap();
    }
    assert_eq!(node.subjects.len(), blocks);
    assert_eq!(world.counts.streaks().await.unwrap().len(), 1);
    assert!(matches!(node.fail(victim, 9).await, Ok(Counted::Tripped(_))));
}

/// Counts that look at the account's mark at the moment of counting.
struct Watched(Subjects);

impl FailureCounts for Watched {
    fn fail(
        &self,
        account: AccountId,
        _life: Life,
        _threshold: u32,
        _attempt: Attempt,
    ) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        let marked = self.0.subject(account).streak() != 0;
        Box::pin(async move { if marked { Ok(Counted::Counted(1)) } else { Ok(Counted::Stale) } })
    }

    fn succeed(&self, account: AccountId, _life: Life) -> BoxFuture<'_, Result<Reset, Unavailable>> {
        // Somebody fails while the success is on its way.
        self.0.mark(&self.0.subject(account));
        Box::pin(async { Ok(Reset::Cleared) })
    }

    fn sink(&self, _slot: u8, _attempt: Attempt) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }

    fn join(&self, _: AccountId, _: &Streak, _: u32) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        Box::pin(async { Ok(Counted::Repeated(0)) })
    }

    fn streaks(&self) -> BoxFuture<'_, Result<Vec<(AccountId, Streak)>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn forget(&self, _: AccountId) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }
}

/// L1, L3: marked before counting, so that no success overlooks a failure; and a success does not
/// remove the mark of a failure that came while it was on its way.
#[tokio::test]
async fn a_failure_is_marked_before_it_is_counted() {
    let subjects = Subjects::new();
    let settings = LockoutSettings { threshold: 5, counts: Counts::EveryFailure, on_loss: OnLoss::Count };
    let counts = Arc::new(Watched(subjects.clone()));
    let carry_out = Arc::new(|_| -> BoxFuture<'static, _> { Box::pin(async { Ok(()) }) });
    let lockout = Lockout::new(None, counts, subjects.clone(), settings, carry_out);
    let account = crate::world::account(1);
    assert_eq!(lockout.fail(account, Life::FIRST, attempt(1)).await, Ok(Counted::Counted(1)), "not marked yet");
    let before = subjects.subject(account).streak();
    assert_eq!(lockout.succeed(account, Life::FIRST).await, Ok(Reset::Cleared));
    let after = subjects.subject(account).streak();
    assert!(after != 0 && after != before);
}

/// Style 20: a store that hangs is an error after a while, not a wait for ever.
#[tokio::test]
async fn a_store_that_hangs_is_given_up() {
    struct Hanging;
    impl FailureCounts for Hanging {
        fn fail(&self, _: AccountId, _: Life, _: u32, _: Attempt) -> BoxFuture<'_, Result<Counted, Unavailable>> {
            Box::pin(std::future::pending())
        }
        fn succeed(&self, _: AccountId, _: Life) -> BoxFuture<'_, Result<Reset, Unavailable>> {
            Box::pin(std::future::pending())
        }
        fn sink(&self, _: u8, _: Attempt) -> BoxFuture<'_, Result<(), Unavailable>> {
            Box::pin(std::future::pending())
        }
        fn join(&self, _: AccountId, _: &Streak, _: u32) -> BoxFuture<'_, Result<Counted, Unavailable>> {
            Box::pin(std::future::pending())
        }
        fn streaks(&self) -> BoxFuture<'_, Result<Vec<(AccountId, Streak)>, Unavailable>> {
            Box::pin(std::future::pending())
        }
        fn forget(&self, _: AccountId) -> BoxFuture<'_, Result<(), Unavailable>> {
            Box::pin(std::future::pending())
        }
    }
    let node = Node::unloaded(Arc::new(Hanging), None, OnLoss::Count);
    let account = crate::world::account(1);
    let answers = async { tokio::join!(node.fail(account, 1), node.succeed(account), node.lockout.load()) };
    let (failed, succeeded, loaded) = tokio::time::timeout(Duration::from_secs(5), answers).await.unwrap();
    assert_eq!(failed, Err(Unavailable::TimedOut));
    assert_eq!(succeeded, Err(Unavailable::TimedOut));
    assert_eq!(loaded, Err(Unavailable::TimedOut));
}
