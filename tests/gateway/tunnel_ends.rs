//! How tunnels end: cut, drained, silent for too long (R3).

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use locum::gateway::{AppConnections, Timeouts, TunnelSettings};

use crate::client::Client;
use crate::tunnels::{ACCEPTED, ASK, KEY, accepting, echoing, open, read, request, wait_until};
use crate::upstream::{Next, Upstream};
use crate::world::{Plan, World};

/// What holds for everything that is withdrawn (R2).
pub(crate) const BOUND: Duration = Duration::from_secs(2);

/// A frame of a server that ends a WebSocket: its code, and then the end of the connection.
fn goodbye(client: &mut Client) -> Option<u16> {
    let head = read(client, 4);
    let (opcode, length) = (*head.first()?, *head.get(1)?);
    assert_eq!(opcode, 0x88, "{head:?}");
    assert_eq!(read(client, usize::from(length) - 2).len(), usize::from(length) - 2);
    assert!(client.is_closed(), "bytes behind the goodbye");
    Some(u16::from_be_bytes([head[2], head[3]]))
}

/// R3: when the access is withdrawn, each WebSocket of it is told so where a frame ends, and closed where none
/// does; the app is let go of at once, and other people's tunnels go on.
#[test]
fn a_withdrawn_websocket_is_told_and_closed() {
    let upstream = echoing();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let other = world.proxy_user("other", &["user"]);
    let mut silent = open(&world, "/app/silent", &format!("{}{ASK}{KEY}", billing.basic()));
    let mut spoken = open(&world, "/app/spoken", &format!("{}{ASK}{KEY}", billing.basic()));
    let mut inside = open(&world, "/app/inside", &format!("{}{ASK}{KEY}", billing.basic()));
    let mut others = open(&world, "/app/others", &format!("{}{ASK}{KEY}", other.basic()));
    for client in [&mut spoken, &mut others] {
        client.send(b"\x82\x03abc\x82\x7e\x00\x01d");
        assert_eq!(read(client, 10), b"\x82\x03abc\x82\x7e\x00\x01d");
    }
    inside.send(b"\x82\x03a");
    assert_eq!(read(&mut inside, 3), b"\x82\x03a");
    assert_eq!(world.in_flight.len(), 4);
    let started = Instant::now();
    world.revoke(&billing);
    assert_eq!(goodbye(&mut silent), Some(1008));
    assert_eq!(goodbye(&mut spoken), Some(1008));
    assert!(inside.is_closed(), "in the middle of a frame there is nothing to say");
    wait_until("they have left the register", || world.in_flight.len() == 1);
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    others.send(b"more");
    assert_eq!(read(&mut others, 4), b"more");
}

/// R3: a client that takes nothing cannot keep its tunnel, nor its app's connection.
#[test]
fn a_websocket_that_nobody_reads_is_cut() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let upstream = accepting(ACCEPTED, move |stream| {
        while stream.write_all(&[0; 8192]).is_ok() {}
        count.fetch_add(1, Ordering::SeqCst);
    });
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Client::connect_with_little_room(world.address);
    client.send(request("/app/x", &format!("{}{ASK}{KEY}", billing.basic())));
    assert_eq!(client.head().unwrap().status, 101);
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    world.revoke(&billing);
    wait_until("the app was let go of", || ended.load(Ordering::SeqCst) == 1 && world.in_flight.is_empty());
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
}

/// R3, RV-023: of a crowd of tunnels those of one token end, and no other.
#[test]
fn one_withdrawal_ends_its_own_tunnels_only() {
    let upstream = echoing();
    let world = World::before(upstream.address);
    let (billing, other) = (world.proxy_user("billing", &["user"]), world.proxy_user("other", &["user"]));
    let crowd: Vec<Client> =
        (0..200).map(|_| open(&world, "/app/x", &format!("{}{ASK}{KEY}", other.basic()))).collect();
    let mut three: Vec<Client> =
        (0..3).map(|_| open(&world, "/app/x", &format!("{}{ASK}{KEY}", billing.basic()))).collect();
    world.revoke(&billing);
    for client in &mut three {
        assert_eq!(goodbye(client), Some(1008));
    }
    for mut client in crowd {
        client.send(b"x");
        assert_eq!(read(&mut client, 1), b"x");
    }
}

