//! Bodies both ways, of any size, and connections that are used again.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::{Client, End};
use crate::upstream::{Next, Upstream, respond};
use crate::world::World;

const MEBI: usize = 1024 * 1024;
/// More than the kernel's buffers on the way take, and far less than is offered.
const KERNELS: usize = 80 * MEBI;
const OFFERED: usize = 128 * MEBI;

fn piece(number: usize) -> Vec<u8> {
    (0..64 * 1024_usize).map(|at| (at + number * 7).to_le_bytes()[0]).collect()
}

/// G1: 64 MiB each way arrive whole.
#[test]
fn a_large_body_arrives_whole_both_ways() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body_length);
            let mut sent = stream.write_all(head.as_bytes());
            for number in 0..seen.body_length / (64 * 1024) {
                sent = sent.and_then(|()| stream.write_all(&piece(number)));
            }
            if sent.is_ok() { Next::Open } else { Next::Close }
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let pieces = 64 * MEBI / (64 * 1024);
    let mut sum = 0_u64;
    let mut client = world.client();
    client.send(format!(
        "PUT /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: {}\r\n\r\n",
        billing.basic(),
        64 * MEBI
    ));
    for number in 0..pieces {
        let piece = piece(number);
        sum = piece.iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)));
        assert!(client.send(&piece));
    }
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 64 * MEBI));
    assert!((0..pieces).all(|number| answer.body[number * 64 * 1024..][..64 * 1024] == piece(number)));
    let seen = upstream.last();
    assert_eq!((seen.body_length, seen.body_sum, seen.whole), (64 * MEBI, sum, true));
}

