//! More requests than may run at once: who is turned away, who is not, and when there is room again.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use locum::gateway::SlotSettings;
use locum::server::entrance::Entrance;

use crate::client::{Answer, Client};
use crate::cuts::streaming;
use crate::frames::{Frames, Outcome, RST_STREAM};
use crate::http2::{head, value_of};
use crate::tunnels::{echoing, wait_until};
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Credential, Plan, World};

/// An app that answers what ends in `slow` only when the gate of it is opened.
fn gated() -> (Upstream, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::start(
        |_, _| None,
        move |seen, stream| {
            while seen.target().ends_with("slow") && !opened.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            respond(stream, "200 OK", &[], b"here")
        },
    );
    (upstream, gate)
}

fn world(upstream: &Upstream, requests: usize, reserved_percent: u8) -> World {
    let slots = SlotSettings { requests: NonZeroUsize::new(requests), reserved_percent };
    let entrance = Entrance { h2c: true, ..Entrance::default() };
    World::open(&Plan { slots, entrance, ..Plan::of(upstream.address) })
}

fn ask(world: &World, target: &str, lines: &str) -> Client {
    let mut client = world.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n"));
    client
}

fn answer(world: &World, target: &str, lines: &str) -> Answer {
    ask(world, target, lines).answer().unwrap()
}

fn status(world: &World, target: &str, lines: &str) -> u16 {
    answer(world, target, lines).status
}

/// So many requests that the app does not answer yet.
fn fill(world: &World, upstream: &Upstream, target: &str, lines: &str, count: usize) -> Vec<Client> {
    let before = upstream.count();
    let running = (0..count).map(|_| ask(world, target, lines)).collect();
    upstream.wait_for(|seen| seen.len() == before + count);
    running
}

/// DS-001, G12: strangers are turned away first, whether they come with nothing, with a credential that is good and not
/// known here, or with a bad one, which is then no attempt. Nobody's body is asked for, and who has yet to be asked for a
/// credential is asked for it. Known callers are served by what is kept for them, and turned away when that is full too.
#[test]
fn strangers_are_turned_away_first_and_the_known_only_when_all_is_full() {
    let (upstream, gate) = gated();
    let world = world(&upstream, 4, 50);
    let (billing, orders) = (world.proxy_user("billing", &["user"]), world.proxy_user("orders", &["user"]));
    let (known, stranger) = (billing.basic(), orders.basic());
    let guess = Credential { token: "x".to_owned(), ..orders }.basic();
    assert_eq!(status(&world, "/app/x", &known), 200);
    let mut strangers = fill(&world, &upstream, "/pub/slow", "", 2);
    let before = upstream.count();

    for (target, lines) in [("/pub/x", ""), ("/app/x", &*stranger), ("/pub/x", &stranger), ("/nowhere", &stranger)] {
        let mut client = ask(&world, target, lines);
        let refused = client.answer().unwrap();
        let is_there = target != "/nowhere";
        let expected = if is_there { (503, Some("1")) } else { (404, None) };
        assert_eq!((refused.status, refused.value("retry-after")), expected, "{target}: {}", refused.text());
        assert!(!is_there || refused.text().contains("\"overloaded\""), "{}", refused.text());
        assert!(client.is_open(), "the connection of the client has to go on");
    }
    for _ in 0..10 {
        assert_eq!(status(&world, "/app/x", &guess), 503, "it is judged by nobody");
    }
    let with_a_body = "Expect: 100-continue\r\nContent-Length: 1000000\r\n";
    assert_eq!(status(&world, "/pub/x", with_a_body), 503, "and not asked for its body");
    let called = answer(&world, "/pub/x", "Content-Type: application/grpc\r\n");
    assert_eq!((called.status, called.value("grpc-status")), (200, Some("14")), "{}", called.head);
    let asked = answer(&world, "/app/x", "");
    assert_eq!((asked.status, asked.values("www-authenticate").len()), (401, 2), "{}", asked.head);
    assert_eq!(upstream.count(), before, "nobody of them was forwarded");

    for _ in 0..5 {
        assert_eq!(status(&world, "/app/x", &known), 200);
        assert_eq!(status(&world, "/pub/x", &known), 200, "on a public route too");
    }
    let mut knowns = fill(&world, &upstream, "/app/slow", &known, 2);
    let refused = answer(&world, "/app/x", &known);
    assert_eq!((refused.status, refused.value("retry-after")), (503, Some("1")), "{}", refused.text());
    assert_eq!(status(&world, "/app/x", ""), 401, "that takes nobody's place");

    gate.store(true, Ordering::SeqCst);
    for running in strangers.iter_mut().chain(&mut knowns) {
        assert_eq!(running.answer().unwrap().status, 200);
    }
    for lines in [&*stranger, &known, &stranger, ""] {
        wait_until("there is room again", || status(&world, "/pub/x", lines) == 200);
    }
    assert_eq!(status(&world, "/app/x", &stranger), 200, "ten guesses that nobody judged shut nothing");
}

