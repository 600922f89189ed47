//! What a refused caller is told.

use crate::client::Answer;
use crate::upstream::Upstream;
use crate::world::{Plan, World};

fn ask(world: &World, lines: &str) -> Answer {
    let mut client = world.client();
    client.send(format!("{lines}\r\n"));
    client.answer().expect("there is an answer")
}

fn problem(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// G3: 401 with a challenge for each scheme of the route, as a problem document.
#[test]
fn a_stranger_is_told_how_to_come_back() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let answer = ask(&world, "GET /app/x HTTP/1.1\r\nHost: app.test\r\n");
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.values("www-authenticate"),
        [r#"Basic realm="Locum", charset="UTF-8""#, r#"Bearer realm="Locum""#]
    );
    assert_eq!(answer.value("content-type"), Some("application/problem+json"));
    assert_eq!(answer.value("cache-control"), Some("no-store"));
    assert_eq!(problem(&answer)["code"], "not-authenticated");
    let basic = ask(&world, "GET /basic/x HTTP/1.1\r\nHost: app.test\r\n");
    assert_eq!(basic.values("www-authenticate"), [r#"Basic realm="Locum", charset="UTF-8""#]);
    assert_eq!(upstream.count(), 0);
}

/// L4: unknown, wrong, malformed, revoked and absent are one answer, but for the id of the request.
#[test]
fn every_refused_credential_is_answered_alike() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let revoked = world.proxy_user("orders", &["user"]);
    world.revoke(&revoked);
    let answers: Vec<(String, String)> = [
        String::new(),
        "Authorization: Basic bm9ib2R5Om5vbnNlbnNl\r\n".to_owned(),
        "Authorization: Basic !!!\r\n".to_owned(),
        "Authorization: Bearer locum_pat_x\r\n".to_owned(),
        revoked.basic(),
        billing.basic().replace("Basic ", "Basic YTpi"),
    ]
    .iter()
    .map(|line| {
        let answer = ask(&world, &format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{line}"));
        assert_eq!(answer.status, 401, "{line}");
        let id = problem(&answer)["request_id"].as_str().unwrap().to_owned();
        let without_date = answer.head.lines().filter(|line| !line.starts_with("date:")).collect::<String>();
        (without_date, answer.text().replace(&id, ""))
    })
    .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(upstream.count(), 0);
}

/// G3: 403 tells a stable reason and nothing of roles; the connection goes on.
#[test]
fn a_denied_caller_is_told_a_reason_id() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send(format!("GET /admin/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    let answer = client.answer().unwrap();
    assert_eq!(answer.status, 403);
    assert_eq!(problem(&answer)["reason"], "A5");
    assert!(!answer.text().contains("admin"), "{}", answer.text());
    client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    assert_eq!(client.answer().unwrap().status, 200);
}

/// G3: who asks for a page gets one; a HEAD gets the head alone.
#[test]
fn a_browser_gets_a_page_and_head_gets_no_body() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let page = ask(&world, "GET /nothing HTTP/1.1\r\nHost: app.test\r\nAccept: text/html,*/*;q=0.8\r\n");
    assert_eq!((page.status, page.value("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(page.text().starts_with("<!doctype html>"));
    let mut client = world.client();
    client.send("HEAD /app/x HTTP/1.1\r\nHost: app.test\r\n\r\nGET /nothing HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.head().unwrap().status, 401);
    assert_eq!(client.answer().unwrap().status, 404);
}

/// L8: a source that fails too often is told when to come back; what is proven passes.
#[test]
fn a_throttled_source_passes_with_what_is_proven_only() {
    let upstream = Upstream::echo();
    let world = World::open(&Plan { throttle: 5, ..Plan::of(upstream.address) });
    let (known, unknown) = (world.proxy_user("billing", &["user"]), world.proxy_user("orders", &["user"]));
    let good = format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}", known.basic());
    assert_eq!(ask(&world, &good).status, 200);
    let statuses: Vec<u16> = (0..10)
        .map(|_| ask(&world, "GET /app/x HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer locum_pat_x\r\n").status)
        .collect();
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[9], 429);
    let throttled = ask(&world, &format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}", unknown.basic()));
    assert_eq!(throttled.status, 429);
    assert!(throttled.value("retry-after").is_some());
    assert_eq!(ask(&world, &good).status, 200);
}

/// H1-060: a refused upload never becomes the next request.
#[test]
fn a_refused_body_is_never_taken_for_a_request() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    let mut client = world.client();
    client.send("POST /app/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000\r\n\r\n");
    let hidden = format!("GET /app/hidden HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic());
    client.send(format!("{hidden:<1000}"));
    client.send(format!("GET /app/next HTTP/1.1\r\nHost: app.test\r\n{}\r\n", billing.basic()));
    assert_eq!(client.answer().unwrap().status, 401);
    let next = client.answer().map(|answer| answer.status);
    assert!(matches!(next, None | Some(200)), "{next:?}");
    assert!(upstream.seen().iter().all(|seen| seen.target() == "/app/next"));
}

/// G3: a client that sends all of its body before it reads is told why it is refused, all the same.
#[test]
fn a_client_that_writes_first_still_reads_its_refusal() {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    for (size, framing) in [(200_000, true), (200_000, false), (8_000_000, true)] {
        for _ in 0..10 {
            let mut client = world.client();
            if framing {
                client.send(format!("PUT /app/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: {size}\r\n\r\n"));
                client.send(vec![b'x'; size]);
            } else {
                client.send("PUT /app/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n");
                client.send(format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size)));
            }
            assert_eq!(client.answer().map(|answer| answer.status), Some(401), "{size} {framing}");
        }
    }
    assert_eq!(upstream.count(), 0);
}
