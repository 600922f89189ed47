//! The lockout through the real binary: sockets in front, SQLite and Redis behind, `kill -9` between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::locum::{Locum, ProxyUser, basic, configuration};
use crate::redis::Redis;
use crate::upstream::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Barrier;

/// A source address for each attempt, so that the throttle of sources stays out of the picture.
fn source(number: usize) -> IpAddr {
    let part = |number: usize| u8::try_from(number).expect("below 251");
    Ipv4Addr::new(127, 1, part(number / 250 % 240), part(number % 250 + 1)).into()
}

fn with_redis(redis: &Redis) -> String {
    format!("[redis]\nurl = \"{}\"\n", redis.url())
}

fn fail_once(gate: &Locum, user: &ProxyUser, number: usize) {
    let line = basic(&user.username, &user.guess(number as u64));
    let answer = gate.get_from(source(number), "app.test", "/x", &line);
    assert_eq!(answer.status, 401, "{answer:?}\n{}", gate.log());
}

pub(crate) fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

fn five_failures_in_a_row_shut_the_account(extra: &str) {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, extra));
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);

    for number in 0..4 {
        fail_once(&gate, &user, number);
    }
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200, "four are not five");
    for number in 10..14 {
        fail_once(&gate, &user, number);
    }
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200, "a success starts the count again");
    for number in 20..25 {
        fail_once(&gate, &user, number);
    }
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401, "the good PAT of a shut account");
    wait_until("the account is inactive", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");

    let locked = gate.actions("ann-ci", "attempts_locked");
    assert_eq!(locked.len(), 1, "{locked:?}");
    assert_eq!(locked[0]["actor"], "locum");
    let written = locked[0].to_string();
    for number in 20..25 {
        assert!(written.contains(&source(number).to_string()), "{number} is missing in {written}");
    }
    let pats = gate.json_cli(&["pat", "list", "ann-ci"]);
    assert!(pats.as_array().unwrap().iter().all(|pat| pat["state"] == "revoked"), "{pats}");

    gate.run_cli(&["proxy-user", "activate", "ann-ci"]);
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401, "revoked stays revoked (P11)");
    let fresh = gate.new_pat("ann-ci");
    // The revoked one, presented above, was the first of this life.
    for number in 30..33 {
        fail_once(&gate, &fresh, number);
    }
    assert_eq!(gate.get("app.test", "/x", &fresh.basic()).status, 200, "the count started at zero (P11)");
}

/// L1, P10, P11: without Redis, in the store.
#[test]
fn five_failures_in_a_row_shut_the_account_in_the_store() {
    five_failures_in_a_row_shut_the_account("");
}

/// L1, L2, P10, P11: counted in Redis.
#[test]
fn five_failures_in_a_row_shut_the_account_in_redis() {
    let redis = Redis::start();
    five_failures_in_a_row_shut_the_account(&with_redis(&redis));
}

/// G10, H3: behind a trusted proxy the history names the clients, not the proxy.
#[test]
fn the_history_names_the_client_behind_a_trusted_proxy() {
    let upstream = Upstream::echo();
    let proxied = configuration(upstream.address, "")
        .replace("threads = 2", "threads = 2\ntrusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = false");
    let gate = Locum::start(&proxied);
    let user = gate.add_proxy_user_of("ann");
    for number in 0..5 {
        let line = basic(&user.username, &user.guess(number));
        let hops = format!("{line}X-Forwarded-For: 8.8.8.8, 203.0.113.{number}\r\n");
        assert_eq!(gate.get("app.test", "/x", &hops).status, 401);
    }
    wait_until("the account is inactive", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");
    let written = gate.actions("ann-ci", "attempts_locked")[0].to_string();
    for number in 0..5 {
        assert!(written.contains(&format!("203.0.113.{number}")), "{number} is missing in {written}");
    }
    assert!(!written.contains("127.0.0.1") && !written.contains("8.8.8.8"), "{written}");
}

/// AU-002: nonsense that merely names the account counts too, in the default mode.
#[test]
fn five_nonsense_passwords_shut_the_account() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, ""));
    let user = gate.add_proxy_user_of("ann");
    for number in 0..5 {
        let line = basic("ann-ci", &format!("nonsense-{number}"));
        assert_eq!(gate.get_from(source(number), "app.test", "/x", &line).status, 401);
    }
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401);
    wait_until("the account is inactive", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");
}

