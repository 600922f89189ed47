//! As many connections to apps as there may be, and those that are kept though nobody asks for them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use locum::gateway::{AppConnections, Timeouts};

use crate::client::Client;
use crate::upstream::{Upstream, respond};
use crate::world::{Credential, Plan, World};

/// An app that answers `/slow` only when the gate of it is opened.
fn gated() -> (Upstream, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::start(
        |_, _| None,
        move |seen, stream| {
            while seen.target() == "/slow" && !opened.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            respond(stream, "200 OK", &[], b"here")
        },
    );
    (upstream, gate)
}

fn ask(world: &World, host: &str, target: &str, credential: &Credential) -> Client {
    let mut client = world.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", credential.basic()));
    client
}

/// G12, DS-005: as many connections to apps as there may be are taken from what is kept idle, and not from
/// each other: one request more is told to come again, and finds room when others have ended.
#[test]
fn idle_connections_give_way_and_one_request_too_many_is_told_to_come_again() {
    let (upstream, gate) = gated();
    let timeouts = Timeouts { connect: Duration::from_secs(1), ..Timeouts::default() };
    let app_connections = AppConnections::up_to(3);
    let world = World::open(&Plan { timeouts, app_connections, ..Plan::of(upstream.address) });
    let billing = world.proxy_user("billing", &["user"]);
    // Kept for two apps, by whichever cores had them.
    for host in ["owned.test", "one.secret.test"] {
        assert_eq!(ask(&world, host, "/x", &billing).answer().unwrap().status, 200);
    }
    let mut slow: Vec<_> = (0..3).map(|_| ask(&world, "proxied.test", "/slow", &billing)).collect();
    upstream.wait_for(|seen| seen.iter().filter(|seen| seen.target() == "/slow").count() == 3);
    assert_eq!(upstream.connections(), 5, "the idle ones were of other apps");

    for (host, target) in [("proxied.test", "/slow"), ("owned.test", "/x")] {
        let mut more = ask(&world, host, target, &billing);
        let refused = more.answer().unwrap();
        assert_eq!((refused.status, refused.value("retry-after")), (503, Some("1")), "{}", refused.text());
        assert!(refused.text().contains("too-busy"), "{}", refused.text());
        assert!(more.is_open(), "the connection of the client has to go on");
    }
    assert_eq!(upstream.connections(), 5);

    gate.store(true, Ordering::SeqCst);
    for running in &mut slow {
        assert_eq!(running.answer().unwrap().status, 200);
    }
    for host in ["owned.test", "one.secret.test", "proxied.test", "app.test"].repeat(3) {
        let target = if host == "app.test" { "/app/x" } else { "/x" };
        assert_eq!(ask(&world, host, target, &billing).answer().unwrap().status, 200, "{host}");
    }
}

/// G8: a connection to an app that is used by nobody is closed after its time, although nobody asks that app.
#[test]
fn an_idle_connection_is_closed_though_nobody_asks() {
    const KEPT_FOR: Duration = Duration::from_millis(400);
    let app = TcpListener::bind("127.0.0.1:0").unwrap();
    let app_connections = AppConnections::up_to(16).kept_for(KEPT_FOR);
    let world = World::open(&Plan { app_connections, ..Plan::of(app.local_addr().unwrap()) });
    let mut client = world.client();
    client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let (mut stream, _) = app.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "no request came");
        head.extend_from_slice(&piece[..read]);
    }
    let answered = Instant::now();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "something came that nobody asked for");
    assert!(answered.elapsed() >= KEPT_FOR, "it was not kept: {:?}", answered.elapsed());
    assert!(client.is_open());
}
