//! Callers who try to make an app seem to be ill, so that it is shut for others.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Response;
use locum::gateway::{HealthCheck, Outlier, Resilience, Resolver, Timeouts, TransportSettings};
use locum::server::entrance::Entrance;

use crate::failing_apps::{SOON_OUT, Switch, ask, eventually, plan, send, with_name};
use crate::faults::nobody;
use crate::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, block};
use crate::h2_app::H2App;
use crate::upstream::{Upstream, respond};
use crate::world::{Credential, Plan, World};

fn resilience(outlier: Outlier) -> Resilience {
    Resilience { outlier, ..Resilience::default() }
}

fn of_http2(apps: &[SocketAddr], resilience: Resilience) -> Plan {
    let entrance = Entrance { h2c: true, ..Entrance::default() };
    let transport = TransportSettings { tls: None, http2: true };
    Plan { upstreams: apps.to_vec(), entrance, transport, resilience, ..Plan::of(apps[0]) }
}

/// Answers `/app/slow` after two seconds, `/app/bad` with 504, and whatever else at once.
fn with_pages() -> Upstream {
    Upstream::start(
        |_, _| None,
        |seen, stream| {
            if seen.target() == "/app/slow" {
                std::thread::sleep(Duration::from_secs(2));
            }
            let status = if seen.target() == "/app/bad" { "504 Gateway Timeout" } else { "200 OK" };
            respond(stream, status, &[], b"here")
        },
    )
}

/// Every one of these is asked, and all is well.
fn all_are_asked(world: &World, apps: &[Upstream], billing: &Credential) {
    let before: Vec<usize> = apps.iter().map(Upstream::count).collect();
    for _ in 0..20 {
        assert_eq!(send(&mut world.client(), "GET", "/app/x", billing).status, 200);
    }
    let after: Vec<usize> = apps.iter().map(Upstream::count).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| after > before), "{before:?}, {after:?}");
}

/// TR-003, G8: trailers that the gateway refuses are the client's fault, and say nothing of the app.
#[test]
fn trailers_that_are_refused_say_nothing_of_the_app() {
    let (old, new) = (Upstream::echo(), H2App::echo());
    for (address, http2) in [(old.address, false), (new.address, true)] {
        let plan = of_http2(&[address], resilience(Outlier { failures: 1, ..SOON_OUT }));
        let world = World::open(&Plan { transport: TransportSettings { tls: None, http2 }, ..plan });
        let head = [(":method", "POST"), (":scheme", "http"), (":authority", "app.test"), (":path", "/pub/x")];
        for _ in 0..6 {
            let mut client = Frames::connect(world.address);
            client.frame(HEADERS, END_HEADERS, 1, &block(&head));
            client.frame(DATA, 0, 1, b"hello");
            let large = block(&[("x-a", &"a".repeat(9_000)), ("x-b", &"b".repeat(9_000))]);
            let (first, rest) = large.split_at(16_000);
            client.frame(HEADERS, END_STREAM, 1, first);
            client.frame(CONTINUATION, END_HEADERS, 1, rest);
            assert_eq!(client.outcome(1), Outcome::Status(400));
        }
        let mut client = world.client();
        client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 200, "http2: {http2}");
    }
}

