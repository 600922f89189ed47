//! Apps of HTTP/2: what arrives there, on how few connections, and what becomes of a stream that ends early.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderValue, Response, StatusCode};
use locum::gateway::{AppConnections, AppTlsSettings, Timeouts, TransportSettings};
use locum::server::entrance::Entrance;

use crate::app_tls::{Authority, Front};
use crate::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, RST_STREAM, block};
use crate::h2_app::{H2App, eventually, read, write};
use crate::upstream::Upstream;
use crate::world::{Plan, World};

fn plan(app: SocketAddr, tls: Option<AppTlsSettings>) -> Plan {
    let entrance = Entrance { h2c: true, ..Entrance::default() };
    Plan { entrance, transport: TransportSettings { tls, http2: true }, ..Plan::of(app) }
}

fn before(app: &H2App) -> World {
    World::open(&plan(app.address, None))
}

fn get<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    request("GET", path, more)
}

fn request<'a>(method: &'a str, path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let head = [(":method", method), (":scheme", "http"), (":authority", "app.test"), (":path", path)];
    [&head[..], more].concat()
}

fn empty(status: u16) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// G1, G8: requests of HTTP/1.1 and HTTP/2 arrive as requests of HTTP/2, all on one connection, and nothing of one
/// hop arrives with them.
#[test]
fn an_app_of_http2_gets_requests_of_http2_on_one_connection() {
    let app = H2App::echo();
    let world = before(&app);
    let valid = world.proxy_user("billing", &["user"]).basic();
    let mut client = world.client();
    for number in 0..20 {
        client.send(format!(
            "POST /app/{number}?a=b HTTP/1.1\r\nHost: app.test\r\n{valid}TE: gzip\r\nKeep-Alive: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        ));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    }
    assert_eq!(app.made(), 1);
    let head = app.last();
    assert_eq!(head.uri, "http://app.test/app/19?a=b");
    assert_eq!(head.headers["x-locum-user"], "billing");
    for name in ["host", "te", "keep-alive", "transfer-encoding", "connection", "authorization", "trailer"] {
        assert!(!head.headers.contains_key(name), "{name}");
    }
    client.send("HEAD /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 200);
}

/// G1: bodies of any size go both ways, and their sizes are as they were said.
#[test]
fn bodies_stream_through_an_app_of_http2() {
    let app = H2App::start(100, |request, mut respond| async move {
        let (body, _) = read(request.into_body()).await;
        let mut response = empty(200);
        response.headers_mut().insert("content-length", HeaderValue::from(body.len()));
        let mut send = respond.send_response(response, false).unwrap();
        write(&mut send, body.into()).await;
        send.send_data(Bytes::new(), true).unwrap();
    });
    let world = before(&app);
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut client = world.client();
    client.send(format!("POST /pub/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.value("content-length")), (200, Some("3000000")));
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
    assert_eq!(app.last().headers["content-length"], "3000000");
}

/// G8: an app says how many streams a connection may have; more go on further connections, and wait for nobody.
#[test]
fn more_streams_than_an_app_allows_on_one_connection_go_on_others() {
    let together = Arc::new(tokio::sync::Barrier::new(25));
    let app = H2App::start(10, move |_, mut respond| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            respond.send_response(empty(204), true).unwrap();
        }
    });
    let world = before(&app);
    // First, so that what the app allows is known.
    let mut clients: Vec<_> = (0..25).map(|_| world.client()).collect();
    for client in &mut clients {
        client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
        std::thread::sleep(Duration::from_millis(20));
    }
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().status, 204);
    }
    assert!((3..=6).contains(&app.made()), "{} connections", app.made());
}

/// G8: what an app refuses before it looked at it is sent again; what it may have looked at is not.
#[test]
fn a_stream_that_an_app_refused_is_sent_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let app = H2App::start(100, move |request, mut respond| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            match request.uri().path() {
                "/pub/refused" if first => respond.send_reset(Reason::REFUSED_STREAM),
                "/pub/always" => respond.send_reset(Reason::REFUSED_STREAM),
                "/pub/broken" => respond.send_reset(Reason::INTERNAL_ERROR),
                _ => drop(respond.send_response(empty(204), true).unwrap()),
            }
        }
    });
    let world = before(&app);
    let ask = |path: &str| {
        tries.store(0, Ordering::SeqCst);
        let mut client = world.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        (client.answer().unwrap().status, tries.load(Ordering::SeqCst))
    };
    assert_eq!(ask("/pub/refused"), (204, 2));
    // A few times and no more, whatever the other instances say.
    let (status, tries_of_one) = ask("/pub/always");
    assert!(status == 502 && (3..=6).contains(&tries_of_one), "{status} after {tries_of_one} tries");
    assert_eq!(ask("/pub/broken"), (502, 1));
}