/// G1: behind an app that does not read, what is taken from the client comes to a stop.
#[test]
fn nothing_piles_up_before_an_app_that_does_not_read() {
    let (release, waiting) = mpsc::channel::<()>();
    let waiting = Mutex::new(waiting);
    let upstream = Upstream::start(
        move |_, _| {
            let _released = waiting.lock().unwrap().recv();
            Some(Next::Close)
        },
        |_, _| Next::Close,
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    client.send(format!(
        "PUT /app/up HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: {OFFERED}\r\n\r\n",
        billing.basic()
    ));
    let (mut taken, chunk) = (0_usize, piece(1));
    let stopped = loop {
        match client.stream.write(&chunk) {
            Ok(written) => taken += written,
            Err(error) => break error.kind(),
        }
        assert!(taken < KERNELS, "{taken} bytes were taken from the client");
    };
    assert!(matches!(stopped, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stopped:?}");
    drop(release);
}

/// G1: before a client that does not read, what is taken from the app comes to a stop, and goes on.
#[test]
fn nothing_piles_up_behind_a_client_that_does_not_read() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::start(
        |_, _| None,
        move |_, stream| {
            let mut sent = stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {OFFERED}\r\n\r\n").as_bytes());
            for _ in 0..OFFERED / (64 * 1024) {
                sent = sent.and_then(|()| stream.write_all(&piece(1)));
                count.fetch_add(64 * 1024, Ordering::SeqCst);
            }
            if sent.is_ok() { Next::Open } else { Next::Close }
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Client::connect_with_little_room(world.address);
    client.send(format!("GET /app/down HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    let head = client.head().unwrap();
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = written.load(Ordering::SeqCst);
        assert!(now < KERNELS, "{now} bytes were taken from the app");
        if now == std::mem::replace(&mut before, now) && now > 0 {
            break;
        }
    }
    let (body, end) = client.body(&head);
    assert_eq!((body.len(), end), (OFFERED, End::Whole));
}

/// G1: each event arrives when it is sent, long before the answer ends.
#[test]
fn events_arrive_one_by_one() {
    let (tell, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(
        |_, _| None,
        move |_, stream| {
            let _head = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
            let told = told.lock().unwrap();
            for number in 0..5 {
                let _event = stream.write_all(format!("9\r\ndata: {number}\n\n\r\n").as_bytes());
                // The next event is sent only when the client has seen this one.
                if told.recv_timeout(Duration::from_secs(20)).is_err() {
                    return Next::Close;
                }
            }
            let _end = stream.write_all(b"0\r\n\r\n");
            Next::Open
        },
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send(format!("GET /app/events HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    let head = client.head().unwrap();
    assert_eq!(head.value("content-type"), Some("text/event-stream"));
    for number in 0..5 {
        assert_eq!(client.chunk().unwrap(), format!("data: {number}\n\n").as_bytes());
        tell.send(()).unwrap();
    }
    assert_eq!(client.chunk().unwrap(), b"");
    assert!(client.is_open());
}

/// G8, invariant 10: connections to an app are used again, one after the other.
#[test]
fn connections_to_an_app_are_used_again() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    for number in 0..50 {
        let (method, body) = if number % 2 == 0 { ("GET", "") } else { ("POST", "hello") };
        client.send(format!(
            "{method} /app/{number} HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: {}\r\n\r\n{body}",
            billing.basic(),
            body.len()
        ));
        assert_eq!(client.answer().unwrap().text(), format!("/app/{number}"));
    }
    assert_eq!(upstream.count(), 50);
    assert!(upstream.connections() <= 2, "{} connections", upstream.connections());
}

/// G1: a chunked upload stays one, its trailers go nowhere, and one framing arrives (TR-001).
#[test]
fn a_chunked_upload_arrives_without_its_trailers() {
    let upstream = Upstream::answering(|seen| seen.body.clone());
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send(format!(
        "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Transfer-Encoding: chunked\r\nTrailer: X-Locum-User\r\n\r\n\
         5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Locum-User: admin\r\nContent-Length: 3\r\nAuthorization: Basic YTpi\r\nHost: evil.test\r\n\r\n",
        billing.basic()
    ));
    assert_eq!(client.answer().unwrap().text(), "hello!");
    let seen = upstream.last();
    assert_eq!(seen.values("transfer-encoding"), ["chunked"]);
    assert_eq!(seen.value("X-Locum-User").as_deref(), Some("billing"));
    assert_eq!(seen.value("Host").as_deref(), Some("app.test"));
    assert_eq!(seen.value("Trailer"), None);
}

/// G1: what has no body has none, and its length is the app's to say.
#[test]
fn answers_without_a_body_have_none() {
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| match seen.target().as_str() {
            "/app/204" => {
                let sent = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                if sent.is_ok() { Next::Open } else { Next::Close }
            }
            "/app/304" => {
                let sent = stream.write_all(b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n");
                if sent.is_ok() { Next::Open } else { Next::Close }
            }
            "/app/head" => {
                let sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
                if sent.is_ok() { Next::Open } else { Next::Close }
            }
            _ => respond(stream, "200 OK", &[], b"plain"),
        },
    );
    let world = World::before(upstream.address);
    let v = world.proxy_user("billing", &["user"]).basic();
    let mut client = world.client();
    for _ in 0..2 {
        client.send(format!("GET /app/204 HTTP/1.1\r\nHost: app.test\r\n{v}\r\n"));
        assert_eq!(client.answer().unwrap().status, 204);
        client.send(format!("GET /app/304 HTTP/1.1\r\nHost: app.test\r\n{v}\r\n"));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.value("etag")), (304, Some("\"a\"")));
        client.send(format!("HEAD /app/head HTTP/1.1\r\nHost: app.test\r\n{v}\r\n"));
        let answer = client.head().unwrap();
        assert_eq!((answer.status, answer.value("content-length")), (200, Some("1234")));
        client.send(format!("GET /app/plain HTTP/1.1\r\nHost: app.test\r\n{v}\r\n"));
        assert_eq!(client.answer().unwrap().text(), "plain");
    }
    assert_eq!(upstream.connections(), 1);
}

/// EX-002, invariant 9: the client is asked for its body only once it may send it.
#[test]
fn a_waiting_client_is_asked_for_its_body_after_the_decision() {
    let upstream = Upstream::answering(|seen| seen.body.clone());
    let world = World::before(upstream.address);
    let v = world.proxy_user("billing", &["user"]).basic();
    let mut client = world.client();
    client.send(format!(
        "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{v}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));
    assert_eq!(client.head().unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.answer().unwrap().text(), "hello");
    assert_eq!(upstream.last().value("Expect"), None);

    let mut client = world.client();
    client.send("POST /app/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 401);
    assert_eq!(upstream.count(), 1);
}

/// An HTTP/1.0 client gets an answer whose end is the end of the connection.
#[test]
fn an_old_client_is_served_and_its_connection_closed() {
    let upstream = Upstream::start(
        |_, _| None,
        |_, stream| {
            let _sent =
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
            Next::Open
        },
    );
    let world = World::before(upstream.address);
    let v = world.proxy_user("billing", &["user"]).basic();
    let mut client = world.client();
    client.send(format!("GET /app/x HTTP/1.0\r\nHost: app.test\r\n{v}\r\n"));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert!(upstream.last().request_line().ends_with("HTTP/1.1"));
}

/// H1-034: a client that breaks off leaves the app with a broken request, never a whole one.
#[test]
fn a_broken_off_upload_is_never_a_whole_one() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let v = world.proxy_user("billing", &["user"]).basic();
    for framing in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let before = upstream.count();
        let mut client = world.client();
        client.send(format!("POST /app/x HTTP/1.1\r\nHost: app.test\r\n{v}{framing}"));
        let started = Instant::now();
        while upstream.connections() == before && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(client);
        let seen = upstream.wait_for(|seen| seen.len() > before);
        assert!(!seen[before].whole);
    }
}
