//! Apps and instances that are not well: who is asked, how often, and that nobody else suffers.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locum::gateway::{
    AppConnections, AppLimits, HealthCheck, Outlier, Resilience, Resolver, Retry, SlotSettings, Timeouts,
};

use crate::client::{Answer, Client, End};
use crate::faults::nobody;
use crate::upstream::{Next, Seen, Upstream, respond};
use crate::world::{Credential, Plan, World};

/// A row of failures that nothing in these tests reaches.
const NEVER_OUT: Outlier =
    Outlier { failures: 1_000_000, base: Duration::from_secs(2), longest: Duration::from_mins(1), most_percent: 50 };
pub(crate) const SOON_OUT: Outlier =
    Outlier { failures: 3, base: Duration::from_millis(400), longest: Duration::from_secs(2), most_percent: 50 };

/// What can be switched on and off while apps run.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(crate) fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Answers with its name; while the switch is on, does that instead.
fn switched(name: &'static str, switch: &Switch, instead: fn(&mut std::net::TcpStream) -> Next) -> Upstream {
    let switch = switch.clone();
    Upstream::start(
        |_, _| None,
        move |_, stream| {
            if switch.is_on() { instead(stream) } else { respond(stream, "200 OK", &[], name.as_bytes()) }
        },
    )
}

fn unavailable(stream: &mut std::net::TcpStream) -> Next {
    respond(stream, "503 Service Unavailable", &[], b"the app's own words")
}

fn hang(_: &mut std::net::TcpStream) -> Next {
    std::thread::sleep(Duration::from_secs(2));
    Next::Close
}

pub(crate) fn send(client: &mut Client, method: &str, target: &str, credential: &Credential) -> Answer {
    client.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 0\r\n\r\n",
        credential.basic()
    ));
    client.answer().expect("there is an answer")
}

pub(crate) fn ask(world: &World, host: &str, target: &str, credential: &Credential) -> Client {
    let mut client = world.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", credential.basic()));
    client
}

pub(crate) fn plan(apps: &[&Upstream], resilience: Resilience) -> Plan {
    let upstreams = apps.iter().map(|app| app.address).collect();
    Plan { upstreams, resilience, ..Plan::of(apps[0].address) }
}

/// Waits until it is so.
pub(crate) fn eventually(mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < deadline, "it never came to that");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// G8: an instance that answers 503, or hangs, is left alone, by all cores, as long as there is another; one request
/// finds out that it is well, and it has its share again.
#[test]
fn an_instance_that_fails_is_left_alone_and_comes_back() {
    for (instead, status) in [(unavailable as fn(&mut std::net::TcpStream) -> Next, 503), (hang, 504)] {
        let ill = Switch::default();
        let (first, second) = (switched("first", &ill, instead), Upstream::answering(|_| b"second".to_vec()));
        let timeouts = Timeouts { response: Duration::from_millis(300), ..Timeouts::default() };
        let resilience = Resilience { outlier: SOON_OUT, ..Resilience::default() };
        let world = World::open(&Plan { timeouts, ..plan(&[&first, &second], resilience) });
        let billing = world.proxy_user("billing", &["user"]);
        ill.set(true);
        let deadline = Instant::now() + Duration::from_secs(20);
        let (mut refused, mut well) = (0, 0);
        while well < 12 {
            assert!(Instant::now() < deadline, "it was never left alone");
            // Each on a connection of its own, so on any core.
            let answer = send(&mut world.client(), "GET", "/app/x", &billing);
            if answer.status == status {
                (refused, well) = (refused + 1, 0);
            } else {
                assert_eq!((answer.status, answer.text().as_str()), (200, "second"));
                well += 1;
            }
        }
        assert!(refused >= 3, "an answer of the app is the client's, until the instance is left alone: {refused}");
        ill.set(false);
        let before = first.count();
        eventually(|| send(&mut world.client(), "GET", "/app/x", &billing).text() == "first");
        assert!(first.count() > before);
    }
}