/// DS-001, L3: a known caller whose name somebody guesses at has to be judged again, and is served all the same.
#[test]
fn a_known_caller_whose_name_is_guessed_at_is_no_stranger() {
    let (upstream, _gate) = gated();
    let world = world(&upstream, 4, 50);
    let billing = world.proxy_user("billing", &["user"]);
    let known = billing.basic();
    assert_eq!(status(&world, "/app/x", &known), 200);
    assert_eq!(status(&world, "/app/x", &Credential { token: "x".to_owned(), ..billing }.basic()), 401);
    let _strangers = fill(&world, &upstream, "/pub/slow", "", 2);
    assert_eq!(status(&world, "/pub/x", ""), 503);
    for _ in 0..3 {
        assert_eq!(status(&world, "/app/x", &known), 200);
    }
}

/// G12: streams of HTTP/2 and requests of HTTP/1 count together, whatever connection and core they are on, and a stream
/// that its client resets counts no more.
#[test]
fn streams_and_requests_of_all_connections_count_together() {
    let (upstream, gate) = gated();
    let world = world(&upstream, 3, 0);
    let public = |path| head("GET", path, "")[..4].to_vec();
    let (mut one, mut other) = (Frames::connect(world.address), Frames::connect(world.address));
    one.request(1, &public("/pub/slow"));
    other.request(1, &public("/pub/slow"));
    upstream.wait_for(|seen| seen.len() == 2);
    let mut third = fill(&world, &upstream, "/pub/slow", "", 1).remove(0);
    assert_eq!(status(&world, "/pub/x", ""), 503);
    one.request(3, &public("/pub/x"));
    assert_eq!(one.outcome(3), Outcome::Status(503));
    other.request(3, &head("GET", "/app/x", &value_of(&world.proxy_user("billing", &["user"]))));
    assert_eq!(other.outcome(3), Outcome::Status(503));
    one.frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    wait_until("the place of the stream is free", || status(&world, "/pub/x", "") == 200);
    gate.store(true, Ordering::SeqCst);
    assert_eq!(other.outcome(1), Outcome::Status(200));
    assert_eq!(third.answer().unwrap().status, 200);
}

/// Whether one more request finds no room.
fn is_full(world: &World) -> bool {
    match status(world, "/pub/x", "") {
        200 => false,
        503 => true,
        status => panic!("{status}"),
    }
}

