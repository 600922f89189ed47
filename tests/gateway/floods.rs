//! Clients of HTTP/2 that make work without asking for anything, or take nothing of what they asked for; and others,
//! who are served meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use locum::server::entrance::Entrance;

use crate::cuts::streaming;
use crate::frames::{ACK, DATA, Frames, Outcome, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame};
use crate::http2::{head, open, value_of};
use crate::upstream::{Upstream, respond};
use crate::world::{Plan, World};

/// More of these than any allowance, so that a gateway that lets them all pass is found out.
const MANY: usize = 30_000;

/// Frames by name, each of which asks for nothing.
fn idle_frames() -> [(&'static str, Vec<u8>); 9] {
    let one = 1_u32.to_be_bytes();
    [
        ("PING", frame(PING, 0, 0, &[7; 8])),
        ("an answer to no PING", frame(PING, ACK, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("SETTINGS of windows", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &one)),
        ("RST_STREAM of what is over", frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())),
        ("frames of no known kind", frame(0xbe, 0, 0, &[])),
        ("DATA of what is over", frame(DATA, 0, 1, b"x")),
    ]
}

/// That somebody else is answered, and in time.
fn others_are_served(address: SocketAddr, authorization: &str) {
    let started = Instant::now();
    let mut client = Frames::connect(address);
    client.request(1, &head("GET", "/app/x", authorization));
    assert_eq!(client.outcome(1), Outcome::Status(200));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// G12, H2-020: frames that ask for nothing have an allowance, whether their answers are read or not; past it the
/// connection ends, and others are served.
#[test]
fn frames_that_ask_for_nothing_end_their_connection() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    for (name, bytes) in idle_frames() {
        let mut client = Frames::connect(world.address);
        client.request(1, &head("GET", "/app/x", &valid));
        assert_eq!(client.outcome(1), Outcome::Status(200), "{name}");
        let many = bytes.repeat(MANY / 10);
        // It may be gone before all was written.
        let _all = (0..10).all(|_| client.send(&many));
        client.request(3, &head("GET", "/app/y", &valid));
        let outcome = client.outcome(3);
        assert!(matches!(outcome, Outcome::Goaway(11) | Outcome::Closed), "{name}: {outcome:?}");
        others_are_served(world.address, &valid);
    }
    assert_eq!(upstream.seen().iter().filter(|seen| seen.target() == "/app/y").count(), 0);
}

/// G12: a client that takes an answer may say so as often as it likes, and ask how far the server is; one that asks
/// again and again may say with each request what that is worth.
#[test]
fn a_client_at_work_is_no_flood() {
    const LENGTH: usize = 24 << 20;
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            let length = if seen.target() == "/app/large" { LENGTH } else { 1 };
            respond(stream, "200 OK", &[], &vec![b'x'; length])
        },
    );
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut client = Frames::connect(world.address);
    client.request(1, &head("GET", "/app/large", &valid));
    assert_eq!(client.outcome(1), Outcome::Status(200));
    let (mut got, mut frames) = (0, 0);
    while got < LENGTH {
        let data = client.of(1).unwrap();
        assert_eq!(data.kind, DATA, "{data:?} after {got} bytes");
        got += data.payload.len();
        let half = u32::try_from(data.payload.len() / 2 + 1).unwrap().to_be_bytes();
        // Twice for the stream and twice for the connection, as who reads in small steps does; and a PING.
        let answers = [1, 0, 1, 0].map(|stream| frame(WINDOW_UPDATE, 0, stream, &half)).concat();
        client.send(&[answers, frame(PING, 0, 0, &[7; 8])].concat());
        frames += 5;
    }
    assert!(frames > 5_000, "{frames} frames are no proof");

    let mut client = Frames::connect(world.address);
    for stream in (1..1_201).step_by(2) {
        client.frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 16]);
        client.request(stream, &head("GET", "/app/x", &valid));
        client.frame(WINDOW_UPDATE, 0, stream, &1_000_u32.to_be_bytes());
        client.frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 32]);
        assert_eq!(client.outcome(stream), Outcome::Status(200), "{stream}");
    }
}

