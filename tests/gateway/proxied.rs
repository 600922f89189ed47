//! Who the client is when proxies stand in front: 127.0.0.2 and 127.0.0.3 are trusted, 127.0.0.1 is not.

use std::time::{Duration, Instant};

use locum::directory::{Networks, Restrictions};
use locum::gateway::{HopSettings, HopWords, TrustedProxies};
use locum::server::data_plane::Limits;
use locum::server::entrance::Entrance;

use crate::client::{Answer, Client};
use crate::log::LOG;
use crate::upstream::Upstream;
use crate::world::{Plan, World};

const PROXY: [u8; 4] = [127, 0, 0, 2];
const STRANGER: [u8; 4] = [127, 0, 0, 1];
const ALL: HopWords = HopWords::XForwarded { scheme: true, host: true };

fn trusted() -> TrustedProxies {
    TrustedProxies::new(vec![TrustedProxies::network("127.0.0.2/31").unwrap()])
}

fn behind_proxies(upstream: &Upstream, words: HopWords) -> Plan {
    Plan { hops: HopSettings { trusted: trusted(), words }, ..Plan::of(upstream.address) }
}

fn get(world: &World, from: [u8; 4], target: &str, lines: &str) -> Answer {
    let mut client = Client::connect_from(from, world.address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n"));
    client.answer().unwrap()
}

/// G10, HD-028, HD-029: the app and the log are told of the client, whom nobody but a trusted proxy names.
#[test]
fn the_app_and_the_log_see_the_client_behind_trusted_proxies() {
    let log = &*LOG;
    let upstream = Upstream::echo();
    let world = World::open(&behind_proxies(&upstream, ALL));
    let hops = format!("X-Forwarded-For: {}203.0.113.7\r\n", "127.0.0.3,".repeat(5_000));
    for (number, (from, lines, client)) in [
        (STRANGER, "X-Forwarded-For: 203.0.113.7\r\n", "127.0.0.1"),
        (STRANGER, "Forwarded: for=203.0.113.7\r\n", "127.0.0.1"),
        (PROXY, "", "127.0.0.2"),
        (PROXY, "X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7"),
        (PROXY, "X-Forwarded-For: 8.8.8.8, 203.0.113.7, 127.0.0.3\r\n", "203.0.113.7"),
        (PROXY, "X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-For: ::ffff:203.0.113.7\r\n", "203.0.113.7"),
        (PROXY, "X-Forwarded-For: [2001:db8::1]:80\r\nForwarded: for=8.8.8.8\r\n", "2001:db8::1"),
        (PROXY, "Connection: X-Forwarded-For\r\nX-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7"),
        (PROXY, &hops, "203.0.113.7"),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/pub/proxied-{number}");
        assert_eq!(get(&world, from, &target, lines).status, 200, "{lines:.60}");
        assert_eq!(upstream.last().value("x-forwarded-for").unwrap(), client, "{lines:.60}");
        assert_eq!(upstream.last().values("forwarded"), [""; 0]);
        assert_eq!(log.wait_for(&target)["source"], client);
    }
}

/// G10: RFC 7239 where that is the language of the proxies, and `X-Forwarded-*` is nobody's word then.
#[test]
fn forwarded_is_read_where_it_is_configured() {
    let upstream = Upstream::echo();
    let world = World::open(&behind_proxies(&upstream, HopWords::Forwarded));
    let lines = "Forwarded: for=\"8.8.8.8\r\nForwarded: for=\"[2001:db8::9]:80\";proto=https;host=app.test, for=127.0.0.3\r\n\
                 X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: http\r\n";
    assert_eq!(get(&world, PROXY, "/pub/x", lines).status, 200);
    let seen = upstream.last();
    assert_eq!(seen.value("x-forwarded-for").unwrap(), "2001:db8::9");
    assert_eq!(seen.value("x-forwarded-proto").unwrap(), "https");
    assert_eq!(get(&world, PROXY, "/pub/x", "Forwarded: for=unknown\r\n").status, 400);
}

/// HD-030, FC-002: what a trusted proxy wrote and nobody can read is no reason to let anybody in.
#[test]
fn an_address_that_cannot_be_read_is_refused() {
    let upstream = Upstream::echo();
    let world = World::open(&behind_proxies(&upstream, ALL));
    for lines in [
        "X-Forwarded-For: a\r\n",
        "X-Forwarded-For: 203.0.113.7, unknown\r\n",
        "X-Forwarded-For: \r\n",
        "X-Forwarded-Proto: https, http\r\n",
        "X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\n",
        "X-Forwarded-Host: a, b\r\n",
        "X-Forwarded-Host: app.test\r\nX-Forwarded-Host: proxied.test\r\n",
    ] {
        let mut client = Client::connect_from(PROXY, world.address);
        client.send(format!("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n"));
        assert_eq!(client.answer().unwrap().status, 400, "{lines}");
        assert!(client.is_closed(), "{lines}");
        assert_eq!(get(&world, STRANGER, "/pub/x", lines).status, 200, "a stranger's word is dropped unread: {lines}");
    }
    assert_eq!(upstream.count(), 7);
}

/// HD-021, HD-024, HD-025: scheme and host come from a trusted proxy, and from nobody else.
#[test]
fn scheme_and_host_come_from_trusted_proxies_only() {
    let upstream = Upstream::echo();
    let world = World::open(&behind_proxies(&upstream, ALL));
    let billing = world.proxy_user("billing", &["user"]);
    let lines = format!(
        "{}X-Forwarded-Proto: https\r\nX-Forwarded-Host: proxied.test\r\nX-Forwarded-Prefix: /pub\r\n",
        billing.basic()
    );
    assert_eq!(get(&world, PROXY, "/anything", &lines).status, 200, "it is asked for another app");
    let seen = upstream.last();
    let told = ["x-forwarded-proto", "x-forwarded-host", "host", "x-webauth-user"].map(|name| seen.value(name));
    let told = told.each_ref().map(|value| value.as_deref().unwrap_or_default());
    assert_eq!(told, ["https", "proxied.test", "proxied.test", "billing"]);
    assert_eq!(seen.value("x-forwarded-prefix"), None);

    assert_eq!(get(&world, STRANGER, "/app/x", &lines).status, 200);
    let seen = upstream.last();
    assert_eq!(seen.value("x-forwarded-proto").unwrap(), "http");
    assert_eq!(seen.value("x-forwarded-host").unwrap(), "app.test");
    assert_eq!(get(&world, PROXY, "/pub/x", "X_Forwarded_Proto: https\r\n").status, 400);

    let address_only = HopWords::XForwarded { scheme: false, host: false };
    let world = World::open(&behind_proxies(&upstream, address_only));
    let lines = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: proxied.test\r\n";
    assert_eq!(get(&world, PROXY, "/pub/x", lines).status, 200);
    let seen = upstream.last();
    assert_eq!(seen.value("x-forwarded-proto").unwrap(), "http");
    assert_eq!(seen.value("host").unwrap(), "app.test");
}

/// HD-026: an app that asks for the port is told the real one; behind a trusted proxy that of what the proxy was asked for
/// (CVE-2026-54764).
#[test]
fn the_port_that_an_app_is_told_is_nobodys_to_choose() {
    let upstream = Upstream::echo();
    let world = World::open(&behind_proxies(&upstream, ALL));
    let billing = world.proxy_user("billing", &["user"]).basic();
    let own = world.address.port().to_string();
    let forged = "X-Forwarded-Port: 1\r\nX-Forwarded-Proto: https\r\n";
    for (from, host, said, port) in [
        (STRANGER, "proxied.test", "", own.as_str()),
        (STRANGER, "proxied.test:9", "", &own),
        (PROXY, "proxied.test", "", "443"),
        (PROXY, "proxied.test:6666", "", "443"),
        (PROXY, "proxied.test", "X-Forwarded-Host: proxied.test:8443\r\n", "8443"),
    ] {
        let mut client = Client::connect_from(from, world.address);
        client.send(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{billing}{forged}{said}\r\n"));
        assert_eq!(client.answer().unwrap().status, 200);
        assert_eq!(upstream.last().values("x-forwarded-port"), [port], "{from:?} {host}");
    }
    assert_eq!(get(&world, STRANGER, "/app/x", &format!("{billing}{forged}")).status, 200);
    assert_eq!(upstream.last().value("x-forwarded-port"), None, "nobody has asked for it");
}

/// L8, AU-060: the budget is the client's, not the proxy's, and a client that invents hops gets no other.
#[test]
fn the_budget_of_failures_is_the_clients_behind_a_proxy() {
    let upstream = Upstream::echo();
    let world = World::open(&Plan { throttle: 4, ..behind_proxies(&upstream, ALL) });
    let wrong = "Authorization: Basic bm9ib2R5Om5vbnNlbnNl\r\n";
    let fail = |hops: &str| get(&world, PROXY, "/app/x", &format!("{wrong}X-Forwarded-For: {hops}\r\n")).status;
    let statuses: Vec<u16> = (1..8).map(|number| fail(&format!("8.8.8.{number}, 203.0.113.7"))).collect();
    assert_eq!((statuses[0], statuses[6]), (401, 429), "{statuses:?}");
    assert_eq!(fail("203.0.113.8"), 401, "another client of the same proxy");
    assert_eq!(get(&world, PROXY, "/app/x", wrong).status, 401, "the proxy itself");
}

/// L10: the networks of a token are compared with the client's address, which a stranger cannot choose.
#[test]
fn the_networks_of_a_token_are_the_clients_behind_a_proxy() {
    let upstream = Upstream::echo();
    let world = World::open(&behind_proxies(&upstream, ALL));
    world.proxy_user("billing", &["user"]);
    let networks = Networks::from_iter(["203.0.113.0/24".parse().unwrap()]);
    let narrow = world.token("billing", Restrictions { networks, ..Restrictions::default() });
    let ask = |from, hops: &str| {
        get(&world, from, "/app/x", &format!("{}X-Forwarded-For: {hops}\r\n", narrow.basic())).status
    };
    assert_eq!(ask(PROXY, "203.0.113.7"), 200);
    assert_eq!(ask(PROXY, "203.0.113.7, 198.51.100.1"), 401);
    assert_eq!(ask(STRANGER, "203.0.113.7"), 401);
    assert_eq!(ask(PROXY, "203.0.113.7"), 200);
}

fn by_proxy_protocol(upstream: &Upstream) -> Plan {
    Plan {
        entrance: Entrance { proxy_protocol: trusted(), ..Entrance::default() },
        limits: Limits { handshake_timeout: Duration::from_secs(1), ..Limits::default() },
        ..behind_proxies(upstream, ALL)
    }
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn block(command: u8, values: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    let length = u16::try_from(12 + values.len()).unwrap().to_be_bytes();
    bytes.extend([0x20 | command, 0x11, length[0], length[1]]);
    bytes.extend([203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb]);
    bytes.extend(values);
    bytes
}

const REQUEST: &[u8] = b"GET /pub/x HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n";

/// G10: both versions, whole or in pieces; the client so named is then no proxy whose headers count.
#[test]
fn the_proxy_protocol_names_the_client() {
    let upstream = Upstream::echo();
    let world = World::open(&by_proxy_protocol(&upstream));
    for (header, named, scheme) in [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(), "203.0.113.7", "http"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n".to_vec(), "2001:db8::7", "http"),
        (b"PROXY TCP4 127.0.0.3 10.0.0.1 4711 443\r\n".to_vec(), "8.8.8.8", "http"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "8.8.8.8", "http"),
        (block(1, &[]), "203.0.113.7", "http"),
        (block(1, &[0x20, 0, 5, 1, 0, 0, 0, 0]), "203.0.113.7", "https"),
        (block(0, &[]), "8.8.8.8", "http"),
    ] {
        for pieces in [1, 3] {
            let mut client = Client::connect_from(PROXY, world.address);
            let bytes = [&header[..], REQUEST].concat();
            for piece in bytes.chunks(bytes.len().div_ceil(pieces * pieces)) {
                client.send(piece);
                std::thread::sleep(Duration::from_millis(5 * (pieces as u64 - 1)));
            }
            assert_eq!(client.answer().unwrap().status, 200, "{header:?}");
            client.send(REQUEST);
            assert_eq!(client.answer().unwrap().status, 200, "the second request of {header:?}");
            let seen = upstream.last();
            assert_eq!(seen.value("x-forwarded-for").unwrap(), named, "{header:?}");
            assert_eq!(seen.value("x-forwarded-proto").unwrap(), scheme, "{header:?}");
        }
    }
}

/// HD-031, HD-032: from a stranger it is no HTTP; from a proxy it is a must, and has to be right.
#[test]
fn a_header_that_is_forged_wrong_missing_or_slow_ends_the_connection() {
    let upstream = Upstream::echo();
    let world = World::open(&by_proxy_protocol(&upstream));
    for header in [b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(), block(1, &[])] {
        let mut client = Client::connect_from(STRANGER, world.address);
        client.send([&header[..], REQUEST].concat());
        assert_eq!(client.answer().map(|answer| answer.status), Some(400), "{header:?}");
        assert!(client.is_closed());
    }
    assert_eq!(get(&world, STRANGER, "/pub/x", "").status, 200, "a stranger without is an ordinary client");
    assert_eq!(upstream.last().value("x-forwarded-for").unwrap(), "127.0.0.1");
    let before = upstream.count();
    for bytes in [
        REQUEST.to_vec(),
        [b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n", REQUEST].concat(),
        [&block(1, &[0x20, 0, 9, 1])[..], REQUEST].concat(),
        [&block(1, &[0x04, 0])[..], REQUEST].concat(),
        [&block(7, &[])[..], REQUEST].concat(),
    ] {
        let mut client = Client::connect_from(PROXY, world.address);
        client.send(&bytes);
        assert!(client.is_closed(), "{:?}", String::from_utf8_lossy(&bytes));
    }
    let mut slow = Client::connect_from(PROXY, world.address);
    slow.send(b"PROXY TCP4 203.0.113.7");
    let started = Instant::now();
    assert!(slow.is_closed());
    assert!(started.elapsed() < Duration::from_secs(5), "it was waited for {:?}", started.elapsed());
    assert_eq!(upstream.count(), before);
}
