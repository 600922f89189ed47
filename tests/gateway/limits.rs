//! How large a body may be, and how often who may ask.

use std::time::Duration;

use crate::client::{Answer, Client};
use crate::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, block};
use crate::http2::{self, head};
use crate::upstream::Upstream;
use crate::world::World;

/// G4: a body larger than its route takes is refused before anything is forwarded, when it says so; else it is cut
/// where it becomes too much, and the app sees an aborted request.
#[test]
fn a_body_larger_than_its_route_takes_is_refused() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let body = |length: usize| "x".repeat(length);
    let post = |more: &str| format!("POST /small/x HTTP/1.1\r\nHost: app.test\r\n{more}\r\n\r\n");
    for (length, expects) in [(1_001, ""), (1_000_000_000, ""), (1_001, "\r\nExpect: 100-continue")] {
        let mut client = world.client();
        client.send(post(&format!("Content-Length: {length}{expects}")));
        let refused = client.answer().unwrap();
        assert_eq!((refused.status, refused.value("connection")), (413, Some("close")), "{}", refused.text());
        assert!(refused.text().contains("body-too-large"), "{}", refused.text());
    }
    assert_eq!(upstream.count(), 0, "it was forwarded");

    for (sent, status) in [
        (post("Content-Length: 1000") + &body(1_000), 200),
        (post("Transfer-Encoding: chunked") + "3e8\r\n" + &body(1_000) + "\r\n0\r\n\r\n", 200),
        (post("Transfer-Encoding: chunked") + "3e8\r\n" + &body(1_000) + "\r\n1\r\nx\r\n0\r\n\r\n", 413),
        (post("Transfer-Encoding: chunked") + "3e9\r\n" + &body(1_001) + "\r\n0\r\n\r\n", 413),
    ] {
        let mut client = world.client();
        client.send(&sent);
        assert_eq!(client.answer().unwrap().status, status);
    }
    std::thread::sleep(Duration::from_millis(100));
    let seen = upstream.seen();
    assert_eq!(seen.iter().filter(|seen| seen.whole).count(), 2);
    assert!(seen.iter().all(|seen| seen.body.len() <= 1_000), "more reached the app than it takes");

    let mut client = world.client();
    client.send("POST /pub/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\n".to_owned() + &body(100_000));
    assert_eq!(client.answer().unwrap().status, 200, "other routes take any");
}

/// G4: the same over HTTP/2, where only the stream ends.
#[test]
fn a_body_larger_than_its_route_takes_is_refused_over_http2() {
    let upstream = Upstream::echo();
    let world = http2::open(&upstream);
    let mut client = Frames::connect(world.address);
    let fields = &head("POST", "/small/x", "")[..4];
    client.frame(HEADERS, END_HEADERS, 1, &block(&[fields, &[("content-length", "1001")]].concat()));
    assert_eq!(client.outcome(1), Outcome::Status(413));
    assert_eq!(upstream.count(), 0);
    for (stream, length, status) in [(3, 1_000, 200), (5, 1_001, 413)] {
        client.frame(HEADERS, END_HEADERS, stream, &block(fields));
        client.frame(DATA, END_STREAM, stream, &vec![b'x'; length]);
        assert_eq!(client.outcome(stream), Outcome::Status(status));
    }
}

fn ask(world: &World, source: [u8; 4], path: &str, credential: &str) -> Answer {
    let mut client = Client::connect_from(source, world.address);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: limited.test\r\n{credential}\r\n"));
    let answer = client.answer().unwrap();
    assert!(client.is_open(), "the connection of the client has to go on");
    answer
}

const HERE: [u8; 4] = [127, 0, 0, 1];
const THERE: [u8; 4] = [127, 0, 0, 9];

/// G4: requests of one source are counted before anything is judged, and the next is told when to come again.
#[test]
fn a_source_that_asks_too_often_is_refused_before_anything_is_judged() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]).basic();
    let wrong = "Authorization: Basic bm9ib2R5Om5vbnNlbnNl\r\n";
    for (credential, status) in [(wrong, 401), ("", 401), (&*billing, 200), (&*billing, 429), (wrong, 429)] {
        let answer = ask(&world, HERE, "/source/x", credential);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.value("retry-after").is_some(), status == 429);
    }
    let refused = ask(&world, HERE, "/source/x", &billing);
    assert_eq!(refused.value("ratelimit-policy"), Some("\"source\";q=3;w=36000"));
    let wait: u64 = refused.value("retry-after").unwrap().parse().unwrap();
    assert!((11_900..=12_000).contains(&wait), "{wait}");
    assert_eq!(refused.value("ratelimit"), Some(&*format!("\"source\";r=0;t={wait}")));
    assert_eq!(ask(&world, THERE, "/source/x", &billing).status, 200, "another source has a budget of its own");
    assert_eq!(ask(&world, HERE, "/x", &billing).status, 200, "so has another route");
    assert_eq!(upstream.count(), 3);
}

/// G4: an account has one budget wherever it comes from; who has none is counted by source, and all together last.
#[test]
fn accounts_and_all_together_have_budgets() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]).basic();
    let orders = world.proxy_user("orders", &["user"]).basic();
    for (source, who, path, status) in [
        (HERE, &*billing, "/account/x", 200),
        (THERE, &billing, "/account/x", 200),
        (HERE, &billing, "/account/x", 429),
        (THERE, &billing, "/account/y", 429),
        (HERE, &orders, "/account/x", 200),
        (HERE, "", "/public/x", 200),
        (HERE, "", "/public/x", 200),
        (HERE, "", "/public/x", 429),
        (THERE, "", "/public/x", 200),
        (HERE, &billing, "/public/x", 200),
        // What may not be done is no use of the app.
        (HERE, &billing, "/admin/x", 403),
        (HERE, &billing, "/admin/x", 403),
        (HERE, "", "/all/x", 401),
        (HERE, &billing, "/all/x", 200),
        (HERE, &orders, "/all/x", 200),
        (HERE, &orders, "/all/x", 200),
        (HERE, &orders, "/all/x", 200),
        (HERE, &orders, "/all/x", 200),
        (HERE, &orders, "/all/x", 429),
        (HERE, &billing, "/all/x", 429),
    ] {
        let answer = ask(&world, source, path, who);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    // What its own route refused took nothing of the eight that the account has at the app: five are spent.
    let ended = (0..8).find(|_| ask(&world, HERE, "/x", &orders).status == 429);
    assert_eq!(ended, Some(3), "the app as a whole has a limit of its own: 8");
}
