//! What runs ends when the access does (R2, R3), and nothing more is accepted afterwards.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Client, End};
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Credential, World};

/// How long after the change what runs may still run.
const BOUND: Duration = Duration::from_secs(2);

/// An app whose `/app/stream` sends a chunk every few milliseconds without end.
pub(crate) fn streaming() -> Upstream {
    Upstream::start(
        |seen, stream| {
            if seen.target() != "/app/stream" {
                return None;
            }
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while sent.is_ok() {
                sent = stream.write_all(b"5\r\nhello\r\n");
                std::thread::sleep(Duration::from_millis(5));
            }
            Some(Next::Close)
        },
        |_, stream| respond(stream, "200 OK", &[], b"here"),
    )
}

fn open_stream(world: &World, credential: &Credential) -> Client {
    let mut client = world.client();
    client.send(format!("GET /app/stream HTTP/1.1\r\nHost: app.test\r\n{}\r\n", credential.basic()));
    assert_eq!(client.head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap(), b"hello");
    client
}

/// Reads to the end of a stream that has to break off.
fn runs_out(client: &mut Client) -> Duration {
    let started = Instant::now();
    while let Some(chunk) = client.chunk() {
        assert!(!chunk.is_empty(), "a stream that was cut came to a clean end");
        assert!(started.elapsed() < BOUND * 5, "it was never cut");
    }
    started.elapsed()
}

/// RV-022, R3: a running answer is cut when its token is revoked, and not when another is.
#[test]
fn a_running_answer_is_cut_on_revocation() {
    let upstream = streaming();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let spare = world.token("billing", locum::directory::Restrictions::default());
    let other = world.proxy_user("orders", &["user"]);
    let (mut cut, mut kept, mut others) =
        (open_stream(&world, &billing), open_stream(&world, &spare), open_stream(&world, &other));
    world.revoke(&billing);
    assert!(runs_out(&mut cut) < BOUND);
    for client in [&mut kept, &mut others] {
        for _ in 0..20 {
            assert_eq!(client.chunk().unwrap(), b"hello");
        }
    }
    let mut client = world.client();
    client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    assert_eq!(client.answer().unwrap().status, 401);
}

/// P13, R3: inactivating an owner cuts what its proxy users run.
#[test]
fn inactivating_an_owner_cuts_its_proxy_users() {
    let upstream = streaming();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut stream = open_stream(&world, &billing);
    world.inactivate_owner_of(&billing);
    assert!(runs_out(&mut stream) < BOUND);
}

/// R3: a running upload is cut, and the app never takes it for a whole one.
#[test]
fn a_running_upload_is_cut_on_revocation() {
    let upstream = streaming();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client
        .send(format!("POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 1000000\r\n\r\n", billing.basic()));
    client.send("hello");
    let started = Instant::now();
    while upstream.connections() == 0 {
        assert!(started.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    world.revoke(&billing);
    let seen = upstream.wait_for(|seen| !seen.is_empty());
    assert!(!seen[0].whole);
    let status = client.answer().map(|answer| answer.status);
    assert!(matches!(status, None | Some(401)), "{status:?}");
}

/// R3: a request that waits for its answer is refused when its token is revoked meanwhile.
#[test]
fn a_waiting_request_is_refused_on_revocation() {
    let upstream = Upstream::start(
        |_, _| {
            std::thread::sleep(Duration::from_secs(5));
            Some(Next::Close)
        },
        |_, _| Next::Close,
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    let started = Instant::now();
    while upstream.connections() == 0 {
        assert!(started.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    world.revoke(&billing);
    let started = Instant::now();
    assert_eq!(client.answer().unwrap().status, 401);
    assert!(started.elapsed() < BOUND);
}

/// R2: once the revocation has returned, no request that starts later is let in, on any connection.
#[test]
fn nothing_is_accepted_after_the_revocation_returned() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let request = format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic());
    for _ in 0..3 {
        let fresh = world.token("billing", locum::directory::Restrictions::default());
        let request = request.replace(&billing.basic(), &fresh.basic());
        let (revoked, let_in) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let hammers: Vec<_> = (0..4)
            .map(|_| {
                let (mut client, request, revoked) = (world.client(), request.clone(), Arc::clone(&revoked));
                let let_in = Arc::clone(&let_in);
                let address = world.address;
                std::thread::spawn(move || {
                    for _ in 0..100_000 {
                        let after = revoked.load(Ordering::SeqCst);
                        client.send(&request);
                        let Some(head) = client.head() else { panic!("a refusal closes no connection") };
                        if head.status == 401 {
                            return;
                        }
                        assert_eq!(head.status, 200);
                        assert!(!after, "accepted after the revocation returned");
                        match client.body(&head) {
                            (_, End::Whole) => drop(let_in.fetch_add(1, Ordering::SeqCst)),
                            // It was running when the access was withdrawn.
                            (_, End::BrokenOff) => client = Client::connect(address),
                        }
                    }
                    panic!("it was never refused");
                })
            })
            .collect();
        let deadline = Instant::now() + Duration::from_secs(20);
        while let_in.load(Ordering::SeqCst) < 40 {
            assert!(Instant::now() < deadline, "nothing was let in before");
            std::thread::sleep(Duration::from_millis(5));
        }
        world.revoke(&fresh);
        revoked.store(true, Ordering::SeqCst);
        for hammer in hammers {
            hammer.join().unwrap();
        }
    }
}

/// R3: a client that does not read cannot keep what was cut: its connection ends, and the app's too.
#[test]
fn a_client_that_does_not_read_cannot_keep_what_was_cut() {
    let ended = Arc::new(AtomicBool::new(false));
    let seen_end = Arc::clone(&ended);
    let upstream = Upstream::start(
        move |_, stream| {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 8192]);
            }
            seen_end.store(true, Ordering::SeqCst);
            Some(Next::Close)
        },
        |_, _| Next::Close,
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Client::connect_with_little_room(world.address);
    client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    assert_eq!(client.head().unwrap().status, 200);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(world.in_flight.len(), 1);
    world.revoke(&billing);
    let started = Instant::now();
    while !(world.in_flight.is_empty() && ended.load(Ordering::SeqCst)) {
        assert!(started.elapsed() < BOUND, "{} still run", world.in_flight.len());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What has ended has left the register, whatever the way it ended.
#[test]
fn what_has_ended_has_left_the_register() {
    let upstream = streaming();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    assert_eq!(client.answer().unwrap().status, 200);
    client.send(format!("GET /admin/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    assert_eq!(client.answer().unwrap().status, 403);
    let left = open_stream(&world, &billing);
    assert_eq!(world.in_flight.len(), 1);
    drop(left);
    let started = Instant::now();
    while !world.in_flight.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "{} left", world.in_flight.len());
        std::thread::sleep(Duration::from_millis(5));
    }
}
