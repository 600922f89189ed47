//! Hints that an app gives before its answer, and what its clients get of them.

use std::io::Write;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use http::header::{HeaderValue, LINK};
use http::{Response, StatusCode};
use locum::gateway::TransportSettings;
use locum::server::entrance::Entrance;

use crate::client::{Answer, Client, End};
use crate::frames::{Frames, Outcome};
use crate::h2_app::H2App;
use crate::upstream::{Next, Upstream, respond};
use crate::world::{Plan, World};

/// What a browser says on its way to a page.
const NAVIGATE: &str = "Sec-Fetch-Mode: navigate\r\n";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{NAVIGATE}\r\n")
}

fn hint(link: &str) -> String {
    format!("HTTP/1.1 103 Early Hints\r\nLink: {link}\r\n\r\n")
}

/// Says as many hints as the target does, each with its number, then answers with the target, all in one piece.
fn hinting() -> Upstream {
    Upstream::start(
        |_, _| None,
        |seen, stream| {
            let target = seen.target();
            let many: usize = target.rsplit('/').next().unwrap().parse().unwrap_or(1);
            let hints: String = (0..many).map(|number| hint(&format!("<{target}-{number}>"))).collect();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
            let _gone = stream.write_all(format!("{hints}{answer}").as_bytes());
            Next::Open
        },
    )
}

/// The links of the hints that come next, and the answer behind them.
fn links_and_answer(client: &mut Client) -> (Vec<String>, Answer) {
    let mut links = Vec::new();
    loop {
        let mut head = client.head().expect("there is an answer");
        if head.status != 103 {
            let (body, end) = client.body(&head);
            assert_eq!(end, End::Whole);
            head.body = body;
            return (links, head);
        }
        links.extend(head.value("link").map(str::to_owned));
    }
}

