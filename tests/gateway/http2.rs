//! HTTP/2 without TLS, frame by frame: what arrives at the app, what is refused, and what ends a stream,
//! the connection, or neither.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use locum::server::entrance::Entrance;

use crate::cuts::streaming;
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
    frame, text,
};
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Credential, Plan, World};

pub(crate) fn open(upstream: &Upstream) -> World {
    World::open(&Plan { entrance: Entrance { h2c: true, ..Entrance::default() }, ..Plan::of(upstream.address) })
}

/// The line of `Authorization`, without name and end.
pub(crate) fn value_of(credential: &Credential) -> String {
    credential.basic().trim_start_matches("Authorization: ").trim_end().to_owned()
}

/// The pseudo-headers of a request, and a credential.
pub(crate) fn head<'a>(method: &'a str, path: &'a str, authorization: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "app.test"),
        (":path", path),
        ("authorization", authorization),
    ]
}

pub(crate) fn request<'a>(
    method: &'a str,
    path: &'a str,
    authorization: &'a str,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    [head(method, path, authorization), more.to_vec()].concat()
}

/// G1, H2-011: an app of HTTP/1.1 gets a request of HTTP/1.1, with one `Host`, one cookie and no pseudo-header.
#[test]
fn a_request_of_http2_arrives_as_one_of_http1() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut client = Frames::connect(world.address);
    client.request(
        1,
        &request(
            "GET",
            "/app/x?a=b",
            &valid,
            &[("cookie", "a=1"), ("x-own", "y"), ("cookie", "b=2"), ("te", "trailers")],
        ),
    );
    assert_eq!(client.outcome(1), Outcome::Status(200));
    assert_eq!(client.of(1).unwrap().payload, b"/app/x?a=b");
    let seen = upstream.last();
    assert_eq!(seen.request_line(), "GET /app/x?a=b HTTP/1.1");
    for (name, value) in [
        ("host", Some("app.test")),
        ("cookie", Some("a=1; b=2")),
        ("x-own", Some("y")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("app.test")),
        ("x-locum-user", Some("billing")),
        ("authorization", None),
        ("te", None),
        ("connection", None),
    ] {
        assert_eq!(seen.value(name).as_deref(), value, "{name}");
    }
    assert!(!seen.text().lines().any(|line| line.starts_with(':')), "{}", seen.text());
}

/// HO-001: one host: `:authority`, with a `Host` that agrees or without, and never `Host` alone.
#[test]
fn authority_and_host_are_one() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    for (authority, host, scheme, must) in [
        (Some("app.test"), Some("app.test"), "http", 200),
        (Some("app.test:80"), Some("APP.test"), "http", 200),
        (None, Some("app.test"), "http", 400),
        (None, Some("app.test"), "https", 400),
        (Some("app.test"), Some("other.test"), "http", 400),
        (Some("app.test"), Some("app.test:8080"), "http", 400),
        (Some("user@app.test"), None, "http", 400),
        (None, None, "http", 400),
        (Some("app.test"), None, "https", 400),
    ] {
        let mut fields = vec![(":method", "GET"), (":scheme", scheme), (":path", "/app/x"), ("authorization", &valid)];
        if let Some(authority) = authority {
            fields.insert(2, (":authority", authority));
        }
        fields.extend(host.map(|host| ("host", host)));
        let before = upstream.count();
        let mut client = Frames::connect(world.address);
        client.request(1, &fields);
        let outcome = client.outcome(1);
        let refused = matches!(outcome, Outcome::Status(400) | Outcome::Reset(1));
        let right = if must == 200 { outcome == Outcome::Status(200) } else { refused };
        assert!(right, "{authority:?} {host:?} {scheme}: {outcome:?}");
        assert_eq!(upstream.count() - before, usize::from(must == 200), "{authority:?} {host:?}");
    }
}