/// G8: an app that says goodbye finishes what runs on the connection, and what comes next gets a new one.
#[test]
fn an_app_that_says_goodbye_finishes_what_runs() {
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = Arc::clone(&go);
    let app = H2App::start(100, move |request, mut respond| {
        let wait = Arc::clone(&wait);
        async move {
            if request.uri().path() == "/pub/slow" {
                wait.notified().await;
            }
            respond.send_response(empty(204), true).unwrap();
        }
    });
    let world = before(&app);
    let mut slow = Frames::connect(world.address);
    slow.request(1, &get("/pub/slow", &[]));
    eventually("the slow request has arrived", || app.seen().len() == 1);
    app.leave();
    std::thread::sleep(Duration::from_millis(200));
    slow.request(3, &get("/pub/x", &[]));
    assert_eq!(slow.outcome(3), Outcome::Status(204));
    assert_eq!(app.made(), 2, "the connection that was left takes nothing new");
    go.notify_one();
    assert_eq!(slow.outcome(1), Outcome::Status(204));
    eventually("the connection that was left is closed", || app.open() == 1);
}

/// R3, G1: a client that resets its stream, or whose access is withdrawn, is gone for the app at once, in the middle
/// of an upload too.
#[test]
fn a_client_that_leaves_is_gone_for_the_app() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let app = H2App::start(100, move |request, mut respond| {
        let count = Arc::clone(&count);
        async move {
            let _body = request.into_body();
            if std::future::poll_fn(|cx| respond.poll_reset(cx)).await.is_ok_and(|why| why == Reason::CANCEL) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let world = before(&app);
    let credential = world.proxy_user("billing", &["user"]);
    let valid = credential.basic();
    let valid = valid.trim_start_matches("Authorization: ").trim_end();
    let mut client = Frames::connect(world.address);
    client.request(1, &get("/pub/x", &[]));
    client.frame(HEADERS, END_HEADERS, 3, &block(&request("POST", "/pub/x", &[])));
    client.frame(DATA, 0, 3, b"some");
    client.request(5, &get("/app/x", &[("authorization", valid)]));
    eventually("all have arrived", || app.seen().len() == 3);
    client.frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    client.frame(RST_STREAM, 0, 3, &8_u32.to_be_bytes());
    eventually("both are gone", || ended.load(Ordering::SeqCst) == 2);
    world.revoke(&credential);
    eventually("the third is gone", || ended.load(Ordering::SeqCst) == 3);
    assert_eq!((app.made(), app.open()), (1, 1), "and their connection stays");
}

/// G1, TR-001: trailers go both ways where both sides have a place for them, and hold nothing that could be taken for a
/// word of a head.
#[test]
fn trailers_go_both_ways_and_say_nothing_that_belongs_in_a_head() {
    let app = H2App::start(100, |request, mut respond| async move {
        let (_, trailers) = read(request.into_body()).await;
        let got: Vec<&str> = trailers.keys().map(http::HeaderName::as_str).collect();
        let mut response = empty(200);
        response.headers_mut().insert("x-got", HeaderValue::from_str(&got.join(",")).unwrap());
        response.headers_mut().insert("trailer", HeaderValue::from_static("X-Sum, X-Locum-User"));
        let mut send = respond.send_response(response, false).unwrap();
        send.send_data("hello".into(), false).unwrap();
        let said = [("x-sum", "5"), ("x-locum-user", "root"), ("set-cookie", "a=b"), ("content-length", "3")];
        let said = said.into_iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        send.send_trailers(said.collect()).unwrap();
    });
    let world = before(&app);
    let forged = "X-Locum-User: root\r\nAuthorization: Basic eA==\r\nHost: other\r\nX-Note: y\r\n";
    for (lines, got, sum) in [
        ("", None, false),
        ("Trailer: X-Note\r\n", Some("x-note"), false),
        ("TE: trailers\r\n", None, true),
        ("TE: trailers\r\nTrailer: X-Note\r\n", Some("x-note"), true),
    ] {
        let mut client = world.client();
        client.send(format!(
            "POST /pub/x HTTP/1.1\r\nHost: app.test\r\n{lines}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n{forged}\r\n"
        ));
        let mut all = Vec::new();
        let head = client.head().unwrap();
        while client.fill() {}
        all.append(&mut client.buffer);
        let text = String::from_utf8_lossy(&all).to_lowercase();
        assert_eq!(head.value("x-got").filter(|got| !got.is_empty()), got, "{lines:?}");
        assert_eq!(head.value("trailer"), sum.then_some("X-Sum"), "{lines:?}");
        assert!(text.contains("hello") && text.contains("x-sum: 5") == sum, "{lines:?}: {text}");
        assert!(!text.contains("root") && !text.contains("set-cookie"), "{text}");
        assert_eq!(app.last().headers.contains_key("te"), sum, "{lines:?}: the app is told what the client takes");
    }
    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, END_HEADERS, 1, &block(&request("POST", "/pub/x", &[("te", "trailers")])));
    client.frame(DATA, 0, 1, b"hello");
    let trailers = [("x-note", "y"), ("x-locum-user", "root"), ("authorization", "Basic eA==")];
    client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&trailers));
    assert_eq!(client.outcome(1), Outcome::Status(200));
    assert_eq!((client.of(1).unwrap().kind, app.last().headers["te"].to_str().unwrap()), (DATA, "trailers"));
    let last = client.of(1).unwrap();
    assert_eq!((last.kind, last.flags & END_STREAM), (HEADERS, END_STREAM), "trailers end the stream");
}

