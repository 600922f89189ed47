//! WebSockets over HTTP/2, by frames (RFC 8441).

use std::io::Write;
use std::time::{Duration, Instant};

use locum::server::data_plane::Limits;
use locum::server::entrance::Entrance;

use crate::frames::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, RST_STREAM, WINDOW_UPDATE, block, status,
};
use crate::tunnel_ends::BOUND;
use crate::tunnels::{ACCEPTED, echo, wait_until};
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Credential, Plan, World};

/// An app that computes its answer to whatever key comes, as a real one does, and then sends back whatever comes.
fn accepting_any() -> Upstream {
    Upstream::start(
        |seen, stream| {
            let key = seen.value("sec-websocket-key")?;
            let text = [key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
            let accept = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
            let switch = ACCEPTED.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &accept);
            let answer = match &*seen.target() {
                "/app/403" => "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".to_owned(),
                "/app/200" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
                "/app/wrong" => ACCEPTED.to_owned(),
                _ => switch.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
            };
            let mut stream = stream.try_clone().unwrap();
            std::thread::spawn(move || {
                stream.write_all(answer.as_bytes()).unwrap();
                if answer.contains(" 101 ") {
                    echo(&mut stream);
                }
            });
            Some(Next::Close)
        },
        |_, stream| respond(stream, "200 OK", &[], b"plain"),
    )
}

/// A world that speaks HTTP/2 without TLS.
fn with_http2(upstream: &Upstream) -> World {
    World::open(&Plan { entrance: Entrance { h2c: true, ..Entrance::default() }, ..Plan::of(upstream.address) })
}

/// An extended `CONNECT` (RFC 8441 §4), its stream left open.
fn connect(client: &mut Frames, stream: u32, path: &str, credential: &Credential, more: &[(&str, &str)]) {
    let basic = credential.basic();
    let authorization = basic.trim_start_matches("Authorization: ").trim_end();
    let head = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "app.test"),
        ("sec-websocket-version", "13"),
        ("authorization", authorization),
    ];
    client.frame(HEADERS, END_HEADERS, stream, &block(&[&head[..], more].concat()));
}

/// The bytes of a stream, until there are so many, or to its end; and whether it ended.
fn data(client: &mut Frames, stream: u32, length: usize) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let Some(frame) = client.of(stream) else { return (bytes, true) };
        assert_eq!(frame.kind, DATA, "{frame:?}");
        bytes.extend(&frame.payload);
        if frame.flags & END_STREAM != 0 {
            return (bytes, true);
        }
    }
    (bytes, false)
}

/// G1: a WebSocket over HTTP/2 reaches the app as one of HTTP/1.1, with a key of its own; other streams of the
/// connection go on beside it, and what one side says last, the other hears.
#[test]
fn a_websocket_over_http2_arrives_as_one_of_http1() {
    let upstream = accepting_any();
    let world = with_http2(&upstream);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Frames::connect(world.address);
    let mut keys = Vec::new();
    for stream in [1, 3] {
        connect(&mut client, stream, "/app/x?a=b", &billing, &[("sec-websocket-protocol", "chat")]);
        let head = client.of(stream).unwrap();
        assert_eq!((head.kind, head.flags & END_STREAM, status(&head.payload)), (HEADERS, 0, 200));
        for text in ["upgrade", "connection", "sec-websocket-accept"] {
            assert!(!String::from_utf8_lossy(&head.payload).contains(text), "{head:?}");
        }
        client.frame(DATA, 0, stream, b"\x81\x05hello");
        assert_eq!(data(&mut client, stream, 7), (b"\x81\x05hello".to_vec(), false));
    }
    wait_until("two tunnels run", || world.in_flight.len() == 2);
    let basic = billing.basic();
    let authorization = basic.trim_start_matches("Authorization: ").trim_end();
    let plain = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "app.test"),
        (":path", "/app/y"),
        ("authorization", authorization),
    ];
    client.request(5, &plain);
    assert_eq!(client.outcome(5), Outcome::Status(200));
    for stream in [1, 3] {
        client.frame(DATA, END_STREAM, stream, b"last");
        assert_eq!(data(&mut client, stream, usize::MAX), (b"last".to_vec(), true));
    }
    wait_until("it left the register", || world.in_flight.is_empty());
    for seen in upstream.wait_for(|seen| seen.len() == 3).iter().filter(|seen| seen.target() == "/app/x?a=b") {
        assert_eq!(seen.request_line(), "GET /app/x?a=b HTTP/1.1");
        for (name, value) in [
            ("host", Some("app.test")),
            ("connection", Some("Upgrade")),
            ("upgrade", Some("websocket")),
            ("sec-websocket-version", Some("13")),
            ("sec-websocket-protocol", Some("chat")),
            ("x-locum-user", Some("billing")),
            ("authorization", None),
        ] {
            assert_eq!(seen.value(name).as_deref(), value, "{name}");
        }
        keys.push(seen.value("sec-websocket-key").unwrap());
    }
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