/// H2-001, H2-003, H2-004, H2-007, H2-008, H2-012, H2-013, UP-009: what is no request of HTTP/2 ends its stream, or
/// the connection where a head cannot even be decoded, and nothing reaches the app.
#[test]
fn a_malformed_request_ends_its_stream_only() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let get = |more: &[(&'static str, &'static str)]| request("GET", "/app/x", &valid, more);
    let pseudo = |method, scheme, path| {
        vec![
            (":method", method),
            (":scheme", scheme),
            (":authority", "app.test"),
            (":path", path),
            ("authorization", &*valid),
        ]
    };
    let rows: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("H2-001", pseudo("GET", "http", "")),
        ("H2-001", pseudo("GET", "http", "hello")),
        ("H2-001", pseudo("GET", "http", "http://app.test/app/x")),
        ("H2-001", pseudo("GET", "http", "/app/ x")),
        (
            "H2-001",
            vec![(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), ("authorization", &valid)],
        ),
        ("H2-003", pseudo("GET / HTTP/1.1\r\nx: y", "http", "/app/x")),
        ("H2-003", pseudo("", "http", "/app/x")),
        ("H2-004", pseudo("GET", "http://x/?", "/app/x")),
        ("H2-004", pseudo("GET", "ftp", "/app/x")),
        ("H2-007", get(&[("transfer-encoding", "chunked")])),
        ("H2-007", get(&[("connection", "close")])),
        ("H2-007", get(&[("connection", "x-own"), ("x-own", "1")])),
        ("H2-007", get(&[("upgrade", "websocket")])),
        ("H2-007", get(&[("keep-alive", "1")])),
        ("H2-008", get(&[("X-Own", "1")])),
        ("H2-008", get(&[("", "1")])),
        ("H2-008", get(&[("x:own", "1")])),
        ("H2-008", get(&[("x-own", "a\r\nx: y")])),
        ("H2-008", get(&[("x-own", "a\0b")])),
        ("H2-012", get(&[("te", "gzip")])),
        ("H2-013", request("POST", "/app/x", &valid, &[("content-length", "10")])),
        ("H2-013", get(&[("content-length", "x")])),
        ("H2-013", get(&[("content-length", "")])),
        ("H2-013", get(&[("content-length", "00")])),
        ("pseudo", get(&[(":path", "/app/y")])),
        ("pseudo", get(&[(":status", "200")])),
        ("unknown", get(&[(":unknown", "1")])),
        ("UP-009", request("CONNECT", "/app/x", &valid, &[])),
        ("UP-009", [vec![(":protocol", "websocket")], request("GET", "/app/x", &valid, &[])].concat()),
        ("HD-002", get(&[("x_locum_user", "root")])),
        ("HD-042", get(&[("authorization", "Basic bm9ib2R5Om5vbnNlbnNl")])),
    ];
    let (mut failures, mut ended) = (Vec::new(), 0);
    let undecodable = ["H2-003", "H2-008", "unknown"];
    for (id, fields) in &rows {
        let mut client = Frames::connect(world.address);
        client.request(1, fields);
        let outcome = client.outcome(1);
        if matches!(outcome, Outcome::Goaway(1)) && undecodable.contains(id) {
            ended += 1;
            continue;
        }
        if !matches!(outcome, Outcome::Status(400 | 405) | Outcome::Reset(1)) {
            failures.push(format!("{id}: {fields:?}: {outcome:?}"));
            continue;
        }
        client.request(3, &get(&[]));
        let other = client.outcome(3);
        if other != Outcome::Status(200) {
            failures.push(format!("{id}: {fields:?}: the next stream: {other:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(upstream.count(), rows.len() - ended, "only the good ones arrived");
}

/// H2-009, H2-010, H2-013: a body is framed anew, and one that is not what its length said is never whole.
#[test]
fn a_body_is_framed_anew_and_a_wrong_length_is_never_whole() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut client = Frames::connect(world.address);
    for (stream, method, late) in [(1, "POST", false), (3, "PUT", true), (5, "GET", true)] {
        client.frame(HEADERS, END_HEADERS, stream, &block(&head(method, "/app/body", &valid)));
        client.frame(DATA, 0, stream, b"hello ");
        client.frame(DATA, if late { 0 } else { END_STREAM }, stream, b"world");
        if late {
            std::thread::sleep(Duration::from_millis(50));
            client.frame(DATA, END_STREAM, stream, b"");
        }
        assert_eq!(client.outcome(stream), Outcome::Status(200), "{method}");
        let seen = upstream.last();
        assert_eq!((seen.body.as_slice(), seen.whole), (&b"hello world"[..], true), "{method}");
        assert_eq!(seen.value("transfer-encoding").as_deref(), Some("chunked"), "{method}");
    }
    client.frame(HEADERS, END_HEADERS, 7, &block(&request("POST", "/app/body", &valid, &[("content-length", "5")])));
    client.frame(DATA, END_STREAM, 7, b"hello");
    assert_eq!(client.outcome(7), Outcome::Status(200));
    assert_eq!(upstream.last().value("content-length").as_deref(), Some("5"));

    for (number, length) in ["", "005", "00005", "+5"].into_iter().enumerate() {
        let (before, stream) = (upstream.count(), 31 + 2 * u32::try_from(number).unwrap());
        let mut client = Frames::connect(world.address);
        client.frame(
            HEADERS,
            END_HEADERS,
            stream,
            &block(&request("POST", "/app/body", &valid, &[("content-length", length)])),
        );
        client.frame(DATA, END_STREAM, stream, b"hello");
        let outcome = client.outcome(stream);
        assert!(matches!(outcome, Outcome::Reset(1) | Outcome::Status(400)), "{length:?}: {outcome:?}");
        assert_eq!(upstream.count(), before, "{length:?}");
    }

    let before = upstream.count();
    for (number, (length, data)) in [("5", &b"hello world"[..]), ("20", b"hello world")].into_iter().enumerate() {
        let stream = 9 + 2 * u32::try_from(number).unwrap();
        let fields = request("POST", "/app/body", &valid, &[("content-length", length)]);
        client.frame(HEADERS, END_HEADERS, stream, &block(&fields));
        client.frame(DATA, END_STREAM, stream, data);
        let outcome = client.outcome(stream);
        assert!(matches!(outcome, Outcome::Reset(_) | Outcome::Status(400 | 502)), "{length}: {outcome:?}");
    }
    std::thread::sleep(Duration::from_millis(200));
    let late = &upstream.seen()[before..];
    assert!(late.iter().all(|seen| !seen.whole), "{late:?}");
    client.request(21, &head("GET", "/app/x", &valid));
    assert_eq!(client.outcome(21), Outcome::Status(200), "the connection goes on");
}

/// PA-050: a fragment is cut off before anything looks at the path, and the app gets what was judged.
#[test]
fn a_fragment_reaches_nobody_over_http2() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut client = Frames::connect(world.address);
    client.request(1, &head("GET", "/app/x#/../../admin/y", &valid));
    let outcome = client.outcome(1);
    if outcome == Outcome::Status(200) {
        assert_eq!(upstream.last().target(), "/app/x");
    } else {
        assert!(matches!(outcome, Outcome::Status(400) | Outcome::Reset(1)), "{outcome:?}");
    }
    client.request(3, &head("GET", "/admin/y#/app/x", &valid));
    assert!(matches!(client.outcome(3), Outcome::Status(400 | 403) | Outcome::Reset(1)));
}

/// G2, G3, H2-027: streams of one connection are judged each by itself.
#[test]
fn streams_of_one_connection_are_judged_each_by_itself() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let (billing, keeper) = (world.proxy_user("billing", &["user"]), world.proxy_user("keeper", &["user", "admin"]));
    let (billing, keeper) = (value_of(&billing), value_of(&keeper));
    let mut client = Frames::connect(world.address);
    let mut bytes = Vec::new();
    for round in 0..20_u32 {
        for (offset, target, authorization) in [(1, "admin", &keeper), (3, "admin", &billing), (5, "app", &billing)] {
            let (stream, path) = (round * 8 + offset, format!("/{target}/{round}-{offset}"));
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&head("GET", &path, authorization))));
        }
        let nobody = &head("GET", "/app/nobody", "")[..4];
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, round * 8 + 7, &block(nobody)));
    }
    client.send(&bytes);
    for round in 0..20 {
        for (offset, status) in [(1, 200), (3, 403), (5, 200), (7, 401)] {
            assert_eq!(client.outcome(round * 8 + offset), Outcome::Status(status), "{round}, {offset}");
        }
    }
    for seen in upstream.seen() {
        let who = if seen.target().starts_with("/admin/") { "keeper" } else { "billing" };
        assert_eq!(seen.value("x-locum-user").as_deref(), Some(who), "{}", seen.target());
    }
    assert_eq!(upstream.count(), 40);
}