/// TR-003: trailers that are too large are refused, and the app never sees a whole message.
#[test]
fn trailers_that_are_too_large_are_refused() {
    let whole = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&whole);
    let app = H2App::start(100, move |request, mut respond| {
        let count = Arc::clone(&count);
        async move {
            let mut body = request.into_body();
            while let Some(Ok(data)) = body.data().await {
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            if body.trailers().await.is_ok() && body.is_end_stream() {
                count.fetch_add(1, Ordering::SeqCst);
            }
            let _gone = respond.send_response(empty(200), true);
        }
    });
    let world = before(&app);
    let mut client = Frames::connect(world.address);
    client.frame(HEADERS, END_HEADERS, 1, &block(&request("POST", "/pub/x", &[])));
    client.frame(DATA, 0, 1, b"hello");
    eventually("it has arrived", || app.seen().len() == 1);
    let large = block(&[("x-a", &"a".repeat(9_000)), ("x-b", &"b".repeat(9_000))]);
    let (first, rest) = large.split_at(16_000);
    client.frame(HEADERS, END_STREAM, 1, first);
    client.frame(crate::frames::CONTINUATION, END_HEADERS, 1, rest);
    assert_eq!(client.outcome(1), Outcome::Status(400));
    assert_eq!(whole.load(Ordering::SeqCst), 0);
}

/// EX-007, EX-008, G8: steps without end, a switch that nobody asked for and a head without end are a bad gateway; a few
/// steps are passed over.
#[test]
fn what_is_no_answer_of_http2_is_a_bad_gateway() {
    let app = H2App::start(100, |request, mut respond| async move {
        let path = request.uri().path().to_owned();
        let number = |text: &str| text.parse::<usize>().unwrap();
        if let Some(steps) = path.strip_prefix("/pub/steps/") {
            for _ in 0..number(steps) {
                if respond.send_informational(empty(103)).is_err() {
                    return;
                }
            }
        }
        let mut response = empty(200);
        if let Some(size) = path.strip_prefix("/pub/head/") {
            response.headers_mut().insert("x-a", HeaderValue::from_str(&"a".repeat(number(size))).unwrap());
        }
        if let Some(fields) = path.strip_prefix("/pub/fields/") {
            for _ in 0..number(fields) {
                response.headers_mut().append("x-a", HeaderValue::from_static("a"));
            }
        }
        let _gone = respond.send_response(response, true);
    });
    let world = before(&app);
    for (path, status) in [
        ("/pub/steps/8", 200),
        ("/pub/steps/65", 502),
        ("/pub/steps/10000", 502),
        ("/pub/head/60000", 200),
        ("/pub/head/70000", 502),
        ("/pub/fields/100", 200),
        ("/pub/fields/300", 502),
        ("/pub/x", 200),
    ] {
        let mut client = world.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        assert_eq!(client.answer().unwrap().status, status, "{path}");
    }
}