/// G8: a reset in the middle costs no `GET`, `PUT` or `DELETE` without a body; whatever else may have been sent is
/// sent once.
#[test]
fn what_may_have_been_sent_is_repeated_only_if_nothing_can_happen_twice() {
    let ill = Switch::default();
    ill.set(true);
    let (first, second) = (switched("first", &ill, |_| Next::Reset), Upstream::answering(|_| b"second".to_vec()));
    let retry = Retry { budget_percent: 100, ..Retry::default() };
    let resilience = Resilience { outlier: NEVER_OUT, retry, ..Resilience::default() };
    let world = World::open(&plan(&[&first, &second], resilience));
    let billing = world.proxy_user("billing", &["user"]);
    for method in ["GET", "OPTIONS", "PUT", "DELETE"] {
        for number in 0..6 {
            let answer = send(&mut world.client(), method, &format!("/app/{method}/{number}"), &billing);
            assert_eq!((answer.status, answer.text().as_str()), (200, "second"), "{method}");
        }
    }
    assert!(first.count() > 4, "the one that fails was not asked");
    let mut failed = 0;
    for number in 0..20 {
        let (method, length) = [("POST", 0), ("PATCH", 0), ("PUT", 5)][number % 3];
        let mut client = world.client();
        client.send(format!(
            "{method} /app/once/{number} HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: {length}\r\n\r\n{}",
            billing.basic(),
            &"hello"[..length]
        ));
        failed += usize::from(client.answer().unwrap().status == 502);
    }
    assert!(failed > 4, "{failed}");
    let once = |seen: Vec<Seen>| seen.iter().filter(|seen| seen.target().starts_with("/app/once/")).count();
    assert_eq!(once(first.seen()) + once(second.seen()), 20, "something was sent twice");
}

/// G8, DS-007: an app that fails everything is never asked more often than it was meant to be, and a fifth more.
#[test]
fn an_app_that_fails_everything_is_not_stormed() {
    const REQUESTS: usize = 300;
    for (instead, on_503) in [(unavailable as fn(&mut std::net::TcpStream) -> Next, true), (|_| Next::Reset, false)] {
        let ill = Switch::default();
        ill.set(true);
        let apps: Vec<_> = (0..3).map(|_| switched("never", &ill, instead)).collect();
        let retry = Retry { on_503, ..Retry::default() };
        let resilience = Resilience { outlier: NEVER_OUT, retry, ..Resilience::default() };
        let world = World::open(&plan(&apps.iter().collect::<Vec<_>>(), resilience));
        let billing = world.proxy_user("billing", &["user"]);
        let started = Instant::now();
        for _ in 0..REQUESTS / 10 {
            let mut client = world.client();
            for _ in 0..10 {
                let status = send(&mut client, "GET", "/app/x", &billing).status;
                assert_eq!(status, if on_503 { 503 } else { 502 });
            }
        }
        let asked: usize = apps.iter().map(Upstream::count).sum();
        // Of each of the two cores.
        let floor = 2 * (3 + usize::try_from(started.elapsed().as_secs()).unwrap());
        assert!(asked > REQUESTS + REQUESTS / 10, "nothing was repeated: {asked}");
        assert!(asked <= REQUESTS + REQUESTS / 5 + floor, "{asked} of {REQUESTS}");
    }
}

/// G8: without being told to, a 503 of an app is its answer, once.
#[test]
fn the_apps_own_503_is_passed_on() {
    let ill = Switch::default();
    ill.set(true);
    let apps: Vec<_> = (0..2).map(|_| switched("never", &ill, unavailable)).collect();
    let resilience = Resilience { outlier: SOON_OUT, ..Resilience::default() };
    let world = World::open(&plan(&apps.iter().collect::<Vec<_>>(), resilience));
    let billing = world.proxy_user("billing", &["user"]);
    for _ in 0..40 {
        let answer = send(&mut world.client(), "GET", "/app/x", &billing);
        assert_eq!((answer.status, answer.text().as_str()), (503, "the app's own words"));
    }
    assert_eq!(apps.iter().map(Upstream::count).sum::<usize>(), 40);
}

/// G8: where a 503 would be asked of another and there is none, it stays the answer.
#[test]
fn a_503_that_nobody_else_can_answer_is_passed_on() {
    let ill = Switch::default();
    ill.set(true);
    let app = switched("never", &ill, unavailable);
    let (_kept_free, nobody) = nobody();
    let retry = Retry { on_503: true, ..Retry::default() };
    let resilience = Resilience { outlier: SOON_OUT, retry, ..Resilience::default() };
    let world = World::open(&Plan { upstreams: vec![app.address, nobody], ..plan(&[&app], resilience) });
    let billing = world.proxy_user("billing", &["user"]);
    let ask = || send(&mut world.client(), "GET", "/app/x", &billing).status;
    // Until the one that is away is left alone, some are sent there for an answer that nobody gives.
    eventually(|| (0..12).all(|_| ask() == 503));
    assert!((0..20).all(|_| ask() == 503));
}