/// R3, RV-022: a cut resets the streams of whom it is about, and the others of the connection run on. One that is
/// stuck, because the client gives it no room, ends as well.
#[test]
fn a_cut_resets_its_own_streams_only() {
    let upstream = streaming();
    let world = open(&upstream);
    let (billing, other) = (world.proxy_user("billing", &["user"]), world.proxy_user("orders", &["user"]));
    let mut client = Frames::connect(world.address);
    client.request(1, &head("GET", "/app/stream", &value_of(&billing)));
    client.request(3, &head("GET", "/app/stream", &value_of(&other)));
    for stream in [1, 3] {
        assert_eq!(client.outcome(stream), Outcome::Status(200));
        assert_eq!(client.of(stream).unwrap().payload, b"hello");
    }
    world.revoke(&billing);
    let started = Instant::now();
    let reset = loop {
        let frame = client.of(1).unwrap();
        if frame.kind == RST_STREAM {
            break frame;
        }
        assert_eq!((frame.kind, frame.flags & END_STREAM), (DATA, 0), "what was cut came to a clean end");
        assert!(started.elapsed() < Duration::from_secs(5), "it was never cut");
    };
    assert_ne!(reset.payload, [0; 4]);
    for _ in 0..50 {
        assert_eq!(client.of(3).unwrap().kind, DATA, "another's stream runs on");
    }
    client.request(5, &head("GET", "/app/x", &value_of(&billing)));
    assert_eq!(client.outcome(5), Outcome::Status(401));
    client.request(7, &head("GET", "/app/x", &value_of(&other)));
    assert_eq!(client.outcome(7), Outcome::Status(200));
}

