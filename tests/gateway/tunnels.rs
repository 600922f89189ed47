//! WebSockets and other tunnels, byte by byte: how they begin, and what flows (G1).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use locum::gateway::{Origin, TunnelSettings};

use crate::client::Client;
use crate::upstream::{Next, Seen, Upstream, respond};
use crate::world::{Plan, World};

/// The key and the answer to it of RFC 6455 §1.3.
pub(crate) const KEY: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
pub(crate) const ASK: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
pub(crate) const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An app that accepts every WebSocket with `head`, and then does `then` with the connection.
pub(crate) fn accepting(head: &'static str, then: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Upstream {
    let then = Arc::new(then);
    Upstream::start(
        move |seen, stream| {
            if seen.values("upgrade").is_empty() {
                return None;
            }
            // In a thread of its own, so that the request is remembered at once.
            let (mut stream, then) = (stream.try_clone().unwrap(), Arc::clone(&then));
            std::thread::spawn(move || {
                stream.write_all(head.as_bytes()).unwrap();
                then(&mut stream);
            });
            Some(Next::Close)
        },
        |seen, stream| respond(stream, "200 OK", &[], seen.target().as_bytes()),
    )
}

/// An app that sends back whatever comes, until its client has said its last.
pub(crate) fn echoing() -> Upstream {
    accepting(ACCEPTED, echo)
}

pub(crate) fn echo(stream: &mut TcpStream) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(read) = stream.read(&mut piece)
        && read > 0
    {
        if stream.write_all(&piece[..read]).is_err() {
            return;
        }
    }
}

pub(crate) fn request(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n")
}

