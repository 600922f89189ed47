//! L4: every failure is answered alike and takes the same time, measured over real sockets with Welch's test.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(clippy::cast_precision_loss, reason = "a count of samples is far below 2^52")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/locum.rs"]
mod locum;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/redis.rs"]
mod redis;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/upstream.rs"]
mod upstream;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom as _;

use crate::locum::{Locum, basic, configuration};
use crate::redis::Redis;
use crate::upstream::Upstream;

/// What is measured is measured alone.
static ALONE: Mutex<()> = Mutex::new(());

/// Beyond this, two samples do not come from one distribution.
const CRITICAL: f64 = 4.5;

/// A class of refusals, and how long each of its answers took, in microseconds.
struct Class {
    name: &'static str,
    line: String,
    took_us: Vec<f64>,
}

impl Class {
    fn new(name: &'static str, line: String) -> Self {
        Self { name, line, took_us: Vec::new() }
    }
}

/// How many answers of each class: six hundred in the test run, ten thousand in the long one.
fn samples() -> usize {
    let scale = std::env::var_os("LOCUM_TEST_SCALE").and_then(|scale| scale.to_str()?.parse().ok()).unwrap_or(1);
    (600 * scale).min(10_000)
}

/// One request on a connection that stays open; answers with the answer and how long it took.
fn ask(stream: &mut TcpStream, line: &str, buffer: &mut [u8]) -> (String, Duration) {
    let request = format!("GET /x HTTP/1.1\r\nHost: app.test\r\n{line}\r\n");
    let start = Instant::now();
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).expect("the gateway answers");
        assert!(read > 0, "the gateway closed the connection: {}", String::from_utf8_lossy(&buffer[..length]));
        length += read;
        if whole(&buffer[..length]) {
            break;
        }
    }
    let took = start.elapsed();
    (String::from_utf8_lossy(&buffer[..length]).into_owned(), took)
}

/// An answer without what differs between any two: its date, and the id of its request.
fn likeness(answer: &str) -> String {
    let body = locum::parse_answer(answer.as_bytes()).body;
    let problem: serde_json::Value = serde_json::from_str(&body).expect("a refusal is a problem document");
    let id = problem["request_id"].as_str().expect("every refusal has an id").to_owned();
    let dated = |line: &&str| !line.to_ascii_lowercase().starts_with("date:");
    answer.replace(&id, "ID").lines().filter(dated).collect::<Vec<_>>().join("\n")
}

fn whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let lower = head.to_ascii_lowercase();
    match lower.lines().find_map(|line| line.strip_prefix("content-length:")) {
        Some(length) => body.len() >= length.trim().parse::<usize>().expect("a number"),
        None => body.ends_with("0\r\n\r\n"),
    }
}

/// The slowest hundredth is left out: what the machine did then says nothing of the classes.
fn trimmed(sample: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.truncate(sample.len() - sample.len() / 100);
    sorted
}

fn welch(a: &[f64], b: &[f64]) -> f64 {
    let moments = |sample: &[f64]| {
        let n = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / n;
        let variance = sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    };
    let ((mean_a, error_a), (mean_b, error_b)) = (moments(a), moments(b));
    (mean_a - mean_b) / (error_a + error_b).sqrt()
}