/// L6: in the mode for open networks, only guesses at a public id that the account has count.
#[test]
fn in_guesses_mode_a_stranger_who_knows_the_name_cannot_shut_the_account() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, "[lockout]\ncounts = \"guesses\"\n"));
    let user = gate.add_proxy_user_of("ann");
    for number in 0..20 {
        let line = basic("ann-ci", &format!("nonsense-{number}"));
        assert_eq!(gate.get_from(source(number), "app.test", "/x", &line).status, 401);
    }
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);
    for number in 20..25 {
        fail_once(&gate, &user, number);
    }
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401, "guessing stops at five");
}

async fn attempt(address: SocketAddr, source: IpAddr, line: &str, ready: Option<&Barrier>) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source, 0)).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    if let Some(ready) = ready {
        ready.wait().await;
    }
    let request = format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{line}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    crate::locum::parse_answer(&answer).status
}

fn a_thousand_parallel_attempts_trip_once(extra: &str) {
    const ATTEMPTS: usize = 1_000;
    let upstream = Upstream::echo();
    // Every one of them is to be judged, however slow the machine is.
    let extra = format!("[limits]\njudgement_wait = \"2s\"\n{extra}");
    let gate = Locum::start(&configuration(upstream.address, &extra));
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);
    let seen_before = upstream.count();
    let address = gate.address();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let late = runtime.block_on(async {
        let (ready, answers) = (Arc::new(Barrier::new(ATTEMPTS)), Arc::new(AtomicUsize::new(0)));
        let fifth = Arc::new(tokio::sync::Notify::new());
        let mut attempts = tokio::task::JoinSet::new();
        for number in 0..ATTEMPTS {
            let (ready, answers, fifth) = (Arc::clone(&ready), Arc::clone(&answers), Arc::clone(&fifth));
            let line = basic(&user.username, &user.guess(number as u64));
            attempts.spawn(async move {
                let status = attempt(address, source(number), &line, Some(&ready)).await;
                if answers.fetch_add(1, Ordering::SeqCst) + 1 == 5 {
                    fifth.notify_one();
                }
                status
            });
        }
        fifth.notified().await;
        let mut late = Vec::new();
        for number in 0..20 {
            late.push(attempt(address, source(2_000 + number), &user.basic(), None).await);
        }
        while let Some(status) = attempts.join_next().await {
            assert_eq!(status.unwrap(), 401);
        }
        late
    });
    assert!(late.iter().all(|status| *status == 401), "accepted after the fifth answer: {late:?}");
    assert_eq!(upstream.count(), seen_before, "nothing reached the app");
    wait_until("the account is inactive", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");
    assert_eq!(gate.actions("ann-ci", "attempts_locked").len(), 1);
    assert_eq!(gate.actions("ann-ci", "proxy_user_marked_inactive").len(), 1);
    assert_eq!(gate.actions("ann-ci", "attempt_failed").len(), 5, "five were counted, no more");
}

/// L2: 1,000 sockets, one trip, one action; nothing starts and is accepted after the fifth answer.
#[test]
fn a_thousand_parallel_attempts_trip_once_in_the_store() {
    a_thousand_parallel_attempts_trip_once("");
}

/// L2: the same with the counts in Redis.
#[test]
fn a_thousand_parallel_attempts_trip_once_in_redis() {
    let redis = Redis::start();
    a_thousand_parallel_attempts_trip_once(&with_redis(&redis));
}

#[cfg(feature = "failpoints")]
fn a_trip_survives_kill_9_before_the_database_knows(extra: &str) {
    let upstream = Upstream::echo();
    let gate = Locum::start_with(&configuration(upstream.address, extra), &[("FAILPOINTS", "lockout::tripped=pause")]);
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);
    for number in 0..5 {
        fail_once(&gate, &user, number);
    }
    assert_eq!(gate.state_of("ann-ci"), "active", "the failpoint stands between the trip and the database");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401, "refused before the database knows");

    let gate = gate.kill_and_restart(&[]);
    let restarted = Instant::now();
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401, "refused at once after the restart");
    let took = wait_until("the account is inactive", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");
    assert!(restarted.elapsed() < Duration::from_secs(6), "{took:?}");
    assert_eq!(gate.actions("ann-ci", "attempts_locked").len(), 1);
    assert_eq!(upstream.count(), 1);
}

/// L2, AU-040: the store's own count.
#[test]
#[cfg(feature = "failpoints")]
fn a_trip_in_the_store_survives_kill_9_before_the_database_knows() {
    a_trip_survives_kill_9_before_the_database_knows("");
}

