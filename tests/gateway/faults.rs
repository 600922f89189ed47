//! Apps that fail in every way that an app can fail in.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use locum::gateway::Timeouts;
use socket2::{Domain, Socket, Type};

use crate::client::{Answer, Client, End};
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Credential, Plan, World};

fn get(client: &mut Client, target: &str, credential: &Credential) -> Answer {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{}\r\n", credential.basic()));
    client.answer().expect("there is an answer")
}

/// A loopback address on which nothing listens, and nothing else can, as long as the socket is held.
pub(crate) fn nobody() -> (Socket, SocketAddr) {
    let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = held.local_addr().unwrap().as_socket().unwrap();
    (held, address)
}

const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(500),
    response: Duration::from_millis(300),
    idle: Duration::from_millis(500),
    total: None,
};

/// G8: an app that is not there is a 502, and the client's connection goes on.
#[test]
fn an_app_that_is_not_there_is_a_bad_gateway() {
    let (_held, nobody) = nobody();
    let world = World::before(nobody);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    for _ in 0..3 {
        let answer = get(&mut client, "/app/x", &billing);
        assert_eq!(answer.status, 502);
        assert_eq!(answer.value("content-type"), Some("application/problem+json"));
    }
}

/// G8: while one of two instances is away, every request is answered by the other, bodies included.
#[test]
fn one_instance_stands_in_for_another() {
    let upstream = Upstream::answering(|seen| seen.body.clone());
    let (_held, nobody) = nobody();
    let world = World::open(&Plan { upstreams: vec![nobody, upstream.address], ..Plan::of(upstream.address) });
    let billing = world.proxy_user("billing", &["user"]);
    for _ in 0..10 {
        let mut client = world.client();
        client.send(format!(
            "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 5\r\n\r\nhello",
            billing.basic()
        ));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    }
}

/// G8, DS-007: an app that accepts and never answers is a 504 in time; another app is not held up.
#[test]
fn an_app_that_never_answers_is_a_gateway_timeout() {
    let upstream = Upstream::start(
        |seen, stream| {
            if seen.target() == "/app/never" {
                std::thread::sleep(Duration::from_secs(3));
                return Some(Next::Close);
            }
            Some(respond(stream, "200 OK", &[], b"here"))
        },
        |_, _| Next::Close,
    );
    let world = World::open(&Plan { timeouts: SHORT, ..Plan::of(upstream.address) });
    let billing = world.proxy_user("billing", &["user"]);
    let (mut waiting, mut other) = (world.client(), world.client());
    let started = Instant::now();
    waiting.send(format!("GET /app/never HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    assert_eq!(get(&mut other, "/app/x", &billing).text(), "here");
    assert_eq!(waiting.answer().unwrap().status, 504);
    assert!(started.elapsed() < Duration::from_secs(2));
    // The connection that never answered is not used again.
    assert_eq!(get(&mut waiting, "/app/x", &billing).text(), "here");
}

/// Invariant 10: an answer that breaks off breaks off for the client too, and is never a whole one.
#[test]
fn an_answer_that_breaks_off_is_never_a_whole_one() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            let part: &[u8] = match seen.target().as_str() {
                "/app/length" => b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
                "/app/chunks" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "/app/reset" => {
                    let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
                    return Next::Reset;
                }
                _ => return respond(stream, "200 OK", &[], b"here"),
            };
            let _sent = stream.write_all(part);
            Next::Close
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    for target in ["/app/length", "/app/chunks", "/app/reset"] {
        let mut client = world.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
        if let Some(head) = client.head() {
            if head.status == 502 {
                assert_eq!(target, "/app/reset");
                continue;
            }
            let (_, end) = client.body(&head);
            assert_eq!(end, End::BrokenOff, "{target}");
        }
        assert_eq!(get(&mut world.client(), "/app/x", &billing).text(), "here");
    }
}

/// G8: an app that falls silent in the middle of its answer is given up.
#[test]
fn an_answer_that_falls_silent_is_given_up() {
    let upstream = Upstream::start(
        |_, _| None,
        |_, stream| {
            let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            std::thread::sleep(Duration::from_secs(5));
            Next::Close
        },
    );
    let world = World::open(&Plan { timeouts: SHORT, ..Plan::of(upstream.address) });
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    let started = Instant::now();
    client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    let head = client.head().unwrap();
    assert_eq!(client.body(&head), (b"hello".to_vec(), End::BrokenOff));
    assert!(started.elapsed() < Duration::from_secs(3));
}

/// G8: an upload that moves may take longer than an answer may.
#[test]
fn a_slow_upload_is_not_mistaken_for_a_silent_app() {
    let upstream = Upstream::answering(|seen| seen.body.clone());
    let world = World::open(&Plan { timeouts: SHORT, ..Plan::of(upstream.address) });
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send(format!("POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 10\r\n\r\n", billing.basic()));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        client.send("x");
    }
    assert_eq!(client.answer().unwrap().text(), "xxxxxxxxxx");
}