/// DS-007: an app that hangs for some of its callers is shut for nobody, and is there at once when it is well.
#[test]
fn an_app_that_hangs_is_asked_on_and_there_at_once_when_it_is_well() {
    let ill = Switch::default();
    ill.set(true);
    let app = switched("here", &ill, hang);
    let timeouts = Timeouts { response: Duration::from_millis(1_100), ..Timeouts::default() };
    let resilience = Resilience { outlier: SOON_OUT, ..Resilience::default() };
    let world = World::open(&Plan { timeouts, ..plan(&[&app], resilience) });
    let billing = world.proxy_user("billing", &["user"]);
    let mut waiting: Vec<_> = (0..8).map(|_| ask(&world, "app.test", "/app/x", &billing)).collect();
    assert!(waiting.iter_mut().all(|client| client.answer().unwrap().status == 504));
    assert_eq!(send(&mut world.client(), "POST", "/app/x", &billing).status, 504);
    ill.set(false);
    assert_eq!(send(&mut world.client(), "GET", "/app/x", &billing).text(), "here");
}

/// DS-007: clients that stand still in the middle of what they send cannot make an app seem to be away.
#[test]
fn a_client_that_stands_still_says_nothing_of_the_app() {
    let app = Upstream::echo();
    let timeouts = Timeouts { response: Duration::from_millis(200), ..Timeouts::default() };
    let resilience = Resilience { outlier: Outlier { failures: 1, ..SOON_OUT }, ..Resilience::default() };
    let world = World::open(&Plan { timeouts, ..plan(&[&app], resilience) });
    let billing = world.proxy_user("billing", &["user"]);
    for _ in 0..3 {
        let mut stalling = world.client();
        stalling.send(format!(
            "POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 100\r\n\r\nhalf",
            billing.basic()
        ));
        assert_eq!(stalling.answer().unwrap().status, 504);
        assert_eq!(send(&mut world.client(), "GET", "/app/x", &billing).status, 200);
    }
}

/// An app that answers `/slow` only when the gate of it is opened.
fn gated() -> (Upstream, Switch) {
    let open = Switch::default();
    let opened = open.clone();
    let app = Upstream::start(
        |_, _| None,
        move |seen, stream| {
            while seen.target().ends_with("/slow") && !opened.is_on() {
                std::thread::sleep(Duration::from_millis(5));
            }
            respond(stream, "200 OK", &[], b"here")
        },
    );
    (app, open)
}

/// DS-007: however many requests an app leaves waiting, there is room for those to another: of the connections to apps, or
/// of the slots, whichever are fewer.
#[test]
fn an_app_that_hangs_leaves_room_for_another() {
    let (app, open) = gated();
    leaves_room(&open, &app, &Plan { app_connections: AppConnections::up_to(PLACES), ..Plan::of(app.address) });
    let (app, open) = gated();
    let slots = SlotSettings { requests: NonZeroUsize::new(PLACES), reserved_percent: 20 };
    leaves_room(&open, &app, &Plan { slots, ..Plan::of(app.address) });
}

/// What one app and all others have together.
const PLACES: usize = 20;

fn leaves_room(open: &Switch, app: &Upstream, plan: &Plan) {
    let world = World::open(plan);
    let billing = world.proxy_user("billing", &["user"]);
    let mut slow: Vec<_> = (0..2 * PLACES).map(|_| ask(&world, "proxied.test", "/slow", &billing)).collect();
    // Each has come to the app, or was told to come again.
    eventually(|| {
        app.count() + slow.iter_mut().filter_map(|client| client.is_readable().then_some(())).count() == 2 * PLACES
    });
    for round in 0..30 {
        let host = ["owned.test", "one.secret.test"][round % 2];
        assert_eq!(ask(&world, host, "/x", &billing).answer().unwrap().status, 200);
    }
    open.set(true);
    let statuses: Vec<u16> = slow.iter_mut().map(|client| client.answer().unwrap().status).collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert!(count(200) >= PLACES / 2 && count(200) < PLACES, "{statuses:?}");
    assert_eq!(count(200) + count(503), 2 * PLACES, "{statuses:?}");
}