/// R3: when the gateway ends, WebSockets are told to come back, at once: they hold nobody up.
#[test]
fn at_the_end_of_the_gateway_websockets_are_told_to_come_back() {
    let upstream = echoing();
    let world = World::before(upstream.address);
    let mut client = open(&world, "/pub/x", &format!("{ASK}{KEY}"));
    client.send(b"\x81\x01x");
    assert_eq!(read(&mut client, 3), b"\x81\x01x");
    let told = std::thread::spawn(move || goodbye(&mut client));
    let started = Instant::now();
    drop(world);
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    assert_eq!(told.join().unwrap(), Some(1012));
}

/// R3: a tunnel that is silent in both directions ends; one that is spoken on in either does not. One of which a side has
/// hung up is no WebSocket any more, and its app learns of it.
#[test]
fn a_silent_tunnel_ends_after_its_time() {
    let upstream = echoing();
    let idle = Duration::from_millis(600);
    let tunnels = TunnelSettings { idle, ..TunnelSettings::default() };
    let world = World::open(&Plan { tunnels, ..Plan::of(upstream.address) });
    let mut silent = open(&world, "/pub/x", &format!("{ASK}{KEY}"));
    let mut spoken = open(&world, "/pub/x", &format!("{ASK}{KEY}"));
    let started = Instant::now();
    while started.elapsed() < idle * 3 {
        spoken.send(b"\x81\x01x");
        assert_eq!(read(&mut spoken, 3), b"\x81\x01x");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(goodbye(&mut silent), Some(1001));
    spoken.send(b"\x81\x01x");
    assert_eq!(read(&mut spoken, 3), b"\x81\x01x");
}

/// G12: a tunnel is a connection to an app like any other, and the places for those are counted: one that is open keeps its
/// place, and one that has ended gives it back.
#[test]
fn an_open_tunnel_keeps_its_place() {
    let upstream = echoing();
    let timeouts = Timeouts { connect: Duration::from_millis(300), ..Timeouts::default() };
    let world =
        World::open(&Plan { timeouts, app_connections: AppConnections::up_to(2), ..Plan::of(upstream.address) });
    let mut two: Vec<Client> = (0..2).map(|_| open(&world, "/pub/x", &format!("{ASK}{KEY}"))).collect();
    let ask = |lines: &str| {
        let mut client = world.client();
        client.send(request("/pub/y", lines));
        client.head().unwrap().status
    };
    for lines in [String::new(), format!("{ASK}{KEY}")] {
        assert_eq!(ask(&lines), 503);
    }
    for client in &mut two {
        client.send(b"x");
        assert_eq!(read(client, 1), b"x");
    }
    drop(two.pop());
    wait_until("its place is free", || ask("") == 200);
}

/// R3: an app that breaks off is told of, so that its client does not take half a story for a whole one.
#[test]
fn a_websocket_whose_app_breaks_off_is_told_so() {
    let upstream = accepting(ACCEPTED, |stream| {
        stream.write_all(b"\x81\x01x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let world = World::before(upstream.address);
    let mut client = open(&world, "/pub/x", &format!("{ASK}{KEY}"));
    assert_eq!(read(&mut client, 3), b"\x81\x01x");
    client.send(b"x");
    assert_eq!(goodbye(&mut client), Some(1011));
}

/// R3: a client that is gone by the time that its app agrees leaves nothing behind.
#[test]
fn a_client_that_left_before_its_tunnel_began_leaves_nothing_behind() {
    let upstream = Upstream::start(
        |_, stream| {
            std::thread::sleep(Duration::from_millis(150));
            let sent = stream.write_all(ACCEPTED.as_bytes());
            sent.is_err().then_some(Next::Close)
        },
        |_, _| Next::Close,
    );
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    for wait in [0, 50, 149, 150, 151, 160] {
        let mut client = world.client();
        client.send(request("/app/x", &format!("{}{ASK}{KEY}", billing.basic())));
        std::thread::sleep(Duration::from_millis(wait));
        // With what the gateway sends unread, the kernel resets the connection.
        socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let started = Instant::now();
    wait_until("all have left the register", || world.in_flight.is_empty());
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
}