/// UP-002, UP-003, UP-007, UP-008, UP-009: over HTTP/2 a tunnel is judged as any request is; what is none ends its stream
/// only, and only an agreement of the app is a success.
#[test]
fn an_extended_connect_that_may_not_be_ends_its_stream_only() {
    let upstream = accepting_any();
    let world = with_http2(&upstream);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Frames::connect(world.address);
    let rows = [
        ("/plain/x", &[][..], 501, false),
        ("/own-protocol/x", &[], 501, false),
        ("/admin/x", &[], 403, false),
        ("/nowhere", &[], 404, false),
        ("/app/x", &[("origin", "https://evil.test")], 403, false),
        ("/app/x", &[("sec-websocket-version", "8")], 400, false),
        ("/app/403", &[], 403, true),
        ("/app/200", &[], 502, true),
        ("/app/wrong", &[], 502, true),
    ];
    for (at, (path, more, status, reaches)) in (0_u32..).zip(rows) {
        let before = upstream.count();
        connect(&mut client, 1 + 2 * at, path, &billing, more);
        assert_eq!(client.outcome(1 + 2 * at), Outcome::Status(status), "{path} {more:?}");
        let reaches = usize::from(reaches);
        let seen = upstream.wait_for(|seen| seen.len() >= before + reaches);
        assert_eq!(seen.len() - before, reaches, "{path} {more:?}");
    }
    connect(&mut client, 101, "/app/x", &billing, &[]);
    assert_eq!(client.outcome(101), Outcome::Status(200));

    let limits = Limits { extended_connect: false, ..Limits::default() };
    let entrance = Entrance { h2c: true, ..Entrance::default() };
    let world = World::open(&Plan { limits, entrance, ..Plan::of(upstream.address) });
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Frames::connect(world.address);
    let before = upstream.count();
    connect(&mut client, 1, "/app/x", &billing, &[]);
    assert_eq!(client.outcome(1), Outcome::Reset(1), "told by no setting that it can be asked for");
    assert_eq!(upstream.count(), before);
}

/// R3: a tunnel over HTTP/2 is cut as one over HTTP/1.1 is, and other people's streams of the connection go on; one of
/// which its client takes nothing is reset.
#[test]
fn a_withdrawn_websocket_over_http2_ends_its_stream_only() {
    let upstream = accepting_any();
    let world = with_http2(&upstream);
    let (billing, other) = (world.proxy_user("billing", &["user"]), world.proxy_user("other", &["user"]));
    let mut client = Frames::connect(world.address);
    for (stream, credential) in [(1, &billing), (3, &other), (5, &billing)] {
        connect(&mut client, stream, "/app/x", credential, &[]);
        assert_eq!(client.outcome(stream), Outcome::Status(200));
    }
    // More than a client has room for that gives none: 64 KiB.
    client.frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes());
    let frame = [&[0x82, 127][..], &70_000_u64.to_be_bytes(), &vec![0; 70_000][..]].concat();
    for piece in frame.chunks(16 * 1024) {
        client.frame(DATA, 0, 5, piece);
    }
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    world.revoke(&billing);
    let (bytes, ended) = data(&mut client, 1, usize::MAX);
    assert_eq!((&bytes[..4], ended), (&[0x88, 18, 0x03, 0xf0][..], true));
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    wait_until("it left the register", || world.in_flight.len() == 1);
    let reset = loop {
        let frame = client.of(5).expect("the connection goes on");
        if frame.kind == RST_STREAM {
            break frame;
        }
        assert_eq!((frame.kind, frame.flags & END_STREAM), (DATA, 0), "{frame:?}");
    };
    assert_eq!(reset.stream, 5);
    client.frame(DATA, 0, 3, b"x");
    assert_eq!(data(&mut client, 3, 1), (b"x".to_vec(), false));
}

/// R3: when the gateway ends, a WebSocket over HTTP/2 is told to come back too.
#[test]
fn at_the_end_of_the_gateway_websockets_over_http2_are_told_to_come_back() {
    let upstream = accepting_any();
    let world = with_http2(&upstream);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = Frames::connect(world.address);
    connect(&mut client, 1, "/app/x", &billing, &[]);
    assert_eq!(client.outcome(1), Outcome::Status(200));
    let started = Instant::now();
    let dropped = std::thread::spawn(move || drop(world));
    let goodbye = loop {
        let frame = client.next().expect("a goodbye first");
        if frame.stream == 1 {
            break frame;
        }
    };
    assert_eq!((goodbye.kind, &goodbye.payload[..4]), (DATA, &[0x88, 22, 0x03, 0xf4][..]));
    client.frame(DATA, END_STREAM, 1, b"");
    dropped.join().unwrap();
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
}
