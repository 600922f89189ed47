//! Clients that wait to be asked for their body, and apps that answer without it.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use locum::gateway::TransportSettings;

use crate::client::Client;
use crate::h2_app::{H2App, read};
use crate::upstream::{Upstream, respond};
use crate::world::{Plan, World};

const WAITING: &str = "POST /app/early HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";

/// The answer, past the steps on the way to it.
fn answer(client: &mut Client) -> (u16, Option<String>) {
    loop {
        let head = client.head().expect("there is an answer");
        if head.status >= 200 {
            return (head.status, head.value("location").map(str::to_owned));
        }
    }
}

/// EX-003: an app that answers 417 or 302 at once is heard, though the client has sent nothing of its body, and the
/// connection to it is not used again (CVE-2024-24791).
#[test]
fn an_answer_to_a_client_that_still_waits_is_passed_on() {
    for (status, line) in [(417, "417 Expectation Failed"), (302, "302 Found")] {
        let upstream = Upstream::start(
            move |seen, stream| {
                let early = seen.target().starts_with("/app/early");
                early.then(|| respond(stream, line, &[("Location", "/elsewhere")], b""))
            },
            |_, stream| respond(stream, "200 OK", &[], b"here"),
        );
        let world = World::before(upstream.address);
        let valid = world.proxy_user("billing", &["user"]).basic();
        let mut client = world.client();
        client.send(format!("{WAITING}{valid}\r\n"));
        assert_eq!(answer(&mut client), (status, Some("/elsewhere".to_owned())));
        let mut next = world.client();
        next.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{valid}\r\n"));
        assert_eq!(next.answer().unwrap().text(), "here");
        let seen = upstream.seen();
        assert_ne!(seen[0].connection, seen[1].connection, "{status}");
        assert_eq!(seen[0].value("Expect"), None);
    }
}

/// EX-002, EX-003: the same before an app of HTTP/2, where only the stream ends early.
#[test]
fn an_app_of_http2_is_asked_like_any_other() {
    let app = H2App::start(100, |request, mut respond| async move {
        let mut response = Response::new(());
        if request.uri().path() == "/app/early" {
            *response.status_mut() = http::StatusCode::FOUND;
            response.headers_mut().insert("location", http::HeaderValue::from_static("/elsewhere"));
            let _gone = respond.send_response(response, true);
            return;
        }
        let (body, _) = read(request.into_body()).await;
        let mut send = respond.send_response(response, false).unwrap();
        send.send_data(Bytes::from(body), true).unwrap();
    });
    let transport = TransportSettings { tls: None, http2: true };
    let world = World::open(&Plan { transport, ..Plan::of(app.address) });
    let valid = world.proxy_user("billing", &["user"]).basic();
    let mut client = world.client();
    client.send(format!("{}{valid}\r\n", WAITING.replace("early", "x")));
    assert_eq!(client.head().unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.answer().unwrap().text(), "hello");

    let mut refused = world.client();
    refused.send(format!("{}\r\n", WAITING.replace("early", "x")));
    assert_eq!(refused.answer().unwrap().status, 401);
    assert_eq!(app.seen().len(), 1, "nothing reached the app before the decision");

    let mut early = world.client();
    early.send(format!("{WAITING}{valid}\r\n"));
    assert_eq!(answer(&mut early), (302, Some("/elsewhere".to_owned())));
    std::thread::sleep(Duration::from_millis(100));
    assert!(app.seen().iter().all(|head| !head.headers.contains_key("expect")));
}