/// G12: an answer has its place until its last byte, also when its client leaves, its access is withdrawn or its app
/// breaks off.
#[test]
fn an_answer_has_its_place_until_it_ends_in_whatever_way() {
    let upstream = streaming();
    let world = world(&upstream, 1, 0);
    let billing = world.proxy_user("billing", &["user"]);
    let open = || {
        let mut client = ask(&world, "/app/stream", &billing.basic());
        assert_eq!(client.head().unwrap().status, 200);
        assert!(is_full(&world), "it runs");
        client
    };
    drop(open());
    wait_until("the client has left", || !is_full(&world));
    let _cut = open();
    world.revoke(&billing);
    wait_until("the access was withdrawn", || !is_full(&world));

    let (gated, _gate) = gated();
    let world = self::world(&gated, 1, 0);
    drop(fill(&world, &gated, "/pub/slow", "", 1));
    wait_until("the client has left before an answer", || !is_full(&world));

    let broken = Upstream::start(
        |seen, _| seen.target().ends_with("broken").then_some(Next::Reset),
        |_, stream| respond(stream, "200 OK", &[], b"here"),
    );
    let world = self::world(&broken, 1, 0);
    assert_eq!(status(&world, "/pub/broken", ""), 502);
    wait_until("the app broke off", || !is_full(&world));
}

/// G12: a WebSocket has its place until it ends.
#[test]
fn a_websocket_has_its_place_until_it_ends() {
    let upstream = echoing();
    let world = world(&upstream, 1, 0);
    let billing = world.proxy_user("billing", &["user"]);
    let lines = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut client = ask(&world, "/app/x", &format!("{}{lines}", billing.basic()));
    assert_eq!(client.head().unwrap().status, 101);
    for _ in 0..20 {
        assert!(is_full(&world), "it is open");
    }
    drop(client);
    wait_until("it has ended", || !is_full(&world));
}

/// DS-001, G12: while nobody is judged in time, strangers with a credential are turned away at once, and those that waited
/// too long unjudged; who is known, and who need not be judged, is served, and a known caller who has to be judged again
/// is waited for.
#[test]
fn who_would_wait_too_long_to_be_judged_is_turned_away() {
    const PATIENCE: Duration = Duration::from_millis(400);
    let upstream = Upstream::echo();
    let world = World::open(&Plan { judgement_wait: PATIENCE, ..Plan::of(upstream.address) });
    let (billing, orders) = (world.proxy_user("billing", &["user"]), world.proxy_user("orders", &["user"]));
    let guessed_at = world.proxy_user("nightly", &["user"]);
    let (known, stranger, again) = (billing.basic(), orders.basic(), guessed_at.basic());
    let guess = Credential { token: "x".to_owned(), ..orders }.basic();
    assert_eq!((status(&world, "/app/x", &known), status(&world, "/app/x", &again)), (200, 200));
    assert_eq!(status(&world, "/app/x", &Credential { token: "x".to_owned(), ..guessed_at }.basic()), 401);

    world.stalled.store(true, Ordering::SeqCst);
    let (mut first, mut waits) = (ask(&world, "/app/x", &stranger), vec![ask(&world, "/app/x", &again)]);
    std::thread::sleep(PATIENCE / 2 + Duration::from_millis(50));
    let started = Instant::now();
    for lines in [&stranger, &guess] {
        let refused = answer(&world, "/app/x", lines);
        assert_eq!((refused.status, refused.value("retry-after")), (503, Some("1")), "{}", refused.text());
        assert!(refused.text().contains("\"overloaded\""), "{}", refused.text());
    }
    for (target, lines, expected) in [("/app/x", &*known, 200), ("/pub/x", "", 200), ("/app/x", "", 401)] {
        assert_eq!(status(&world, target, lines), expected, "{target}");
    }
    assert!(started.elapsed() < Duration::from_millis(1_500), "nobody of them waited: {:?}", started.elapsed());
    waits.push(ask(&world, "/app/x", &again));
    std::thread::sleep(PATIENCE / 2);
    world.stalled.store(false, Ordering::SeqCst);
    let late = first.answer().unwrap();
    assert_eq!(late.status, 503);
    assert!(late.text().contains("\"overloaded\""), "{}", late.text());
    for mut waits in waits {
        assert_eq!(waits.answer().unwrap().status, 200, "who was proven is no stranger");
    }
    wait_until("strangers are judged again", || status(&world, "/app/x", &stranger) == 200);
}
