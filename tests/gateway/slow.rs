//! Clients that hold on to a connection and do little or nothing with it.

use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use locum::server::data_plane::Limits;
use locum::server::entrance::Entrance;

use crate::client::{Client, End};
use crate::frames::{DATA, END_HEADERS, Frames, HEADERS, Outcome, RST_STREAM, SETTINGS, WINDOW_UPDATE, block};
use crate::http2::{head, request, value_of};
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Plan, World};

/// How long a client may take nothing, in these stories.
const TAKES_NOTHING: Duration = Duration::from_secs(2);

fn impatient(upstream: &Upstream) -> World {
    let limits = Limits { stall_timeout: TAKES_NOTHING, ..Limits::default() };
    World::open(&Plan { limits, ..Plan::of(upstream.address) })
}

/// DS-004: whoever asks without end and never reads an answer loses the connection, with no credential too.
#[test]
fn a_client_that_never_reads_its_answers_loses_its_connection() {
    let upstream = Upstream::echo();
    let world = impatient(&upstream);
    let mut client = Client::connect_with_little_room(world.address);
    client.stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
    let questions = "GET /app/x HTTP/1.1\r\nHost: app.test\r\n\r\n".repeat(100);
    let started = Instant::now();
    let why = loop {
        match client.stream.write(questions.as_bytes()) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => break error.kind(),
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it is still held");
    };
    assert!(matches!(why, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{why}");
    assert_eq!(upstream.count(), 0);
}

/// DS-004: a client that is slow, but reads, is given the time it takes.
#[test]
fn a_client_that_reads_slowly_gets_all_of_it() {
    const LENGTH: usize = 24 * 1024 * 1024;
    let upstream = Upstream::start(|_, _| None, |_, stream| respond(stream, "200 OK", &[], &vec![b'x'; LENGTH]));
    let world = impatient(&upstream);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Client::connect_with_little_room(world.address);
    client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    let head = client.head().unwrap();
    for _ in 0..8 {
        std::thread::sleep(TAKES_NOTHING / 4);
        assert!(client.fill());
    }
    let (body, end) = client.body(&head);
    assert_eq!((body.len(), end), (LENGTH, End::Whole));
}

/// DS-005, DS-006: a crowd that says nothing takes its places and no more; whoever comes next waits for one.
#[test]
fn a_crowd_that_says_nothing_takes_no_more_than_its_places() {
    let upstream = Upstream::echo();
    let limits = Limits { connections: 4, ..Limits::default() };
    let world = World::open(&Plan { limits, ..Plan::of(upstream.address) });
    let mut crowd: Vec<_> = (0..16).map(|_| world.client()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let mut late = world.client();
    late.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(upstream.count(), 0, "it was served beside a full house");
    crowd.clear();
    assert_eq!(late.answer().unwrap().status, 200);
}

/// A world in which clients have to move so many bytes a second.
fn at_least(upstream: &Upstream, rate: u32, limit: Duration) -> World {
    let limits = Limits { stall_timeout: limit, min_rate: NonZeroU32::new(rate), ..Limits::default() };
    World::open(&Plan { limits, entrance: Entrance { h2c: true, ..Entrance::default() }, ..Plan::of(upstream.address) })
}

/// DS-004: a body that drips is ended with 408, and its app sees an aborted request.
#[test]
fn a_body_that_drips_is_ended() {
    let upstream = Upstream::echo();
    let world = at_least(&upstream, 10_000, Duration::from_secs(1));
    let mut client = world.client();
    client.send("POST /pub/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\n");
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (started, mut answer) = (Instant::now(), [0; 12]);
    while client.stream.read(&mut answer).is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "it drips on");
        client.send("x");
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());

    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, END_HEADERS, 1, &block(&request("POST", "/app/x", &valid, &[])));
    for _ in 0..60 {
        client.frame(DATA, 0, 1, b"x");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.outcome(1), Outcome::Status(408));
    assert!(upstream.seen().iter().all(|seen| !seen.whole), "an app took a piece for the whole");
}