/// G1: the client has each hint before the app answers; nothing but what it may act on is in it.
#[test]
fn hints_reach_a_client_before_the_answer() {
    let (go_on, went_on) = mpsc::channel();
    let went_on = Mutex::new(went_on);
    let upstream = Upstream::start(
        |_, _| None,
        move |_, stream| {
            let full = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nSet-Cookie: a=b\r\nX-Locum-User: root\r\n\
                        Connection: referrer-policy\r\nReferrer-Policy: no-referrer\r\nServer: app\r\n\r\n";
            for said in [full, "HTTP/1.1 102 Processing\r\n\r\n", &hint("</b.js>")] {
                let _gone = stream.write_all(said.as_bytes());
                if said.contains("103") {
                    went_on.lock().unwrap().recv().unwrap();
                }
            }
            respond(stream, "200 OK", &[], b"here")
        },
    );
    let world = World::before(upstream.address);
    let mut client = world.client();
    for _request in 0..2 {
        client.send(get("/pub/x"));
        let first = client.head().unwrap().head;
        assert_eq!(first, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
        go_on.send(()).unwrap();
        assert_eq!(client.head().unwrap().head, "HTTP/1.1 103 Early Hints\r\nlink: </b.js>\r\n\r\n");
        go_on.send(()).unwrap();
        let (links, answer) = links_and_answer(&mut client);
        assert_eq!((links.len(), answer.status, answer.text().as_str()), (0, 200, "here"));
    }
    assert_eq!(upstream.connections(), 1);
}

/// G1: pipelined requests have their own hints, each before its own answer.
#[test]
fn hints_stay_with_their_answer_when_requests_are_pipelined() {
    let upstream = hinting();
    let world = World::before(upstream.address);
    let mut client = world.client();
    client.send((0..30).map(|n| get(&format!("/pub/{n}/2"))).collect::<String>());
    for n in 0..30 {
        let (links, answer) = links_and_answer(&mut client);
        assert_eq!(answer.text(), format!("/pub/{n}/2"));
        assert_eq!(links, [format!("</pub/{n}/2-0>"), format!("</pub/{n}/2-1>")]);
    }
}

/// G1: a hint comes into no answer of which the client has not taken all yet.
#[test]
fn no_hint_breaks_into_an_answer_that_is_still_being_written() {
    const SIZE: usize = 3_000_000;
    let upstream = Upstream::start(
        |_, _| None,
        |seen, stream| {
            if seen.target() == "/pub/large" {
                return respond(stream, "200 OK", &[], &vec![b'x'; SIZE]);
            }
            let _gone = stream.write_all(hint("</a>").as_bytes());
            std::thread::sleep(Duration::from_millis(300));
            respond(stream, "200 OK", &[], b"second")
        },
    );
    let world = World::before(upstream.address);
    for pause in [0, 600] {
        let mut client = Client::connect_with_little_room(world.address);
        client.send(get("/pub/large") + &get("/pub/x"));
        std::thread::sleep(Duration::from_millis(pause));
        let (links, large) = links_and_answer(&mut client);
        assert!(links.is_empty() && large.body == vec![b'x'; SIZE], "after {pause} ms");
        let (links, second) = links_and_answer(&mut client);
        assert_eq!(second.text(), "second");
        assert!(links.len() <= 1, "{links:?}");
    }
}

/// EX-007: no more than 16 hints of one request are passed on, and more than 64 are no honest answer's.
#[test]
fn a_flood_of_hints_is_bounded_and_cut() {
    let upstream = hinting();
    let world = World::before(upstream.address);
    let mut client = world.client();
    for (said, passed, status) in [(16, 16, 200), (60, 16, 200), (10_000, 16, 502), (2, 2, 200)] {
        let before = upstream.connections();
        client.send(get(&format!("/pub/{said}")));
        let (links, answer) = links_and_answer(&mut client);
        assert_eq!(answer.status, status, "{said}");
        assert!(links.len() <= passed, "{said}: {}", links.len());
        assert!(status != 200 || links.len() == passed, "{said}: {}", links.len());
        assert!(upstream.connections() <= before + 1);
    }
    assert_eq!(upstream.connections(), 2, "the one that flooded is not used again");
}

/// G1: who could take a hint for the answer gets none.
#[test]
fn no_hints_for_clients_that_cannot_take_them() {
    let upstream = hinting();
    let entrance = Entrance { h2c: true, ..Entrance::default() };
    let world = World::open(&Plan { entrance, ..Plan::of(upstream.address) });
    let mut old = world.client();
    old.send(format!("GET /pub/1 HTTP/1.0\r\nHost: app.test\r\n{NAVIGATE}\r\n"));
    assert_eq!(old.head().unwrap().status, 200);
    let mut newer = Frames::connect(world.address);
    newer.request(1, &[(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", "/pub/1")]);
    assert_eq!(newer.outcome(1), Outcome::Status(200));

    let world = World::open(&Plan { early_hints: false, ..Plan::of(upstream.address) });
    let mut client = world.client();
    client.send(get("/pub/1"));
    assert_eq!(client.head().unwrap().status, 200, "they are switched off");
}

/// G1, EX-002: a client that waits to be asked for its body is asked, whatever is hinted meanwhile.
#[test]
fn hints_and_the_question_for_a_body_go_together() {
    let upstream = Upstream::start(
        |seen, stream| {
            let _gone = stream.write_all(hint(&format!("<{}>", seen.target())).as_bytes());
            None
        },
        |seen, stream| respond(stream, "200 OK", &[], &seen.body),
    );
    let world = World::before(upstream.address);
    let mut client = world.client();
    client.send(format!(
        "POST /pub/x HTTP/1.1\r\nHost: app.test\r\n{NAVIGATE}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    ));
    let mut steps = [client.head().unwrap().status, client.head().unwrap().status];
    steps.sort_unstable();
    assert_eq!(steps, [100, 103]);
    client.send("hello");
    assert_eq!(client.answer().unwrap().text(), "hello");
}

/// G1: the hints of an app of HTTP/2 reach a client of HTTP/1.1.
#[test]
fn an_app_of_http2_hints_like_any_other() {
    let app = H2App::start(100, |_, mut respond| async move {
        for link in ["</a>", "</b>"] {
            let mut hint = Response::new(());
            *hint.status_mut() = StatusCode::EARLY_HINTS;
            hint.headers_mut().insert(LINK, HeaderValue::from_static(link));
            hint.headers_mut().insert("set-cookie", HeaderValue::from_static("a=b"));
            respond.send_informational(hint).unwrap();
        }
        let _gone = respond.send_response(Response::new(()), true);
    });
    let transport = TransportSettings { tls: None, http2: true };
    let world = World::open(&Plan { transport, ..Plan::of(app.address) });
    let mut client = world.client();
    for _request in 0..2 {
        client.send(get("/pub/x"));
        let (links, answer) = links_and_answer(&mut client);
        assert_eq!((links, answer.status), (vec!["</a>".to_owned(), "</b>".to_owned()], 200));
    }
}

/// G1, UP-001: whoever asks to switch is answered that and nothing before it.
#[test]
fn no_hint_comes_before_a_switch() {
    let upstream = Upstream::start(
        |_, stream| {
            let _gone = stream.write_all(hint("</a>").as_bytes());
            let key = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: own/2\r\nConnection: upgrade\r\n\r\n";
            let _gone = stream.write_all(key.as_bytes());
            Some(Next::Open)
        },
        |_, stream| respond(stream, "200 OK", &[], b""),
    );
    let world = World::before(upstream.address);
    let valid = world.proxy_user("billing", &["user"]).basic();
    let mut client = world.client();
    client.send(format!(
        "GET /own-protocol/x HTTP/1.1\r\nHost: app.test\r\n{valid}{NAVIGATE}Upgrade: own/2\r\nConnection: upgrade\r\n\r\n"
    ));
    assert_eq!(client.head().unwrap().status, 101);
}