/// G8: as many requests run at an app as its settings say; so many more wait, and the next is told to come again.
#[test]
fn requests_beyond_the_bound_of_an_app_wait_or_are_told_to_come_again() {
    let (app, open) = gated();
    let limits = AppLimits { max_requests: Some(2), max_pending: 1 };
    let world = World::open(&plan(&[&app], Resilience { limits, ..Resilience::default() }));
    let billing = world.proxy_user("billing", &["user"]);
    let mut clients: Vec<_> = (0..2).map(|_| ask(&world, "app.test", "/app/slow", &billing)).collect();
    app.wait_for(|seen| seen.len() == 2);
    let mut more: Vec<_> = (0..2).map(|_| ask(&world, "app.test", "/app/slow", &billing)).collect();
    // One of these two waits, and one is refused at once.
    let refused = loop {
        if let Some(at) = more.iter_mut().position(Client::is_readable) {
            break more.remove(at).answer().unwrap();
        }
    };
    assert_eq!((refused.status, refused.value("retry-after")), (503, Some("1")));
    assert!(refused.text().contains("too-busy"), "{}", refused.text());
    assert_eq!(ask(&world, "owned.test", "/x", &billing).answer().unwrap().status, 200);
    assert_eq!(app.count(), 3);
    open.set(true);
    clients.append(&mut more);
    assert!(clients.iter_mut().all(|client| client.answer().unwrap().status == 200));
    // What does not come to its end is no longer counted either.
    open.set(false);
    drop([ask(&world, "app.test", "/app/slow", &billing), ask(&world, "app.test", "/app/slow", &billing)]);
    eventually(|| ask(&world, "app.test", "/app/x", &billing).answer().unwrap().status == 200);
    open.set(true);
}

/// G8: an instance whose checks fail is left alone, the last one too, and comes back when they are good again.
#[test]
fn checks_of_health_decide_who_is_asked() {
    let ill = Switch::default();
    let seen_ill = ill.clone();
    let first = Upstream::start(
        |_, _| None,
        move |seen, stream| {
            let status = if seen.target() == "/healthz" && seen_ill.is_on() { "500 No" } else { "200 OK" };
            respond(stream, status, &[], b"first")
        },
    );
    let check = HealthCheck {
        path: "/healthz".parse().unwrap(),
        host: Some("health.test".parse().unwrap()),
        interval: Duration::from_millis(100),
        timeout: Duration::from_millis(500),
        healthy_after: 2,
        unhealthy_after: 2,
        status: (200, 299),
    };
    let resilience = Resilience { health_check: Some(check), ..Resilience::default() };
    let world = World::open(&plan(&[&first], resilience));
    let billing = world.proxy_user("billing", &["user"]);
    let status = || send(&mut world.client(), "GET", "/app/x", &billing).status;
    assert_eq!(status(), 200);
    let checks = first.wait_for(|seen| seen.iter().any(|seen| seen.target() == "/healthz"));
    let check = checks.iter().find(|seen| seen.target() == "/healthz").unwrap();
    assert_eq!(check.value("host").as_deref(), Some("health.test"));
    ill.set(true);
    eventually(|| status() == 503);
    let before = first.seen().iter().filter(|seen| seen.target() == "/app/x").count();
    assert_eq!(status(), 503);
    assert_eq!(first.seen().iter().filter(|seen| seen.target() == "/app/x").count(), before);
    ill.set(false);
    eventually(|| status() == 200);
}

