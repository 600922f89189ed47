//! Every operation of the API by every kind of caller, through the real listener: a table that is checked in.
//!
//! A change of what anybody may do is a change of `tests/matrix/admin_api.txt`, which anybody can read. A route without
//! a line fails here.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use locum::admin::{Network, network, serve_network};
use locum::authn::{Sources, ThrottleSettings};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::recorded::rows;
use crate::{Answer, Api};

const MATRIX: &str = include_str!("../matrix/admin_api.txt");

/// Who calls, and what stands in `Authorization`.
struct Caller {
    name: &'static str,
    key: Key,
}

enum Key {
    /// On the host's socket.
    Host,
    None,
    Pat,
    Of {
        person: &'static str,
        scope: &'static str,
        end: End,
    },
}

/// What became of a key before it is used.
#[derive(PartialEq)]
enum End {
    InForce,
    Expired,
    Revoked,
}

fn callers() -> Vec<Caller> {
    let key = |name, person, scope, end| Caller { name, key: Key::Of { person, scope, end } };
    vec![
        Caller { name: "host socket", key: Key::Host },
        key("key of a super administrator", "sue", "all:write", End::InForce),
        key("key of an administrator", "ada", "all:write", End::InForce),
        key("key of an administrator of blog", "eva", "all:write", End::InForce),
        key("key of a super administrator, people:read", "sue", "people:read", End::InForce),
        key("key of a super administrator, expired", "sue", "all:write", End::Expired),
        key("key of a super administrator, revoked", "sue", "all:write", End::Revoked),
        Caller { name: "token of a proxy user", key: Key::Pat },
        Caller { name: "nobody", key: Key::None },
    ]
}

/// One line: the operation, how it is called, and what is then on record.
struct Line {
    operation: String,
    path: String,
    body: Value,
    recorded: Option<Vec<&'static str>>,
}

/// Every operation of the document, in an order in which each can be done once; then what stands beside it, and what
/// an administrator of one app does in its app.
fn lines() -> Vec<Line> {
    let line = |operation: &str, path: &str, body: Value, recorded: Option<Vec<&'static str>>| Line {
        operation: operation.to_owned(),
        path: path.to_owned(),
        body,
        recorded,
    };
    let mut lines: Vec<_> = rows()
        .iter()
        .map(|row| line(row.operation, row.done.0, row.done.1.clone(), Some(row.recorded.to_vec())))
        .collect();
    // Done by a running gateway to itself: here there is none, which is said to those who may.
    lines.extend(["/v1/reload", "/v1/restart"].map(|path| line(&format!("post {path}"), path, json!({}), None)));
    let nothing = Value::Null;
    lines.extend([
        line("get /metrics", "/metrics", nothing.clone(), None),
        line("get /v1/openapi.json", "/v1/openapi.json", nothing.clone(), Some(vec![])),
        line("post /v1/roles (of blog)", "/v1/roles", json!({ "name": "blog/editor" }), Some(vec!["role_added"])),
        line(
            "put /v1/accounts/bob/roles/blog/editor",
            "/v1/accounts/bob/roles/blog%2Feditor",
            nothing.clone(),
            Some(vec!["roles_changed"]),
        ),
        line("get /v1/history?app=blog", "/v1/history?app=blog", nothing.clone(), Some(vec![])),
        line("get /v1/people/bob (what it holds in blog)", "/v1/people/bob", nothing.clone(), Some(vec![])),
        line(
            "put /v1/accounts/sue/roles/blog/editor",
            "/v1/accounts/sue/roles/blog%2Feditor",
            nothing.clone(),
            Some(vec!["roles_changed"]),
        ),
        line("get /v1/nothing", "/v1/nothing", nothing, None),
    ]);
    lines
}

impl Api {
    /// The host, under a request id of its own.
    async fn by_host(&self, id: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.send(request(id, method, path, body, None)).await
    }

    /// The people of the matrix, with what each runs.
    async fn people(&self) {
        for (username, level) in [("sue", "super_administrator"), ("ada", "administrator")] {
            let new = json!({ "username": username, "level": level, "new_person": true });
            assert_eq!(self.post("/v1/administrators", new).await.status, StatusCode::CREATED);
        }
        for username in ["bob", "cy", "eva", "pia"] {
            self.post("/v1/people", json!({ "username": username })).await;
        }
        assert_eq!(self.call("PUT", "/v1/administrators/eva/apps/blog").await.status, StatusCode::OK);
    }

    /// A usable token of a proxy user. Only for who shows it: it is there to be revoked with all others.
    async fn pat(&self) -> String {
        self.post("/v1/proxy-users", json!({ "username": "pia-ci", "owner": "pia" })).await;
        let pat = self.post("/v1/proxy-users/pia-ci/pats", json!({ "service": "ci" })).await.body;
        self.post(&format!("/v1/pats/{}/confirm", pat["public_id"].as_str().unwrap()), json!({})).await;
        pat["token"].as_str().unwrap().to_owned()
    }

    /// What the caller shows.
    async fn authorization(&self, key: &Key) -> Option<String> {
        let (person, scope, end) = match key {
            Key::Host | Key::None => return None,
            Key::Pat => return Some(format!("Bearer {}", self.pat().await)),
            Key::Of { person, scope, end } => (person, scope, end),
        };
        let new = json!({ "name": "matrix", "person": person, "scopes": [scope], "life_seconds": 3600 });
        let made = self.post("/v1/api-keys", new).await.body;
        if *end == End::Revoked {
            let path = format!("/v1/api-keys/{}/revoke", made["public_id"].as_str().unwrap());
            assert_eq!(self.post(&path, json!({ "reason": "other" })).await.status, StatusCode::OK);
        }
        if *end == End::Expired {
            self.clock.advance(Duration::from_hours(1));
        }
        Some(format!("Bearer {}", made["token"].as_str().unwrap()))
    }