/// G8: an answer that the app breaks off is broken off for the client, and one that falls silent is given up; neither
/// touches another stream of the connection.
#[test]
fn an_answer_that_ends_early_never_looks_whole() {
    let app = H2App::start(100, |request, mut respond| async move {
        let mut send = respond.send_response(empty(200), false).unwrap();
        send.send_data("some".into(), false).unwrap();
        if request.uri().path() == "/pub/broken" {
            tokio::time::sleep(Duration::from_millis(100)).await;
            send.send_reset(Reason::INTERNAL_ERROR);
        } else {
            std::future::pending::<()>().await;
        }
    });
    let timeouts = Timeouts { idle: Duration::from_secs(2), ..Timeouts::default() };
    let world = World::open(&Plan { timeouts, ..plan(app.address, None) });
    let mut client = Frames::connect(world.address);
    client.request(1, &get("/pub/silent", &[]));
    client.request(3, &get("/pub/broken", &[]));
    for stream in [3, 1] {
        assert_eq!(client.outcome(stream), Outcome::Status(200));
        let mut last = client.of(stream).unwrap();
        while last.kind == DATA {
            assert_eq!(last.flags & END_STREAM, 0, "stream {stream}");
            last = client.of(stream).unwrap();
        }
        assert_eq!(last.kind, RST_STREAM, "stream {stream}");
    }
    assert_eq!((app.made(), app.open()), (1, 1));
}

/// G8: an app that is silent to one request is asked on another connection next.
#[test]
fn a_connection_of_an_app_that_fell_silent_takes_nothing_new() {
    let app = H2App::start(100, |request, mut respond| async move {
        if request.uri().path() == "/pub/silent" {
            std::future::pending::<()>().await;
        }
        respond.send_response(empty(204), true).unwrap();
    });
    let timeouts = Timeouts { response: Duration::from_secs(1), ..Timeouts::default() };
    let world = World::open(&Plan { timeouts, ..plan(app.address, None) });
    let mut client = Frames::connect(world.address);
    for (stream, path, status) in [(1, "/pub/silent", 504), (3, "/pub/x", 204)] {
        client.request(stream, &get(path, &[]));
        assert_eq!(client.outcome(stream), Outcome::Status(status));
    }
    assert_eq!(app.made(), 2);
}

/// G8, G12: a connection of HTTP/2 that nobody uses is closed, and has a place among those of all apps.
#[test]
fn a_silent_connection_of_http2_is_closed() {
    let app = H2App::echo();
    let connections = AppConnections::up_to(8).kept_for(Duration::from_millis(500));
    let world = World::open(&Plan { app_connections: connections, ..plan(app.address, None) });
    let mut client = world.client();
    client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(app.open(), 1);
    eventually("it is closed", || app.open() == 0);
}

/// G8: over TLS the app is asked by ALPN, and one that knows nothing newer gets HTTP/1.1.
#[test]
fn http2_is_agreed_on_with_an_app_behind_tls() {
    let authority = Authority::new();
    let app = H2App::echo();
    let front = Front::before(app.address, authority.server("127.0.0.1", &["h2", "http/1.1"]));
    let old = Upstream::echo();
    let old_front = Front::before(old.address, authority.server("127.0.0.1", &["http/1.1"]));
    let silent_front = Front::before(old.address, authority.server("127.0.0.1", &[]));
    for (address, text) in [(front.address, ""), (old_front.address, "/pub/x"), (silent_front.address, "/pub/x")] {
        let world = World::open(&plan(address, Some(authority.believed())));
        let mut client = world.client();
        for _ in 0..3 {
            client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
            let answer = client.answer().unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, text));
        }
    }
    assert_eq!((app.made(), app.last().uri.scheme_str()), (1, Some("https")));
    assert_eq!(old.count(), 6);
}

/// TL-007: an app that was to speak HTTP/2 and speaks something else gets nothing of the request.
#[test]
fn an_app_that_speaks_no_http2_is_a_bad_gateway() {
    let plain = Upstream::echo();
    let world = World::open(&plan(plain.address, None));
    let mut client = world.client();
    client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 502);
}