/// What is no answer at all is a 502, and its connection is not used again (EX-008).
#[test]
fn what_is_no_answer_is_a_bad_gateway() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            let nonsense: &[u8] = match seen.target().as_str() {
                "/app/nonsense" => b"nonsense\r\n\r\n",
                "/app/101" => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                "/app/lengths" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                "/app/nothing" => return Next::Close,
                _ => return respond(stream, "200 OK", &[], b"here"),
            };
            let _sent = stream.write_all(nonsense);
            Next::Open
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    for target in ["/app/nonsense", "/app/101", "/app/lengths", "/app/nothing"] {
        let mut client = world.client();
        assert_eq!(get(&mut client, target, &billing).status, 502, "{target}");
        assert_eq!(get(&mut client, "/app/x", &billing).text(), "here", "{target}");
    }
}

/// EX-003, invariant 10: an answer before the request was whole is passed on, and its connection given up.
#[test]
fn an_early_answer_is_passed_on_and_its_connection_given_up() {
    let upstream = Upstream::start(
        |seen, stream| seen.target().starts_with("/app/early").then(|| respond(stream, "413 Too Large", &[], b"no")),
        |_, stream| respond(stream, "200 OK", &[], b"here"),
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send(format!(
        "POST /app/early HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 1000\r\n\r\nxx",
        billing.basic()
    ));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    let before = upstream.connections();
    assert_eq!(get(&mut world.client(), "/app/x", &billing).text(), "here");
    assert_eq!(upstream.connections(), before + 1);
}

/// 1xx answers are steps on the way, and never the answer.
#[test]
fn informational_answers_are_not_the_answer() {
    let upstream = Upstream::start(
        |_, _| None,
        |_, stream| {
            let _steps = stream.write_all(&b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20));
            respond(stream, "200 OK", &[], b"here")
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "/app/x", &billing).text(), "here");
    }
    assert_eq!(upstream.connections(), 1);
}

/// G8: a connection that the app has closed meanwhile costs no request, with or without a body.
#[test]
fn a_connection_that_was_closed_meanwhile_costs_no_request() {
    let upstream = Upstream::start(
        |_, _| None,
        |_, stream| {
            respond(stream, "200 OK", &[], b"here");
            Next::Close
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    for round in 0..30 {
        let body = if round % 2 == 0 { "" } else { "hello" };
        client.send(format!(
            "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: {}\r\n\r\n{body}",
            billing.basic(),
            body.len()
        ));
        assert_eq!(client.answer().unwrap().text(), "here", "round {round}");
        std::thread::sleep(Duration::from_millis(if round % 10 == 0 { 600 } else { 2 }));
    }
}

/// Two answers on one request: the second is nobody's, and reaches nobody (performance: what is doubtful is closed).
#[test]
fn an_answer_that_nobody_asked_for_reaches_nobody() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            respond(stream, "200 OK", &[], seen.target().as_bytes());
            respond(stream, "200 OK", &[], b"somebody else's")
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    for number in 0..20 {
        let target = format!("/app/{number}");
        let mut client = world.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
        let answer = client.answer().unwrap();
        assert!(answer.status == 502 || answer.text() == target, "{}", answer.text());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What an app says for its own hop is not passed on.
#[test]
fn an_apps_words_for_its_hop_are_not_passed_on() {
    let upstream = Upstream::start(
        |_, _| None,
        |_, stream| {
            let headers =
                [("Connection", "X-Hop, keep-alive"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("X-End", "1")];
            respond(stream, "200 OK", &headers, b"here")
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let answer = get(&mut world.client(), "/app/x", &billing);
    assert_eq!((answer.value("x-hop"), answer.value("keep-alive"), answer.value("x-end")), (None, None, Some("1")));
}

/// G8, EX-007: a thousand steps on the way are no answer, even if one follows; a few are passed over.
#[test]
fn too_many_steps_on_the_way_are_a_bad_gateway() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            let count = seen.target().rsplit('/').next().unwrap().parse().unwrap();
            let sent = stream.write_all(&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(count));
            if sent.is_ok() { respond(stream, "200 OK", &[], b"here") } else { Next::Close }
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    for (count, status) in [(0, 200), (3, 200), (1000, 502), (20, 200)] {
        let answer = get(&mut world.client(), &format!("/app/{count}"), &billing);
        assert_eq!(answer.status, status, "after {count} steps");
    }
}

/// EX-007: an app that never gets beyond steps on the way is given up in time.
#[test]
fn steps_on_the_way_without_end_are_given_up() {
    let upstream = Upstream::start(
        |_, _| None,
        |_, stream| {
            let steps = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
            while stream.write_all(&steps).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Next::Close
        },
    );
    let world = World::open(&Plan { timeouts: SHORT, ..Plan::of(upstream.address) });
    let billing = world.proxy_user("billing", &["user"]);
    let started = Instant::now();
    let answer = get(&mut world.client(), "/app/x", &billing);
    assert!(matches!(answer.status, 502 | 504), "{}", answer.status);
    assert!(started.elapsed() < Duration::from_secs(5));
}
