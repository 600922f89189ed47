//! A Redis that hangs, vanishes and comes back (L7): what it costs, and that nothing is taken late.

use std::time::{Duration, Instant};

use locum::cluster::{FailureCounts, RedisCounts, RedisSettings, Unavailable};
use locum::directory::Life;
use locum::directory::lockout::{Counted, Reset};

use crate::redis_server::Redis;
use crate::world::{account, attempt};

const BUDGET: Duration = Duration::from_millis(100);

fn impatient(server: &Redis) -> RedisCounts {
    RedisCounts::open(&RedisSettings { url: server.url().into(), authorities: None, timeout: BUDGET }).unwrap()
}

async fn fail(counts: &RedisCounts, number: u16) -> Result<Counted, Unavailable> {
    counts.fail(account(1), Life::FIRST, 5, attempt(number)).await
}

/// Asks until Redis answers again.
async fn answers(counts: &RedisCounts) {
    let started = Instant::now();
    while counts.probe().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "Redis never came back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// L7: a frozen Redis costs one slow step; the next are refused at once.
#[tokio::test]
async fn a_frozen_redis_costs_one_budget() {
    let server = Redis::start();
    let counts = impatient(&server);
    answers(&counts).await;
    fail(&counts, 1).await.unwrap();
    server.freeze();
    let started = Instant::now();
    assert_eq!(fail(&counts, 2).await, Err(Unavailable::TimedOut));
    assert!(started.elapsed() >= BUDGET && started.elapsed() < BUDGET * 3, "{:?}", started.elapsed());
    let started = Instant::now();
    for number in 3..100 {
        assert_eq!(fail(&counts, number).await, Err(Unavailable::Broken));
    }
    assert!(started.elapsed() < BUDGET, "{:?}", started.elapsed());
    server.thaw();
    answers(&counts).await;
    fail(&counts, 100).await.unwrap();
}

/// L7: what was given up is not done later, when Redis gets to it: by then it was counted elsewhere,
/// and a success might wipe out what failed since.
#[tokio::test]
async fn a_step_that_was_given_up_is_never_taken() {
    let server = Redis::start();
    let counts = impatient(&server);
    answers(&counts).await;
    fail(&counts, 1).await.unwrap();
    // so that Redis knows the script, and would run it
    counts.succeed(account(2), Life::FIRST).await.unwrap();
    server.freeze();
    assert_eq!(counts.succeed(account(1), Life::FIRST).await, Err(Unavailable::TimedOut));
    tokio::time::sleep(BUDGET).await;
    server.thaw();
    answers(&counts).await;
    assert_eq!(fail(&counts, 2).await, Ok(Counted::Counted(2)), "the success was taken late");
}

/// L7: a Redis that is away is no obstacle to a start, and is used as soon as it is there.
#[tokio::test]
async fn opening_does_not_need_redis() {
    let mut server = Redis::stopped();
    let counts = impatient(&server);
    assert!(fail(&counts, 1).await.is_err());
    assert!(counts.probe().await.is_err());
    server.restart();
    answers(&counts).await;
    assert_eq!(fail(&counts, 1).await, Ok(Counted::Counted(1)));
}

/// L7: killed and started again, with its memory and without.
#[tokio::test]
async fn a_restart_is_survived() {
    let mut server = Redis::start();
    let counts = impatient(&server);
    answers(&counts).await;
    fail(&counts, 1).await.unwrap();
    server.restart();
    answers(&counts).await;
    assert_eq!(fail(&counts, 2).await, Ok(Counted::Counted(2)));
    counts.note_seeded().await.unwrap();
    assert!(counts.probe().await.unwrap().seeded);
    server.restart_empty();
    answers(&counts).await;
    assert!(!counts.probe().await.unwrap().seeded, "it forgot everything and did not say so");
    assert_eq!(fail(&counts, 3).await, Ok(Counted::Counted(1)));
}

/// L2: scripts that were dropped are loaded again.
#[tokio::test]
async fn flushed_scripts_are_loaded_again() {
    let server = Redis::start();
    let counts = impatient(&server);
    answers(&counts).await;
    fail(&counts, 1).await.unwrap();
    server.ask("SCRIPT FLUSH SYNC");
    assert_eq!(fail(&counts, 2).await, Ok(Counted::Counted(2)));
    assert_eq!(counts.succeed(account(1), Life::FIRST).await, Ok(Reset::Cleared));
}

/// §4a: a Redis that may throw counts away says so.
#[tokio::test]
async fn an_eviction_policy_that_drops_counts_is_reported() {
    let server = Redis::start();
    let counts = impatient(&server);
    answers(&counts).await;
    assert_eq!(counts.probe().await.unwrap().eviction.as_deref(), Some("noeviction"));
    server.ask("CONFIG SET maxmemory-policy allkeys-lru");
    assert_eq!(counts.probe().await.unwrap().eviction.as_deref(), Some("allkeys-lru"));
}

/// A password in the URL stays there.
#[tokio::test]
async fn nothing_shows_the_password() {
    let url = "redis://user:hunter2@127.0.0.1:1/0";
    let settings = RedisSettings { url: url.into(), authorities: None, timeout: BUDGET };
    let counts = RedisCounts::open(&settings).unwrap();
    let error = fail(&counts, 1).await.unwrap_err();
    for shown in [format!("{settings:?}"), format!("{counts:?}"), format!("{error:?} {error}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let wrong = RedisSettings { url: "redis://user:hunter2@:x".into(), authorities: None, timeout: BUDGET };
    let error = RedisCounts::open(&wrong).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
}

/// `rediss://` is understood, and a server that speaks no TLS is an error like another.
#[tokio::test]
async fn a_redis_without_tls_is_refused_where_tls_is_asked_for() {
    let server = Redis::start();
    let url = server.url().replacen("redis://", "rediss://", 1);
    let counts = RedisCounts::open(&RedisSettings { url: url.into(), authorities: None, timeout: BUDGET }).unwrap();
    assert!(fail(&counts, 1).await.is_err());
    assert!(counts.probe().await.is_err());
}

/// L7: a replica that takes no writes does not count, and is told apart from one that does.
#[tokio::test]
async fn a_redis_that_takes_no_writes_does_not_count() {
    let server = Redis::start();
    let counts = impatient(&server);
    answers(&counts).await;
    server.ask("REPLICAOF 127.0.0.1 1");
    assert!(matches!(fail(&counts, 1).await, Err(Unavailable::Failed(_))));
    assert_eq!(fail(&counts, 2).await, Err(Unavailable::Broken));
    server.ask("REPLICAOF NO ONE");
    answers(&counts).await;
    assert_eq!(fail(&counts, 3).await, Ok(Counted::Counted(1)));
}