/// G8, DS-007: pages that take too long shut an app for nobody, as long as others are answered; with one instance and
/// with two.
#[test]
fn pages_that_take_too_long_shut_no_app_for_others() {
    for count in [1, 2] {
        let apps: Vec<_> = (0..count).map(|_| with_pages()).collect();
        let timeouts = Timeouts { response: Duration::from_millis(1_200), ..Timeouts::default() };
        let plan = plan(&apps.iter().collect::<Vec<_>>(), resilience(SOON_OUT));
        let world = World::open(&Plan { timeouts, ..plan });
        let billing = world.proxy_user("billing", &["user"]);
        let mut slow: Vec<_> = (0..8).map(|_| ask(&world, "app.test", "/app/slow", &billing)).collect();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(1_500) {
            assert_eq!(send(&mut world.client(), "GET", "/app/x", &billing).status, 200);
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(slow.iter_mut().all(|client| client.answer().unwrap().status == 504));
        all_are_asked(&world, &apps, &billing);
    }
}

/// G8: a page that always fails takes out no instance that answers others well.
#[test]
fn a_page_that_always_fails_takes_out_no_instance() {
    let apps = [with_pages(), with_pages()];
    let world = World::open(&plan(&apps.each_ref(), resilience(Outlier::default())));
    let billing = world.proxy_user("billing", &["user"]);
    for _ in 0..6 {
        let mut bad: Vec<_> = (0..5).map(|_| ask(&world, "app.test", "/app/bad", &billing)).collect();
        assert!(bad.iter_mut().all(|client| client.answer().unwrap().status == 504));
        all_are_asked(&world, &apps, &billing);
    }
}

/// G8: a time for everything that the client has used up itself says nothing of the app.
#[test]
fn a_time_that_the_client_used_up_says_nothing_of_the_app() {
    let apps: [_; 2] = std::array::from_fn(|_| {
        Upstream::start(
            |_, _| None,
            |seen, stream| {
                std::thread::sleep(Duration::from_millis(if seen.body_length > 0 { 500 } else { 0 }));
                respond(stream, "200 OK", &[], b"here")
            },
        )
    });
    let timeouts = Timeouts { total: Some(Duration::from_millis(1_300)), ..Timeouts::default() };
    let world = World::open(&Plan { timeouts, ..plan(&apps.each_ref(), resilience(SOON_OUT)) });
    let billing = world.proxy_user("billing", &["user"]);
    let mut clients: Vec<_> = (0..12).map(|_| world.client()).collect();
    for client in &mut clients {
        client.send(format!("POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 2\r\n\r\na", billing.basic()));
    }
    std::thread::sleep(Duration::from_secs(1));
    for client in &mut clients {
        assert!(client.send("b"));
    }
    assert!(clients.iter_mut().all(|client| client.answer().unwrap().status == 504));
    all_are_asked(&world, &apps, &billing);
}

/// G8, DS-007: an app that cannot be reached is answered for at once; when it is back it is found within seconds, though
/// the first that is let through stands still in the middle of what it sends.
#[test]
fn an_app_that_is_away_is_answered_for_at_once_and_found_whoever_tries_first() {
    let app = Upstream::echo();
    let (_held, nobody) = nobody();
    let known = Arc::new(Mutex::new(vec![nobody]));
    let knowing = Arc::clone(&known);
    let resolver = Resolver::new(Duration::from_millis(50), move |_name| {
        let known = knowing.lock().unwrap().clone();
        Box::pin(async move { Ok(known) })
    });
    let base = Duration::from_secs(1);
    let resilience = resilience(Outlier { base, ..SOON_OUT });
    let world = World::open(&Plan { resilience, ..with_name(&app, "app.internal", resolver) });
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    for _ in 0..SOON_OUT.failures {
        assert_eq!(send(&mut client, "GET", "/app/x", &billing).status, 502);
    }
    let answer = send(&mut client, "GET", "/app/x", &billing);
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("not-available") && answer.value("retry-after").is_some(), "{}", answer.text());
    *known.lock().unwrap() = vec![app.address];
    std::thread::sleep(base + Duration::from_millis(200));
    let mut dripping = world.client();
    dripping
        .send(format!("POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 100\r\n\r\nhalf", billing.basic()));
    eventually(|| app.connections() == 1);
    let started = Instant::now();
    eventually(|| send(&mut world.client(), "GET", "/app/x", &billing).status == 200);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(send(&mut client, "GET", "/app/x", &billing).status, 200);
}

/// G8: a connection of HTTP/2 that breaks is one failure, however many requests were on it.
#[test]
fn a_connection_that_breaks_is_one_failure_however_many_shared_it() {
    let slow = Switch::default();
    slow.set(true);
    let apps: [_; 2] = std::array::from_fn(|_| {
        let slow = slow.clone();
        H2App::start(100, move |request, mut respond| {
            let slow = slow.clone();
            async move {
                while request.uri().path() == "/app/slow" && slow.is_on() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                // The connection may be gone.
                let _sent = respond.send_response(Response::new(()), true);
            }
        })
    });
    let world = World::open(&of_http2(&apps.each_ref().map(|app| app.address), resilience(SOON_OUT)));
    let billing = world.proxy_user("billing", &["user"]);
    let mut clients: Vec<_> = (0..20).map(|_| ask(&world, "app.test", "/app/slow", &billing)).collect();
    eventually(|| apps.iter().map(|app| app.seen().len()).sum::<usize>() == 20);
    assert!(apps[0].seen().len() >= 6);
    std::thread::sleep(Duration::from_millis(1_100));
    apps[0].cut();
    eventually(|| apps[0].open() == 0);
    std::thread::sleep(Duration::from_millis(100));
    slow.set(false);
    assert!(clients.iter_mut().all(|client| matches!(client.answer().unwrap().status, 200 | 502)));
    let before = apps[0].seen().len();
    for _ in 0..8 {
        assert_eq!(send(&mut world.client(), "GET", "/app/x", &billing).status, 200);
    }
    assert!(apps[0].seen().len() > before, "it was left alone");
}

/// G8: each check of an app of HTTP/2 opens a connection of its own, and leaves none behind.
#[test]
fn a_check_of_an_app_of_http2_opens_a_connection_of_its_own() {
    let app = H2App::echo();
    let check = HealthCheck {
        path: "/healthz".parse().unwrap(),
        host: None,
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(2),
        healthy_after: 1,
        unhealthy_after: 1,
        status: (200, 299),
    };
    let health = Resilience { health_check: Some(check), ..Resilience::default() };
    let world = World::open(&of_http2(&[app.address], health));
    eventually(|| app.seen().len() >= 20);
    // A check may be on its way.
    assert!(app.made() + 1 >= app.seen().len() && app.made() >= 20, "{} connections", app.made());
    eventually(|| app.open() == 0);
    let mut client = world.client();
    client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
}