/// G8: a request may have a time for everything, of its app or of its route, also when bytes keep coming.
#[test]
fn a_time_for_everything_ends_what_never_stands_still() {
    let app = Upstream::start(
        |_, _| None,
        |seen, stream| {
            use std::io::Write as _;
            if seen.target().ends_with("/silent") {
                return hang(stream);
            }
            let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
            Next::Close
        },
    );
    let total = Some(Duration::from_millis(700));
    let world = World::open(&Plan { timeouts: Timeouts { total, ..Timeouts::default() }, ..Plan::of(app.address) });
    let billing = world.proxy_user("billing", &["user"]);
    let started = Instant::now();
    let mut streaming = ask(&world, "app.test", "/app/stream", &billing);
    let head = streaming.head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(streaming.body(&head).1, End::BrokenOff);
    assert!((700..3000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());

    let started = Instant::now();
    assert_eq!(ask(&world, "app.test", "/app/silent", &billing).answer().unwrap().status, 504);
    assert!((700..1800).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    // This route has less for the head of an answer.
    let started = Instant::now();
    assert_eq!(ask(&world, "app.test", "/brisk/silent", &billing).answer().unwrap().status, 504);
    assert!((200..650).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

pub(crate) fn with_name(upstream: &Upstream, name: &str, resolver: Resolver) -> Plan {
    let names = Some(vec![format!("{name}:{}", upstream.address.port())]);
    Plan { names, resolver, ..Plan::of(upstream.address) }
}

/// G8: all addresses of a name are used; what it stood for last holds while the resolver fails or hangs, and no
/// request ever waits for it.
#[test]
fn a_name_is_resolved_beside_the_requests_and_what_was_known_last_holds() {
    #[derive(Clone)]
    enum Say {
        Addresses(Vec<SocketAddr>),
        Fail,
        Hang,
    }
    let (first, second) = (Upstream::answering(|_| b"first".to_vec()), Upstream::answering(|_| b"second".to_vec()));
    let say = Arc::new(Mutex::new(Say::Addresses(vec![first.address, second.address])));
    let asked = Arc::new(AtomicUsize::new(0));
    let (saying, asking) = (Arc::clone(&say), Arc::clone(&asked));
    let resolver = Resolver::new(Duration::from_millis(100), move |_name| {
        asking.fetch_add(1, Ordering::SeqCst);
        let say = saying.lock().unwrap().clone();
        Box::pin(async move {
            match say {
                Say::Addresses(addresses) => Ok(addresses),
                Say::Fail => Err(std::io::Error::other("no name server")),
                Say::Hang => std::future::pending().await,
            }
        })
    });
    let world = World::open(&with_name(&first, "app.internal", resolver));
    let billing = world.proxy_user("billing", &["user"]);
    // Each needs a connection of its own: those that wait hold the ones that are there.
    let spread = || {
        let mut clients: Vec<_> = (0..12).map(|_| ask(&world, "app.test", "/app/x", &billing)).collect();
        let mut texts: Vec<_> = clients.iter_mut().map(|client| client.answer().unwrap().text()).collect();
        texts.sort();
        texts.dedup();
        texts
    };
    eventually(|| spread() == ["first", "second"]);
    for wrong in [Say::Fail, Say::Hang] {
        *say.lock().unwrap() = wrong;
        let before = asked.load(Ordering::SeqCst);
        eventually(|| asked.load(Ordering::SeqCst) > before);
        let started = Instant::now();
        assert!(!spread().is_empty());
        assert!(started.elapsed() < Duration::from_secs(2), "a request waited for the resolver");
        if matches!(*say.lock().unwrap(), Say::Fail) {
            continue;
        }
        let before = asked.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(asked.load(Ordering::SeqCst), before, "more than one question of a name was on its way");
    }
}

/// G8: a name that nobody knows is a 502, until somebody does; and the system's own resolver is asked.
#[test]
fn a_name_that_nobody_knows_is_a_bad_gateway_until_it_is_known() {
    let app = Upstream::echo();
    let known: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let knowing = Arc::clone(&known);
    let resolver = Resolver::new(Duration::from_millis(50), move |_name| {
        let known = knowing.lock().unwrap().clone();
        Box::pin(async move { Ok(known) })
    });
    let world = World::open(&with_name(&app, "app.internal", resolver));
    let billing = world.proxy_user("billing", &["user"]);
    assert_eq!(send(&mut world.client(), "GET", "/app/x", &billing).status, 502);
    known.lock().unwrap().push(app.address);
    eventually(|| send(&mut world.client(), "GET", "/app/x", &billing).status == 200);

    let world = World::open(&with_name(&app, "localhost", Resolver::system()));
    assert_eq!(app.address.ip(), Ipv4Addr::LOCALHOST);
    let billing = world.proxy_user("billing", &["user"]);
    assert_eq!(send(&mut world.client(), "GET", "/app/x", &billing).status, 200);
}
