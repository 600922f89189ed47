//! Redis is stopped half-way through a streak, and comes back (L7): what the two books come to.

use std::time::{Duration, Instant};

use locum::authn::lockout::{OnLoss, RedisHealth};
use locum::cluster::{RedisCounts, RedisSettings, Unavailable};
use locum::directory::Life;
use locum::directory::lockout::{Counted, Reset};

use crate::node::{BUDGET, Node, addresses, addresses_of, copied, eventually, sqlite};
use crate::redis_server::Redis;
use crate::world::attempt;

/// How Redis goes away, and how it comes back.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// Frozen: connections stay, nothing answers (`SIGSTOP`).
    Frozen,
    /// Killed, and started again with what it had written down.
    Killed,
    /// Killed, and started again with nothing.
    Emptied,
}

impl Outage {
    const ALL: [Self; 3] = [Self::Frozen, Self::Killed, Self::Emptied];

    fn begin(self, redis: &mut Redis) {
        match self {
            Self::Frozen => redis.freeze(),
            Self::Killed | Self::Emptied => redis.stop(),
        }
    }

    fn end(self, redis: &mut Redis) {
        match self {
            Self::Frozen => redis.thaw(),
            Self::Killed => redis.restart(),
            Self::Emptied => redis.restart_empty(),
        }
    }
}

/// L7, AU-042: two failures in Redis, two in the store, the fifth in Redis again: it trips, at five in
/// total, with all five addresses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_halves_count_and_the_fifth_in_total_trips() {
    for outage in Outage::ALL {
        let (world, mut redis) = (sqlite().await, Redis::start());
        let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
        node.redis_is(RedisHealth::Up).await;
        let account = world.account().await;
        node.fail_with(account, 1..3).await;
        outage.begin(&mut redis);
        node.fail_with(account, 3..5).await;
        assert_eq!(node.lockout.health().redis, RedisHealth::Lost, "{outage:?}");
        outage.end(&mut redis);
        node.redis_is(RedisHealth::Up).await;
        let fifth = node.fail(account, 5).await.unwrap();
        assert!(matches!(fifth, Counted::Tripped(_)), "{outage:?}: {fifth:?}");
        let trips = node.carried.wait_for(1).await;
        let mut named = addresses_of(&trips[0]);
        named.sort();
        let mut expected = addresses(1..6);
        expected.sort();
        assert_eq!(named, expected, "{outage:?}");
        eventually("all errands are done", || node.lockout.health().unfinished == 0).await;
        assert_eq!(node.carried.trips().len(), 1, "{outage:?}");
    }
}

/// L7, AU-042: the fifth in total trips while Redis is away too, and stays tripped when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fifth_in_total_trips_during_the_outage() {
    for outage in Outage::ALL {
        let (world, mut redis) = (sqlite().await, Redis::start());
        let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
        let account = world.account().await;
        node.fail_with(account, 1..4).await;
        copied(&world, account, 3).await;
        outage.begin(&mut redis);
        node.fail_with(account, 4..5).await;
        assert!(matches!(node.fail(account, 5).await, Ok(Counted::Tripped(_))), "{outage:?}");
        outage.end(&mut redis);
        node.redis_is(RedisHealth::Up).await;
        assert_eq!(node.fail(account, 6).await, Ok(Counted::Locked), "{outage:?}");
        assert_eq!(node.succeed(account).await, Ok(Reset::Locked), "{outage:?}");
        eventually("all errands are done", || node.lockout.health().unfinished == 0).await;
        assert_eq!(node.carried.trips().len(), 1, "{outage:?}");
    }
}

/// L1, L7: a success during the outage makes void what Redis still has of the streak.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_during_the_outage_starts_the_count_again() {
    for outage in Outage::ALL {
        let (world, mut redis) = (sqlite().await, Redis::start());
        let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
        let account = world.account().await;
        node.fail_with(account, 1..4).await;
        outage.begin(&mut redis);
        assert_eq!(node.succeed(account).await, Ok(Reset::Cleared));
        node.fail_with(account, 4..5).await;
        outage.end(&mut redis);
        node.redis_is(RedisHealth::Up).await;
        node.fail_with(account, 5..8).await;
        let fifth = node.fail(account, 8).await.unwrap();
        assert!(matches!(fifth, Counted::Tripped(_)), "{outage:?}: {fifth:?}");
        assert_eq!(addresses_of(&node.carried.wait_for(1).await[0]), addresses(4..9), "{outage:?}");
    }
}

/// L7: a Redis that hangs costs one slow failure; those after it are as fast as the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_costs_one_slow_failure() {
    let (world, redis) = (sqlite().await, Redis::start());
    let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
    let (account, other) = (world.account().await, world.account().await);
    node.fail_with(account, 1..2).await;
    redis.freeze();
    let started = Instant::now();
    node.fail_with(account, 2..3).await;
    let first = started.elapsed();
    let mut slow = 0;
    for number in 0..4 {
        let started = Instant::now();
        node.fail_with(other, number..number + 1).await;
        slow += u32::from(started.elapsed() >= BUDGET);
    }
    assert!(first < BUDGET * 4, "{first:?}");
    assert_eq!(slow, 0, "the breaker does not hold");
    redis.thaw();
    node.redis_is(RedisHealth::Up).await;
}