/// R3: a stream that the client gives no room to send on is reset too.
#[test]
fn a_cut_resets_a_stream_that_the_client_does_not_read() {
    let upstream = Upstream::start(
        |seen, stream| {
            use std::io::Write as _;
            if seen.target() != "/app/stream" {
                return None;
            }
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 8192]);
            }
            Some(Next::Close)
        },
        |_, stream| respond(stream, "200 OK", &[], b"here"),
    );
    let world = open(&upstream);
    let (billing, other) = (world.proxy_user("billing", &["user"]), world.proxy_user("orders", &["user"]));
    let mut client = Frames::connect(world.address);
    client.request(1, &head("GET", "/app/stream", &value_of(&billing)));
    assert_eq!(client.outcome(1), Outcome::Status(200));
    // The window of the stream is left to fill; that of the connection is made larger for the others.
    client.frame(WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(world.in_flight.len(), 1);
    world.revoke(&billing);
    let started = Instant::now();
    while !world.in_flight.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(5), "it still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    while client.of(1).unwrap().kind != RST_STREAM {}
    client.request(3, &head("GET", "/app/x", &value_of(&other)));
    assert_eq!(client.outcome(3), Outcome::Status(200), "the connection goes on");
}

/// H2-022: a client that takes nothing, and answers every PING, holds neither a stream nor the app for long, and a
/// refusal no longer than an answer. An app that takes its time is not the client's fault.
#[test]
fn a_stream_that_its_client_does_not_take_is_reset() {
    let upstream = Upstream::start(
        |seen, stream| {
            use std::io::Write as _;
            if seen.target() != "/pub/slow" {
                return None;
            }
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            std::thread::sleep(Duration::from_millis(1500));
            sent = sent.and_then(|()| stream.write_all(b"world"));
            sent.ok().map(|()| Next::Close)
        },
        |_, stream| respond(stream, "200 OK", &[], &vec![b'x'; 200_000]),
    );
    let mut plan = Plan { entrance: Entrance { h2c: true, ..Entrance::default() }, ..Plan::of(upstream.address) };
    plan.limits.stall_timeout = Duration::from_millis(300);
    plan.limits.min_rate = NonZeroU32::new(1_000_000);
    plan.limits.idle_timeout = Duration::from_millis(300);
    let world = World::open(&plan);
    let mut client = Frames::connect(world.address);
    client.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let started = Instant::now();
    for (stream, path, status) in [(1, "/pub/x", 200), (3, "/app/x", 401)] {
        client.request(stream, &head("GET", path, "")[..4]);
        assert_eq!(client.outcome(stream), Outcome::Status(status), "{path}");
    }
    for stream in [1, 3] {
        assert_eq!(client.of(stream).unwrap().kind, RST_STREAM, "{stream}");
    }
    assert!(matches!(client.end(), Outcome::Goaway(0) | Outcome::Closed), "it is idle, and ends");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

    let mut client = Frames::connect(world.address);
    client.request(1, &head("GET", "/pub/slow", "")[..4]);
    assert_eq!(client.outcome(1), Outcome::Status(200));
    let mut body = Vec::new();
    while body.len() < 10 {
        let frame = client.of(1).unwrap();
        assert_eq!(frame.kind, DATA, "the app was waited for");
        body.extend(frame.payload);
    }
    assert_eq!(body, b"helloworld");
}