/// H2-022, DS-007: four clients with a hundred streams each, of which they take nothing, keep nobody out, neither while
/// they may stand still nor afterwards; then their streams end, and the app is free of them.
#[test]
fn streams_of_which_nothing_is_taken_keep_nobody_out() {
    let upstream = streaming();
    let mut plan = Plan { entrance: Entrance { h2c: true, ..Entrance::default() }, ..Plan::of(upstream.address) };
    plan.limits.stall_timeout = Duration::from_secs(3);
    let world = World::open(&plan);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let other = value_of(&world.proxy_user("orders", &["user"]));
    let mut clients: Vec<_> = (0..4).map(|_| Frames::connect(world.address)).collect();
    for client in &mut clients {
        // No window at all; so the heads of answers come, and nothing of their bodies.
        client.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        for stream in (1..201).step_by(2) {
            client.request(stream, &head("GET", "/app/stream", &valid));
        }
    }
    for client in &mut clients {
        for stream in (1..201).step_by(2) {
            assert_eq!(client.outcome(stream), Outcome::Status(200), "{stream}");
        }
        client.request(201, &head("GET", "/app/x", &valid));
        assert_eq!(client.outcome(201), Outcome::Reset(7), "one more than a hundred is refused");
    }
    assert_eq!(world.in_flight.len(), 400);
    for _ in 0..20 {
        others_are_served(world.address, &other);
    }
    for client in &mut clients {
        for stream in (1..201).step_by(2) {
            assert_eq!(client.of(stream).unwrap().kind, RST_STREAM, "{stream}");
        }
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while !world.in_flight.is_empty() {
        assert!(Instant::now() < deadline, "{} still run", world.in_flight.len());
        std::thread::sleep(Duration::from_millis(10));
    }
    others_are_served(world.address, &other);
}

/// DS-004, H2-022: clients that ask and read nothing at all, neither frames nor bytes, keep nobody out and end.
#[test]
fn clients_that_read_nothing_at_all_keep_nobody_out() {
    let upstream = Upstream::start(|_, _| None, |_, stream| respond(stream, "200 OK", &[], &vec![b'x'; 4 << 20]));
    let mut plan = Plan { entrance: Entrance { h2c: true, ..Entrance::default() }, ..Plan::of(upstream.address) };
    plan.limits.stall_timeout = Duration::from_secs(2);
    let world = World::open(&plan);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let other = value_of(&world.proxy_user("orders", &["user"]));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Frames::connect(world.address);
            // All the window that there can be: what stops the answers is that the bytes are not read.
            client.frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
            client.frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
            for stream in (1..201).step_by(2) {
                client.request(stream, &head("GET", "/app/x", &valid));
            }
            client
        })
        .collect();
    let small = |authorization: &str| {
        let mut client = Frames::connect(world.address);
        client.request(1, &head("GET", "/pub/none", authorization)[..4]);
        assert_eq!(client.outcome(1), Outcome::Status(200));
    };
    let begun = Instant::now();
    while world.in_flight.len() < 100 {
        assert!(begun.elapsed() < Duration::from_secs(20), "only {} run", world.in_flight.len());
        std::thread::sleep(Duration::from_millis(5));
    }
    let started = Instant::now();
    while !world.in_flight.is_empty() || started.elapsed() < Duration::from_millis(500) {
        small(&other);
        assert!(started.elapsed() < Duration::from_secs(20), "{} still run", world.in_flight.len());
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(clients);
}

/// G12: who says goodbye to a hundred streams that it has begun, in good order, is no flood either.
#[test]
fn leaving_a_few_streams_is_no_flood() {
    let upstream = streaming();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut client = Frames::connect(world.address);
    for stream in (1..201).step_by(2) {
        client.request(stream, &head("GET", "/app/stream", &valid));
        assert_eq!(client.outcome(stream), Outcome::Status(200), "{stream}");
        client.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }
    client.request(201, &head("GET", "/app/x", &valid));
    assert_eq!(client.outcome(201), Outcome::Status(200));
}