/// AU-044: Redis forgets everything and nobody tells: the counts are filled in again from the store,
/// and what tripped stays so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_forgets_nothing() {
    let (world, redis) = (sqlite().await, Redis::start());
    let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
    let (tripped, open) = (world.account().await, world.account().await);
    node.fail_with(tripped, 1..5).await;
    node.fail(tripped, 5).await.unwrap();
    node.fail_with(open, 0..3).await;
    copied(&world, open, 3).await;
    copied(&world, tripped, 5).await;
    redis.ask("FLUSHALL");
    assert!(node.subject(tripped).tripped_in(Life::FIRST), "what is shut is not shut any more");
    let settings = RedisSettings { url: redis.url().into(), authorities: None, timeout: Duration::from_secs(5) };
    let asked = RedisCounts::open(&settings).unwrap();
    let started = Instant::now();
    while asked.streak(open).await.unwrap().is_none_or(|streak| streak.count() != 3) {
        assert!(started.elapsed() < Duration::from_secs(10), "Redis was never filled in again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.redis_is(RedisHealth::Up).await;
    assert_eq!(node.fail(tripped, 6).await, Ok(Counted::Locked));
    node.fail_with(open, 3..4).await;
    assert!(matches!(node.fail(open, 4).await, Ok(Counted::Tripped(_))));
}

/// L2: a success clears the store's copy before it is answered, so that no later loss of Redis brings
/// the failures back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_clears_both_books_before_it_is_answered() {
    let (world, mut redis) = (sqlite().await, Redis::start());
    let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
    let account = world.account().await;
    node.fail_with(account, 1..5).await;
    copied(&world, account, 4).await;
    assert_eq!(node.succeed(account).await, Ok(Reset::Cleared));
    redis.stop();
    assert_eq!(node.fail(account, 5).await, Ok(Counted::Counted(1)));
}

/// L1, AU-003: what a success leaves in Redis lapses, what is counted on top of it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_on_record_in_redis_never_lapse() {
    let (world, redis) = (sqlite().await, Redis::start());
    let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
    node.redis_is(RedisHealth::Up).await;
    let account = world.account().await;
    let key = format!("locum:failures:{{{account}}}");
    let never_lapses = || redis.ask(&format!("PTTL {key}")).starts_with(":-1\r");
    node.fail_with(account, 1..2).await;
    assert_eq!(node.succeed(account).await, Ok(Reset::Cleared));
    assert!(!never_lapses(), "what a success leaves");
    node.fail_with(account, 2..3).await;
    assert!(never_lapses(), "a failure on record");
}

/// L7: a start without Redis works, and Redis takes over when it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_redis_works() {
    let (world, mut redis) = (sqlite().await, Redis::stopped());
    let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
    assert_eq!(node.lockout.health().redis, RedisHealth::Lost);
    let account = world.account().await;
    node.fail_with(account, 1..4).await;
    redis.restart();
    node.redis_is(RedisHealth::Up).await;
    node.fail_with(account, 4..5).await;
    assert!(matches!(node.fail(account, 5).await, Ok(Counted::Tripped(_))));
}

/// L7: a streak that only Redis has is marked at the start, and copied into the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_redis_has_is_loaded() {
    let (world, redis) = (sqlite().await, Redis::start());
    let account = world.account().await;
    let settings = RedisSettings { url: redis.url().into(), authorities: None, timeout: Duration::from_secs(5) };
    let before = RedisCounts::open(&settings).unwrap();
    for number in 1..4 {
        use locum::cluster::FailureCounts as _;
        before.fail(account, Life::FIRST, 5, attempt(number)).await.unwrap();
    }
    let node = Node::start(&world, Some(&redis), OnLoss::Count).await;
    assert_ne!(node.subject(account).streak(), 0);
    copied(&world, account, 3).await;
}

/// L7: with `on_loss = "closed"` nobody is judged while Redis is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_means_that_nobody_is_judged() {
    let (world, redis) = (sqlite().await, Redis::start());
    let node = Node::start(&world, Some(&redis), OnLoss::Closed).await;
    let account = world.account().await;
    node.fail_with(account, 1..3).await;
    assert!(!node.lockout.is_closed());
    redis.freeze();
    assert_eq!(node.fail(account, 3).await, Err(Unavailable::Broken));
    assert!(node.lockout.is_closed());
    assert_eq!(node.succeed(account).await, Err(Unavailable::Broken));
    assert_eq!(node.lockout.sink(7, attempt(9)).await, Err(Unavailable::Broken));
    // Past the deadline of what was given up: Redis does not take it any more.
    tokio::time::sleep(BUDGET).await;
    redis.thaw();
    eventually("the gate opens", || !node.lockout.is_closed()).await;
    node.fail_with(account, 4..6).await;
    assert!(matches!(node.fail(account, 6).await, Ok(Counted::Tripped(_))));
}

/// L7: failures of many accounts, all through an outage, while Redis comes and goes: every one is
/// counted once, wherever it was counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_while_redis_comes_and_goes() {
    let (world, redis) = (sqlite().await, Redis::start());
    let node = std::sync::Arc::new(Node::start(&world, Some(&redis), OnLoss::Count).await);
    let mut accounts = Vec::new();
    for _account in 0..40 {
        accounts.push(world.account().await);
    }
    let failing: Vec<_> = accounts
        .iter()
        .map(|account| {
            let (node, account) = (std::sync::Arc::clone(&node), *account);
            tokio::spawn(async move {
                for number in 0..4 {
                    let counted = node.fail(account, number).await.unwrap();
                    assert!(matches!(counted, Counted::Counted(_) | Counted::Repeated(_)), "{counted:?}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            })
        })
        .collect();
    for _outage in 0..2 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        redis.freeze();
        tokio::time::sleep(Duration::from_millis(250)).await;
        redis.thaw();
    }
    for failing in failing {
        failing.await.unwrap();
    }
    node.redis_is(RedisHealth::Up).await;
    assert_eq!(node.carried.trips(), Vec::new(), "four failures shut an account");
    for account in accounts {
        let fifth = node.fail(account, 4).await.unwrap();
        assert!(matches!(fifth, Counted::Tripped(_)), "{fifth:?}");
    }
}