fn measure(extra: &str) -> Vec<Class> {
    let upstream = Upstream::echo();
    let generous = "[throttle]\nburst = 1000000\nper_second = 1000000\n";
    let lockout = "[lockout]\nthreshold = 100\n";
    let gate = Locum::start(&configuration(upstream.address, &format!("{generous}{lockout}{extra}")));
    let ann = gate.add_proxy_user_of("ann");

    let expiring = gate.json_cli(&["pat", "add", "ann-ci", "--service", "short", "--expires", "60s", "--confirm"]);
    let made = Instant::now();
    let expired = expiring["token"].as_str().unwrap().to_owned();
    let revoked = gate.new_pat("ann-ci");
    gate.run_cli(&["pat", "revoke", &revoked.public_id, "--reason", "other"]);
    let pending = gate.json_cli(&["pat", "add", "ann-ci", "--service", "pending"]);
    let asleep = gate.add_proxy_user_of("ben");
    gate.run_cli(&["proxy-user", "inactivate", "ben-ci"]);

    let mut classes = vec![
        Class::new("unknown user", basic("nobody", &ann.guess(1))),
        Class::new("wrong secret", basic("ann-ci", &ann.guess(2))),
        Class::new("unknown token", basic("ann-ci", &asleep_like(&ann.guess(3)))),
        Class::new("revoked", revoked.basic()),
        Class::new("expired", basic("ann-ci", &expired)),
        Class::new("pending", basic("ann-ci", pending["token"].as_str().unwrap())),
        Class::new("inactive", asleep.basic()),
    ];
    std::thread::sleep(Duration::from_secs(61).saturating_sub(made.elapsed()));

    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut stream = locum::connect_from(Ipv4Addr::LOCALHOST.into(), gate.address());
    let mut buffer = vec![0; 16 * 1024];
    let mut alike = None;
    for round in 0..samples() + 20 {
        if round % 10 == 0 {
            let (answer, _) = ask(&mut stream, &ann.basic(), &mut buffer);
            assert!(answer.starts_with("HTTP/1.1 200 "), "a success in between keeps the account from being shut");
        }
        // In an order of its own each round: what one refusal leaves to be done must not always be done during
        // the same next one.
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.shuffle(&mut rand::rng());
        for at in order {
            let class = &mut classes[at];
            let (answer, took) = ask(&mut stream, &class.line, &mut buffer);
            assert!(answer.starts_with("HTTP/1.1 401 "), "{}: {answer}", class.name);
            if round < 20 {
                let likeness = likeness(&answer);
                assert_eq!(&likeness, alike.get_or_insert_with(|| likeness.clone()), "{}", class.name);
            } else {
                class.took_us.push(took.as_secs_f64() * 1e6);
            }
        }
    }
    classes
}

/// A token with a public id that nobody has.
fn asleep_like(token: &str) -> String {
    let body = format!("locum_pat_zzzzzzzzzzzz{}", &token[22..62]);
    format!("{body}{}", locum::checksum(&body))
}

/// The classes that can be told from the first, with their t.
fn told_apart(classes: &[Class]) -> Vec<(&'static str, f64)> {
    let first = trimmed(&classes[0].took_us);
    let mut told = Vec::new();
    for class in classes {
        let sample = trimmed(&class.took_us);
        let mean = sample.iter().sum::<f64>() / sample.len() as f64;
        let t = welch(&first, &sample);
        println!("{:>14}: mean {mean:8.1} µs, t against `{}` {t:6.2}", class.name, classes[0].name);
        if t.abs() >= CRITICAL {
            told.push((class.name, t));
        }
    }
    told
}

/// What one measurement tells apart, a second one has to tell apart in the same direction: a busy machine
/// makes differences, but not the same twice.
fn every_class_takes_the_same_time(extra: &str) {
    let classes = measure(extra);
    let suspected = told_apart(&classes);
    if !suspected.is_empty() {
        let again = told_apart(&measure(extra));
        for (name, t) in suspected {
            let confirmed = again.iter().find(|(class, second)| *class == name && second.signum() == t.signum());
            assert!(
                confirmed.is_none(),
                "`{name}` can be told from `{}`: t = {t:.2}, then {confirmed:?}",
                classes[0].name
            );
        }
    }
    let slower: Vec<f64> = trimmed(&classes[1].took_us).iter().map(|took| took + 1_000.0).collect();
    let t = welch(&trimmed(&classes[0].took_us), &slower);
    assert!(t.abs() > CRITICAL, "a millisecond more would not be seen: t = {t:.2}, so this test shows nothing");
}

/// L4, TI: counted in the store.
#[test]
fn every_failure_takes_the_same_time_in_the_store() {
    every_class_takes_the_same_time("");
}

/// L4, TI: counted in Redis.
#[test]
fn every_failure_takes_the_same_time_in_redis() {
    let redis = Redis::start();
    every_class_takes_the_same_time(&format!("[redis]\nurl = \"{}\"\n", redis.url()));
}