/// DS-004: an app that does not read is not its client's fault.
#[test]
fn an_app_that_reads_slowly_is_not_blamed_on_its_client() {
    let upstream = Upstream::start(
        |_, _| {
            std::thread::sleep(Duration::from_secs(3));
            None
        },
        |seen, stream| respond(stream, "200 OK", &[], seen.body_length.to_string().as_bytes()),
    );
    let world = at_least(&upstream, 1_000_000, Duration::from_secs(1));
    let body = vec![b'x'; 24 * 1024 * 1024];
    let mut client = world.client();
    client.send(format!("POST /pub/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.text()), (200, body.len().to_string()));
}

/// DS-004: a client that takes an answer more slowly than it may loses its connection, and its app is free; without
/// a rate it may be as slow as it likes.
#[test]
fn a_reader_that_drips_is_ended() {
    const LIMIT: Duration = Duration::from_secs(3);
    let upstream = Upstream::start(|_, _| None, |_, stream| respond(stream, "200 OK", &[], &vec![b'x'; 64 << 20]));
    for (rate, ends) in [(1_000_000, true), (0, false)] {
        let world = at_least(&upstream, rate, LIMIT);
        let billing = world.proxy_user("billing", &["user"]);
        let mut client = Client::connect_with_little_room(world.address);
        client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
        client.head().unwrap();
        let (started, mut piece) = (Instant::now(), [0; 5 * 1024]);
        let mut runs = true;
        while runs && started.elapsed() < LIMIT * 3 {
            std::thread::sleep(Duration::from_millis(50));
            let _as_much_as_there_is = client.stream.read(&mut piece);
            runs = !world.in_flight.is_empty();
        }
        assert_eq!(!runs, ends, "with {rate} bytes a second, after {:?}", started.elapsed());
        assert!(!ends || started.elapsed() >= LIMIT, "{:?}", started.elapsed());
    }
}

/// DS-004, H2-022: windows of a byte, and a piece now and then, are taken for what they are; the connection goes on.
#[test]
fn a_stream_that_is_taken_in_drips_is_reset() {
    let upstream = Upstream::start(|_, _| None, |_, stream| respond(stream, "200 OK", &[], &vec![b'x'; 1 << 20]));
    let world = at_least(&upstream, 100_000, Duration::from_secs(1));
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    for (room, every) in [(1_u32, 50), (16_384, 800)] {
        let mut client = Frames::connect(world.address);
        client.frame(SETTINGS, 0, 0, &[&[0, 4][..], &room.to_be_bytes()].concat());
        client.request(1, &head("GET", "/app/x", &valid));
        assert_eq!(client.outcome(1), Outcome::Status(200));
        let started = Instant::now();
        while !world.in_flight.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(10), "{room} bytes at a time go on for ever");
            client.frame(WINDOW_UPDATE, 0, 1, &room.to_be_bytes());
            std::thread::sleep(Duration::from_millis(every));
        }
        while client.of(1).unwrap().kind != RST_STREAM {}
        client.request(3, &head("GET", "/nowhere", &valid));
        assert_eq!(client.outcome(3), Outcome::Status(404), "the connection goes on");
    }
}

/// DS-004, G12: an answer that is handed on as a whole holds its slot and its clock until the client has taken it, whichever
/// way its length is told.
#[test]
fn a_small_answer_that_nobody_takes_is_not_over() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            if seen.target().ends_with("/chunked") {
                let body = [b"2710\r\n".to_vec(), vec![b'x'; 10_000], b"\r\n0\r\n\r\n".to_vec()].concat();
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                let sent = stream.write_all(&[&head[..], &body].concat());
                return if sent.is_ok() { Next::Open } else { Next::Close };
            }
            respond(stream, "200 OK", &[], &vec![b'x'; 10_000])
        },
    );
    let world = at_least(&upstream, 100_000, Duration::from_secs(1));
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    for path in ["/app/x", "/app/chunked"] {
        let mut client = Frames::connect(world.address);
        client.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]);
        client.request(1, &head("GET", path, &valid));
        assert_eq!(client.outcome(1), Outcome::Status(200));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!world.in_flight.is_empty(), "{path}: the client has taken one byte of it");
        while client.of(1).unwrap().kind != RST_STREAM {}
        client.request(3, &head("GET", "/nowhere", &valid));
        assert_eq!(client.outcome(3), Outcome::Status(404), "the connection goes on");
    }
}

/// DS-004: an app that has nothing to say for long is waited for, and so is its client.
#[test]
fn a_silent_app_is_not_blamed_on_its_client() {
    let upstream = Upstream::start(
        |_, stream| {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while sent.is_ok() {
                sent = stream.write_all(b"5\r\nhello\r\n");
                std::thread::sleep(Duration::from_millis(600));
            }
            Some(Next::Close)
        },
        |_, stream| respond(stream, "200 OK", &[], b"here"),
    );
    let world = at_least(&upstream, 1_000_000, Duration::from_millis(300));
    let valid = world.proxy_user("billing", &["user"]);
    let mut client = Frames::connect(world.address);
    client.request(1, &head("GET", "/app/stream", &value_of(&valid)));
    assert_eq!(client.outcome(1), Outcome::Status(200));
    let mut plain = world.client();
    plain.send(format!("GET /app/stream HTTP/1.1\r\nHost: app.test\r\n{}\r\n", valid.basic()));
    plain.head().unwrap();
    for _ in 0..4 {
        assert_eq!(client.of(1).unwrap().kind, DATA);
        plain.chunk().unwrap();
    }
}
