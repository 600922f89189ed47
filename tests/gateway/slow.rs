//! Clients that hold on to a connection and do nothing with it.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use locum::server::data_plane::Limits;

use crate::client::{Client, End};
use crate::upstream::{Upstream, respond};
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