    /// Serves the API where callers with a key come in.
    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = ThrottleSettings { burst: NonZeroU32::new(100_000).unwrap(), per_second: NonZeroU32::MIN };
        let network = Network {
            listener,
            hosts: network::hosts(address, &[]),
            tls: None,
            budgets: Arc::new(Sources::new(settings)),
        };
        tokio::spawn(serve_network(network, self.router.clone(), std::future::pending()));
        address
    }
}

fn request(id: &str, method: &str, path: &str, body: &Value, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("x-request-id", id);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let mut text = Body::empty();
    if !body.is_null() {
        request = request.header(header::CONTENT_TYPE, "application/json");
        text = Body::from(body.to_string());
    }
    request.body(text).unwrap()
}

/// Asks over a connection of its own.
async fn over_network(address: SocketAddr, mut request: Request<Body>) -> Answer {
    request.headers_mut().insert(header::HOST, address.to_string().parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    connection.abort();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer { status: head.status, headers: head.headers, body }
}

/// How an answer stands in the table.
fn sign(answer: &Answer) -> &'static str {
    match (answer.status.as_u16(), answer.code()) {
        (200..=299, _) | (409, "not_running") | (404, "no_such_route") => "✔",
        (403, _) => "✘",
        (401, "key_needed") => "·",
        _ => panic!("{answer:?}"),
    }
}

/// One caller's column. What it may not do, the host does in its place, so that what comes next can be done.
async fn column(caller: &Caller, lines: &[Line]) -> Vec<&'static str> {
    let api = Api::new().await;
    api.people().await;
    let authorization = api.authorization(&caller.key).await;
    let address = api.listen().await;
    let (mut made, mut column) = (String::new(), Vec::new());
    for (number, line) in lines.iter().enumerate() {
        let method = line.operation.split(' ').next().unwrap().to_uppercase();
        let (path, id) = (line.path.replace("PAT", &made), format!("line-{number}"));
        let mut answer = match caller.key {
            Key::Host => api.by_host(&id, &method, &path, &line.body).await,
            _ => over_network(address, request(&id, &method, &path, &line.body, authorization.as_deref())).await,
        };
        let sign = sign(&answer);
        // AG-006: once for what was done, once for what was refused to somebody who is known, and nothing else.
        let recorded = api.recorded(&id).await;
        let types: Vec<_> = recorded.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
        match (sign, &line.recorded) {
            ("✔", None) => {}
            ("✔", Some(expected)) => assert_eq!(types, *expected, "{}: {}", caller.name, line.operation),
            ("✘", _) => assert_eq!(types, ["operation_refused"], "{}: {}: {answer:?}", caller.name, line.operation),
            _ => assert_eq!(types, [""; 0], "{}: {}", caller.name, line.operation),
        }
        if sign != "✔" {
            answer = api.by_host(&format!("host-{number}"), &method, &path, &line.body).await;
            assert_eq!(
                self::sign(&answer),
                "✔",
                "the host, in the place of {}: {}: {answer:?}",
                caller.name,
                line.operation
            );
        }
        if let Some(id) = answer.body["public_id"].as_str() {
            id.clone_into(&mut made);
        }
        column.push(sign);
    }
    column
}

/// AD-001, AD-003, AD-006, AG-006, A1, A4, A5, A6, P1, R5: the matrix is the one that is checked in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_by_every_caller_is_as_it_is_checked_in() {
    let (callers, lines) = (callers(), lines());
    let document: Value = serde_json::from_str(&locum::admin::document().unwrap()).unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<String> {
        item.as_object().unwrap().keys().map(|method| format!("{method} {path}")).collect()
    };
    let operations: BTreeSet<String> = document["paths"].as_object().unwrap().iter().flat_map(methods).collect();
    let has_line = |operation: &&String| lines.iter().any(|line| line.operation == **operation);
    let missing: Vec<_> = operations.iter().filter(|operation| !has_line(operation)).collect();
    assert!(missing.is_empty(), "these routes have no line: {missing:?}");

    let columns = futures_util::future::join_all(callers.iter().map(|caller| column(caller, &lines))).await;
    let mut printed = String::from("✔ done   ✘ refused, and on record   · not known: 401, nothing on record\n\n");
    for (number, caller) in callers.iter().enumerate() {
        writeln!(printed, "{}  {}", number + 1, caller.name).unwrap();
    }
    let width = lines.iter().map(|line| line.operation.len()).max().unwrap_or(0);
    let numbers = (1..=callers.len()).map(|number| format!("{number:>3}")).collect::<Vec<_>>().concat();
    writeln!(printed, "\n{:width$} {numbers}", "").unwrap();
    let mut sorted: Vec<_> = lines.iter().enumerate().collect();
    // By path, then by method, so that a new route stands where it belongs.
    sorted.sort_by_key(|(number, line)| {
        let (method, path) = line.operation.split_once(' ').unwrap();
        (*number >= operations.len(), path.to_owned(), method.to_owned())
    });
    for (number, line) in sorted {
        let cells = columns.iter().map(|column| format!("  {}", column[number])).collect::<Vec<_>>().concat();
        writeln!(printed, "{:width$} {cells}", line.operation).unwrap();
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("admin_api.txt");
    tokio::fs::write(&place, &printed).await.unwrap();
    assert!(
        printed == MATRIX,
        "what callers may do has changed. If that is meant, look at the difference and take it over: \
         cp {} tests/matrix/admin_api.txt",
        place.display()
    );
}