/// Opens a tunnel and leaves it to be spoken on.
pub(crate) fn open(world: &World, path: &str, lines: &str) -> Client {
    let mut client = world.client();
    client.send(request(path, lines));
    let head = client.head().expect("an answer");
    assert_eq!(head.status, 101, "{}", head.head);
    assert_eq!(head.value("upgrade").unwrap(), "websocket");
    assert_eq!(head.value("connection").unwrap().to_lowercase(), "upgrade");
    assert_eq!(head.value("sec-websocket-accept").unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(head.value("content-length"), None);
    client
}

/// As many bytes as that, or as many as come.
pub(crate) fn read(client: &mut Client, length: usize) -> Vec<u8> {
    while client.buffer.len() < length && client.fill() {}
    let length = length.min(client.buffer.len());
    client.buffer.drain(..length).collect()
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// G1: the app is asked with the client's handshake and told who it is; what follows goes both ways untouched, also
/// what comes in one piece with the app's answer; and what one side says last, the other hears.
#[test]
fn a_websocket_goes_through_as_it_is() {
    let upstream = accepting(ACCEPTED, |stream| {
        stream.write_all(b"\x81\x05first").unwrap();
        echo(stream);
    });
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let more = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\nX-Own: y\r\n";
    let mut client = open(&world, "/app/x?a=b", &format!("{}{ASK}{KEY}{more}", billing.basic()));
    assert_eq!(read(&mut client, 7), b"\x81\x05first");
    let seen = upstream.wait_for(|seen| !seen.is_empty()).remove(0);
    assert_eq!(seen.request_line(), "GET /app/x?a=b HTTP/1.1");
    for (name, value) in [
        ("connection", Some("Upgrade")),
        ("upgrade", Some("websocket")),
        ("sec-websocket-key", Some("dGhlIHNhbXBsZSBub25jZQ==")),
        ("sec-websocket-version", Some("13")),
        ("sec-websocket-protocol", Some("chat")),
        ("sec-websocket-extensions", Some("permessage-deflate")),
        ("x-own", Some("y")),
        ("x-locum-user", Some("billing")),
        ("authorization", None),
        ("content-length", None),
        ("transfer-encoding", None),
    ] {
        assert_eq!(seen.value(name).as_deref(), value, "{name}");
    }
    // What would be a request is no request here.
    let noise = b"GET /admin/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: x\r\n\r\n\0\xff\n\n";
    for _ in 0..3 {
        client.send(noise);
        assert_eq!(read(&mut client, noise.len()), noise);
    }
    assert_eq!((world.in_flight.len(), upstream.count()), (1, 1));
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.is_closed());
    wait_until("it left the register", || world.in_flight.is_empty());
}

/// UP-001, UP-002, UP-003, UP-004, UP-006, UP-007, EX-008: what is no switch, or none that both sides agree on, is answered or goes
/// on as a plain request; and an app is asked for none that its route does not allow.
#[test]
fn what_is_not_agreed_on_becomes_no_tunnel() {
    let upstream = Upstream::start(
        |seen, stream| {
            let answer: &[u8] = match (seen.target().as_str(), seen.value("upgrade")) {
                ("/app/101", _) | (_, Some(_)) if !seen.target().contains("bad") => ACCEPTED.as_bytes(),
                ("/app/bad/no-upgrade", _) => b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                ("/app/bad/other", _) => b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                ("/app/bad/no-connection", _) => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                ("/app/bad/no-accept", _) => b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                ("/app/bad/accept", _) => b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                ("/app/bad/403", _) => b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                ("/app/bad/200", _) => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                _ => return None,
            };
            stream.write_all(answer).unwrap();
            Some(Next::Open)
        },
        |_, stream| respond(stream, "200 OK", &[], b"plain"),
    );
    let world = World::before(upstream.address);
    let valid = world.proxy_user("billing", &["user"]).basic();
    let all = format!("{valid}{ASK}{KEY}");
    let version = |version: &str| all.replace("Version: 13", &format!("Version: {version}"));
    // The answer, and whether the app was asked to switch; `None` where it saw nothing.
    let (asked, plain, nothing) = (Some(true), Some(false), None);
    let rows = [
        ("UP-002", request("/app/bad/403", &all), 403, asked),
        ("UP-002", request("/app/bad/200", &all), 200, asked),
        ("UP-003", request("/app/bad/no-upgrade", &all), 502, asked),
        ("UP-003", request("/app/bad/other", &all), 502, asked),
        ("UP-003", request("/app/bad/no-connection", &all), 502, asked),
        ("UP-003", request("/app/bad/no-accept", &all), 502, asked),
        ("UP-003", request("/app/bad/accept", &all), 502, asked),
        ("EX-008", request("/app/101", &valid), 502, plain),
        ("EX-008", request("/app/101", &format!("{valid}Upgrade: websocket\r\n{KEY}")), 502, plain),
        ("UP-004", request("/app/x", &all).replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc"), 400, nothing),
        (
            "UP-004",
            request("/app/x", &all).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400,
            nothing,
        ),
        ("UP-006", request("/app/x", &format!("{valid}Upgrade: websocket\r\n{KEY}")), 200, plain),
        ("UP-006", request("/app/x", &format!("{valid}Connection: close\r\nUpgrade: websocket\r\n{KEY}")), 200, plain),
        ("UP-007", request("/app/x", &all).replace("GET", "POST"), 200, plain),
        (
            "UP-007",
            request("/app/x", &all).replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc"),
            200,
            plain,
        ),
        ("UP-007", request("/plain/x", &all), 200, plain),
        ("UP-007", request("/own-protocol/x", &all), 200, plain),
        ("UP-007", request("/app/x", &all.replace("websocket", "h2c")), 200, plain),
        ("UP-007", request("/app/x", &format!("{all}Upgrade: websocket\r\n")), 200, plain),
        ("UP-007", request("/app/x", &all).replace("HTTP/1.1", "HTTP/1.0"), 200, plain),
        ("key", request("/app/x", &format!("{valid}{ASK}Sec-WebSocket-Version: 13\r\n")), 400, nothing),
        ("key", request("/app/x", &format!("{all}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")), 400, nothing),
        ("version", request("/app/x", &version("8")), 400, nothing),
        ("version", request("/app/x", &format!("{all}Sec-WebSocket-Version: 8\r\n")), 400, nothing),
        ("no credential", request("/app/x", &format!("{ASK}{KEY}")), 401, nothing),
        ("no role", request("/admin/x", &all), 403, nothing),
        ("no route", request("/nowhere", &all), 404, nothing),
        ("method", request("/app/x", &all).replace("GET /app", "BREW /app"), 200, plain),
    ];
    let mut failures = Vec::new();
    for (id, request, status, seen) in &rows {
        let before = upstream.count();
        let mut client = world.client();
        client.send(request);
        let answer = client.answer().unwrap();
        let arrived: Vec<Seen> = match seen {
            None => upstream.seen(),
            Some(_) => upstream.wait_for(|all| all.len() > before),
        };
        let arrived = &arrived[before..];
        let switched =
            arrived.first().map(|seen| seen.value("upgrade").is_some() && seen.value("connection").is_some());
        let kept_hop = arrived.iter().any(|seen| seen.value("upgrade").is_some() != seen.value("connection").is_some());
        if answer.status != *status || switched != *seen || kept_hop || answer.value("upgrade").is_some() {
            failures.push(format!("{id}: {request}\n  {} {switched:?}\n  {arrived:?}", answer.status));
        }
        // Whatever was answered, the connection speaks HTTP as before, or is closed.
        client.send(self::request("/app/after", &valid));
        match client.answer() {
            Some(after) if after.status == 200 && after.text() == "plain" => {}
            None if *status == 400 || request.contains("close") || request.contains("/1.0") => {}
            other => failures.push(format!("{id}: {request}\n  then {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(world.in_flight.is_empty());
}

/// UP-001: who does not wait for the app to agree gets no tunnel, and nothing that it sent in advance reaches the app.
#[test]
fn early_bytes_are_refused_and_reach_nobody() {
    let reached = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&reached);
    let upstream = Upstream::start(
        move |_, stream| {
            std::thread::sleep(Duration::from_millis(300));
            stream.write_all(ACCEPTED.as_bytes()).unwrap();
            let mut rest = Vec::new();
            let _reset_or_end = stream.read_to_end(&mut rest);
            seen.fetch_add(rest.len(), Ordering::SeqCst);
            Some(Next::Close)
        },
        |_, _| Next::Close,
    );
    let world = World::before(upstream.address);
    let lines = format!("{}{ASK}{KEY}", world.proxy_user("billing", &["user"]).basic());
    for (pause, early) in [
        (Duration::ZERO, "GET /admin/x HTTP/1.1\r\nHost: app.test\r\n\r\n"),
        (Duration::ZERO, "G"),
        (Duration::from_millis(100), "\u{81}"),
        (Duration::from_millis(100), "GET /admin/x HTTP/1.1\r\nHost: app.test\r\n\r\n"),
    ] {
        let mut client = world.client();
        let request = request("/app/x", &lines);
        if pause.is_zero() {
            client.send(request + early);
        } else {
            client.send(request);
            std::thread::sleep(pause);
            client.send(early);
        }
        let answer = client.answer().unwrap();
        assert_eq!(answer.status, 400, "{early:?}: {}", answer.head);
        assert!(client.is_closed());
    }
    wait_until("the apps saw the end", || upstream.count() == 4);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

/// UP-008: a page of another site opens no tunnel with a credential that Locum judged, unless it is allowed; who
/// presents none is the app's own guest.
#[test]
fn a_page_of_another_site_is_refused_unless_it_is_allowed() {
    let upstream = echoing();
    let allowed_origins = vec![Origin::parse("https://www.example.org").unwrap()];
    let tunnels = TunnelSettings { allowed_origins, ..TunnelSettings::default() };
    let world = World::open(&Plan { tunnels, ..Plan::of(upstream.address) });
    let valid = world.proxy_user("billing", &["user"]).basic();
    for (path, credential, origin, status) in [
        ("/app/x", &*valid, "Origin: http://app.test\r\n", 101),
        ("/app/x", &valid, "Origin: https://www.example.org\r\n", 101),
        ("/app/x", &valid, "", 101),
        ("/app/x", &valid, "Origin: https://evil.test\r\n", 403),
        ("/app/x", &valid, "Origin: null\r\n", 403),
        ("/app/x", &valid, "Origin: http://app.test\r\nOrigin: https://evil.test\r\n", 403),
        ("/pub/x", &valid, "Origin: https://evil.test\r\n", 403),
        ("/pub/x", "", "Origin: https://evil.test\r\n", 101),
    ] {
        let before = upstream.count();
        let mut client = world.client();
        client.send(request(path, &format!("{credential}{ASK}{KEY}{origin}")));
        let head = client.head().unwrap();
        assert_eq!(head.status, status, "{path} {origin}");
        let arrives = usize::from(status == 101);
        let seen = upstream.wait_for(|seen| seen.len() >= before + arrives);
        assert_eq!(seen.len() - before, arrives, "{path} {origin}");
    }
}

/// G1: another protocol than WebSocket, by its name; without a goodbye when it ends.
#[test]
fn a_protocol_of_ones_own_is_allowed_by_name() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: own/2\r\n\r\n";
    let upstream = accepting(head, echo);
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let lines = format!("{}Connection: upgrade\r\nUpgrade: h2c, own/1, OWN/2\r\n", billing.basic());
    let mut client = world.client();
    client.send(request("/own-protocol/x", &lines));
    assert_eq!(client.head().unwrap().status, 101);
    let seen = upstream.wait_for(|seen| !seen.is_empty());
    assert_eq!(seen[0].value("upgrade").unwrap(), "OWN/2");
    // As steps on the way to an answer look, of which a connection may bring only so many.
    for _ in 0..100 {
        client.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(read(&mut client, 25), b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    world.revoke(&billing);
    assert!(client.is_closed());
}

/// G1: half-closed in either direction, the other one goes on.
#[test]
fn each_direction_ends_by_itself() {
    let upstream = accepting(ACCEPTED, |stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let world = World::before(upstream.address);
    let mut client = open(&world, "/pub/x", &format!("{ASK}{KEY}"));
    client.send(b"all of it");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read(&mut client, 100), b"all of it");

    let last_words = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&last_words);
    let upstream = accepting(ACCEPTED, move |stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        heard.lock().unwrap().extend(all);
    });
    let world = World::before(upstream.address);
    let mut client = open(&world, "/pub/x", &format!("{ASK}{KEY}"));
    assert!(client.is_closed());
    client.send(b"still there");
    client.stream.shutdown(Shutdown::Write).unwrap();
    wait_until("the app hears it", || *last_words.lock().unwrap() == b"still there");
}

/// G1: whatever flows, both ways at once and against each other's pace, it arrives whole; where one side takes nothing,
/// the other one is made to wait, and the gateway keeps next to nothing.
#[test]
fn a_large_echo_flows_in_constant_memory() {
    const ALL: usize = 256 * 1024 * 1024;
    /// The buffers of four sockets, each in both directions, and not a fifth thing.
    const IN_KERNELS: usize = 64 * 1024 * 1024;
    let upstream = echoing();
    let world = World::before(upstream.address);
    let mut client = open(&world, "/pub/x", &format!("{ASK}{KEY}"));
    let pattern: Vec<u8> = (0..=250).cycle().take(251 * 1025).collect();
    let mut writer = client.stream.try_clone().unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let (to_send, count) = (pattern.clone(), Arc::clone(&sent));
    let sender = std::thread::spawn(move || {
        for part in to_send[..251 * 1024].chunks(251 * 64).cycle() {
            let left = ALL - count.load(Ordering::SeqCst);
            if left == 0 {
                break;
            }
            let part = &part[..part.len().min(left)];
            writer.write_all(part).unwrap();
            count.fetch_add(part.len(), Ordering::SeqCst);
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    wait_until("the client is made to wait", || {
        let before = sent.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        sent.load(Ordering::SeqCst) == before && before > 0
    });
    let stuck_at = sent.load(Ordering::SeqCst);
    assert!(stuck_at < IN_KERNELS, "{stuck_at} bytes went somewhere");
    let (mut at, mut piece) = (0, vec![0; 251 * 1024]);
    while at < ALL {
        let read = client.stream.read(&mut piece).unwrap();
        assert!(read > 0, "ended after {at}");
        assert!(piece[..read] == pattern[at % 251..][..read], "other bytes at {at}");
        at += read;
    }
    sender.join().unwrap();
    assert_eq!(client.stream.read(&mut piece).unwrap(), 0);
}