/// L2, AU-040: the count in Redis.
#[test]
#[cfg(feature = "failpoints")]
fn a_trip_in_redis_survives_kill_9_before_the_database_knows() {
    let redis = Redis::start();
    a_trip_survives_kill_9_before_the_database_knows(&with_redis(&redis));
}

/// L2: without Redis, a half-finished streak outlives the process.
#[test]
fn a_streak_survives_a_restart_without_redis() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, ""));
    let user = gate.add_proxy_user_of("ann");
    for number in 0..3 {
        fail_once(&gate, &user, number);
    }
    let gate = gate.restart();
    for number in 3..5 {
        fail_once(&gate, &user, number);
    }
    wait_until("the account is inactive", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");
}

/// L7, AU-042: Redis stops half-way; good credentials go on, failures are counted, the halves join.
#[test]
fn redis_lost_half_way_loses_no_count_and_no_good_caller() {
    let upstream = Upstream::echo();
    let mut redis = Redis::start();
    let gate = Locum::start(&configuration(upstream.address, &with_redis(&redis)));
    let user = gate.add_proxy_user_of("ann");
    for number in 0..3 {
        fail_once(&gate, &user, number);
    }
    redis.stop();
    for number in 3..5 {
        fail_once(&gate, &user, number);
    }
    let other = gate.add_proxy_user_of("ben");
    assert_eq!(gate.get("app.test", "/x", &other.basic()).status, 200, "good credentials go on");
    redis.restart();
    wait_until("the halves are joined", Duration::from_secs(20), || gate.state_of("ann-ci") == "inactive");
    assert_eq!(gate.actions("ann-ci", "attempts_locked").len(), 1);
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 401);
}

/// L7: a start without Redis works, and says so loudly.
#[test]
fn a_start_without_redis_works_and_says_so() {
    let upstream = Upstream::echo();
    let nowhere = crate::locum::free_address();
    let gate = Locum::start(&configuration(upstream.address, &format!("[redis]\nurl = \"redis://{nowhere}/\"\n")));
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);
    for number in 0..5 {
        fail_once(&gate, &user, number);
    }
    wait_until("the account is inactive", Duration::from_secs(5), || gate.state_of("ann-ci") == "inactive");
    assert!(gate.log().contains("Redis"), "{}", gate.log());
}

/// AU-041: a million names would be a million keys; here thousands of unknown names leave 64 at most,
/// and nothing in the database.
#[test]
fn unknown_names_do_not_grow_redis_or_the_database() {
    let upstream = Upstream::echo();
    let redis = Redis::start();
    let gate = Locum::start(&configuration(upstream.address, &with_redis(&redis)));
    let user = gate.add_proxy_user_of("ann");
    let before = gate.json_cli(&["history", "--limit", "500"]).as_array().unwrap().len();
    for number in 0..400 {
        let line = basic(&format!("nobody-{number}"), "nonsense");
        let answer = gate.get_from(source(number), "app.test", "/x", &line);
        assert_eq!(answer.status, 401);
    }
    let keys: usize = redis.ask("DBSIZE").lines().next().unwrap().trim_start_matches(':').parse().unwrap();
    assert!(keys <= 66, "{keys} keys");
    assert_eq!(gate.json_cli(&["history", "--limit", "500"]).as_array().unwrap().len(), before);
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200, "the victim's count is unchanged");
}

/// L8: a source that has failed too often is told so; who was proven before passes from it.
#[test]
fn a_throttled_source_is_429_except_for_proven_credentials() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, "[throttle]\nburst = 10\nper_second = 1\n"));
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);
    let mut throttled = None;
    for number in 0..40 {
        let answer = gate.get("app.test", "/x", &basic(&format!("nobody-{number}"), "nonsense"));
        if answer.status == 429 {
            throttled = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let throttled = throttled.expect("the budget of the source ends");
    assert!(throttled.header("retry-after").is_some(), "{throttled:?}");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200, "proven here before");

    let other = gate.add_proxy_user_of("ben");
    for _ in 0..10 {
        gate.get("app.test", "/x", &basic("nobody", "nonsense"));
        let status = gate.get("app.test", "/x", &basic(&other.username, "nonsense")).status;
        assert!(matches!(status, 401 | 429), "{status}");
    }
    let answer = gate.get_from(source(7), "app.test", "/x", &other.basic());
    assert_eq!(answer.status, 200, "what was throttled was not counted against the account");
}