/// Writes until the server ends the connection, and at most `most` times.
fn flood(client: &mut Frames, most: usize, mut bytes: impl FnMut(usize) -> Vec<u8>) -> usize {
    (0..most).find(|number| !client.send(&bytes(*number))).unwrap_or(most)
}

/// H2-020, H2-023, H2-024, G12: floods end the connection before they cost anything, and others are served.
#[test]
fn floods_end_their_connection() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let good = block(&head("GET", "/app/x", &valid));
    let bad = block(&head("GET", "/app/x", "Basic bm9ib2R5Om5vbnNlbnNl"));
    let id = |number: usize| u32::try_from(number * 2 + 1).unwrap();

    // Streams that the server has to reset, because of what the client says on them (MadeYouReset).
    let too_long = block(&request("POST", "/app/x", &valid, &[("content-length", "5")]));
    let overflow = 0x7fff_ffff_u32.to_be_bytes();
    let provocations: [&dyn Fn(u32) -> Vec<u8>; 3] = [
        &|id| [frame(HEADERS, END_HEADERS, id, &good), frame(WINDOW_UPDATE, 0, id, &overflow)].concat(),
        &|id| [frame(HEADERS, END_HEADERS, id, &too_long), frame(DATA, END_STREAM, id, b"hello world")].concat(),
        &|id| [frame(HEADERS, END_HEADERS, id, &good), frame(WINDOW_UPDATE, 0, id, &[0; 4])].concat(),
    ];
    for (number, provocation) in provocations.iter().enumerate() {
        let mut client = Frames::connect(world.address);
        flood(&mut client, 2_000, |number| provocation(id(number)));
        let end = client.end();
        assert!(matches!(end, Outcome::Goaway(1 | 11) | Outcome::Closed), "H2-020, {number}: {end:?}");
    }

    // Streams that the client resets itself (rapid reset).
    let mut client = Frames::connect(world.address);
    flood(&mut client, 20_000, |number| {
        let open = frame(HEADERS, END_HEADERS | END_STREAM, id(number), &good);
        [open, frame(RST_STREAM, 0, id(number), &[0, 0, 0, 8])].concat()
    });
    let end = client.end();
    assert!(matches!(end, Outcome::Goaway(11) | Outcome::Closed), "rapid reset: {end:?}");
    assert!(upstream.count() < 2_000, "{} reached the app", upstream.count());

    // Frames of data without data.
    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, END_HEADERS, 1, &good);
    let many = frame(DATA, 0, 1, &[]).repeat(1_000);
    let sent = flood(&mut client, 1_000, |_| many.clone());
    let end = client.end();
    assert!(matches!(end, Outcome::Goaway(_) | Outcome::Closed), "H2-023: {end:?} after {sent},000");

    // A head without end.
    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, END_STREAM, 1, &bad);
    let sent = flood(&mut client, 10_000, |number| {
        frame(CONTINUATION, 0, 1, &block(&[(&format!("x-{number}"), &"y".repeat(8_000))]))
    });
    let end = client.end();
    assert!(matches!(end, Outcome::Goaway(_) | Outcome::Closed), "H2-024: {end:?}");
    assert!(sent < 10_000, "H2-024: all of it was read");

    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &good);
    assert_eq!(client.outcome(1), Outcome::Status(200), "others are served");
}

/// G12, H2-026: who resets streams once the head of the answer is there makes as much work, and counts as much.
#[test]
fn resets_in_the_middle_of_answers_end_their_connection() {
    let upstream = streaming();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut client = Frames::connect(world.address);
    let mut end = None;
    for number in 0..1_000 {
        let stream = number * 2 + 1;
        client.request(stream, &head("GET", "/app/stream", &valid));
        let outcome = client.outcome(stream);
        if outcome != Outcome::Status(200) {
            end = Some((number, outcome));
            break;
        }
        client.frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    }
    assert!(matches!(end, Some((200.., Outcome::Goaway(_) | Outcome::Closed))), "{end:?}");

    let mut client = Frames::connect(world.address);
    for stream in (1..801).step_by(2) {
        client.request(stream, &head("GET", "/app/x", &valid));
        assert_eq!(client.outcome(stream), Outcome::Status(200), "whole answers are no resets");
        while client.of(stream).unwrap().flags & END_STREAM == 0 {}
    }
}

/// H2-021: a head that is small on the wire and large in memory, by references, is refused.
#[test]
fn a_head_of_references_is_refused_by_what_it_unpacks_to() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    let valid = value_of(&world.proxy_user("billing", &["user"]));
    let mut bomb = block(&head("GET", "/app/x", &valid));
    bomb.push(0x40);
    text(&mut bomb, "x-large");
    text(&mut bomb, &"y".repeat(3_000));
    // Each of these bytes stands for the whole field before.
    bomb.extend([0xbe; 4_000]);
    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
    let outcome = client.outcome(1);
    assert!(matches!(outcome, Outcome::Status(431) | Outcome::Reset(_) | Outcome::Goaway(_)), "{outcome:?}");
    let many: Vec<String> = (0..150).map(|number| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "1")).collect();
    let mut client = Frames::connect(world.address);
    client.request(1, &request("GET", "/app/x", &valid, &fields));
    assert_eq!(client.outcome(1), Outcome::Status(431), "as many fields as no request of HTTP/1 may have");
    assert_eq!(upstream.count(), 0);
}

/// G12, H2-020: a connection on which nothing is asked ends, also when it does not say goodbye.
#[test]
fn a_silent_connection_ends() {
    let upstream = Upstream::echo();
    let mut plan = Plan { entrance: Entrance { h2c: true, ..Entrance::default() }, ..Plan::of(upstream.address) };
    plan.limits.idle_timeout = Duration::from_millis(300);
    plan.limits.head_timeout = Duration::from_millis(300);
    let world = World::open(&plan);
    for early in [&b"PRI * HTTP/2.0\r\n\r\nSM"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""] {
        let mut client = world.client();
        client.send(early);
        let started = Instant::now();
        while client.fill() {}
        assert!(started.elapsed() < Duration::from_secs(5), "{early:?}");
    }
    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, 0, 1, &block(&[(":method", "GET")]));
    assert!(matches!(client.end(), Outcome::Goaway(_) | Outcome::Closed));
}

/// G1: HTTP/1 is spoken beside it on the same port; and where it is not configured, HTTP/2 is not spoken.
#[test]
fn http2_without_tls_is_spoken_where_it_is_configured() {
    let upstream = Upstream::echo();
    let world = open(&upstream);
    for pieces in [
        &["GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n"][..],
        &["P", "OST /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n"],
    ] {
        let mut client = world.client();
        for piece in pieces {
            client.send(piece);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let world = World::before(upstream.address);
    let mut client = Frames::connect(world.address);
    client.request(1, &[(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", "/pub/x")]);
    assert_eq!(client.end(), Outcome::Closed);
    assert_eq!(upstream.count(), 2);
}
