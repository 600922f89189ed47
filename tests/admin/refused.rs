//! Who may not, and what cannot be read: each with its status and code, and nothing done.

use axum::body::Body;
use http::{Request, StatusCode, header};
use locum::admin::Peer;
use serde_json::{Value, json};

use crate::Api;

/// C4: every route of the document, and every path beside them, is refused without a peer that is
/// allowed.
#[tokio::test]
async fn every_route_is_refused_without_an_allowed_peer() {
    let mut api = Api::new().await;
    let document: Value = serde_json::from_str(&locum::admin::document().unwrap()).unwrap();
    let mut tried = 0;
    for peer in [None, Some(Peer { uid: 1000, unix_user: "eve".to_owned() })] {
        api.peer = peer;
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let answer = api.call(&method.to_uppercase(), &path.replace(['{', '}'], "")).await;
                assert_eq!(
                    (answer.status, answer.code()),
                    (StatusCode::FORBIDDEN, "peer_not_allowed"),
                    "{method} {path}"
                );
                tried += 1;
            }
        }
        for path in ["/", "/v1/openapi.json", "/v1/nothing"] {
            assert_eq!(api.call("GET", path).await.code(), "peer_not_allowed", "{path}");
        }
    }
    assert!(tried >= 60, "{tried}");
    api.peer = Some(Peer { uid: crate::OWN_UID, unix_user: "locum".to_owned() });
    assert_eq!(api.call("GET", "/v1/health").await.status, StatusCode::OK);
}

/// Unknown fields and parameters, wrong types and broken JSON are refused in words.
#[tokio::test]
async fn what_is_not_understood_is_refused_in_words() {
    let api = Api::new().await;
    let unknown = api.post("/v1/people", json!({ "username": "ann", "admin": true })).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request"));
    assert!(unknown.detail().contains("unknown field `admin`"), "{}", unknown.detail());
    assert_eq!(api.call("GET", "/v1/people/ann").await.code(), "unknown_account");

    let query = api.call("GET", "/v1/people?sort=name").await;
    assert!(query.detail().contains("unknown field `sort`"), "{}", query.detail());
    let missing = api.post("/v1/proxy-users", json!({ "username": "x" })).await;
    assert!(missing.detail().contains("missing field `owner`"), "{}", missing.detail());
    let shape = api.post("/v1/people", json!({ "username": "a b" })).await;
    assert!(shape.detail().contains("cannot stand in a username"), "{}", shape.detail());

    let plain = Request::post("/v1/people").body(Body::from("{}")).unwrap();
    assert_eq!(api.send(plain).await.code(), "not_json");
    let broken = Request::post("/v1/people").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(api.send(broken.body(Body::from("{")).unwrap()).await.code(), "invalid_request");
    assert_eq!(api.call("PATCH", "/v1/people").await.code(), "no_such_method");
    assert_eq!(api.call("GET", "/v1/nothing").await.code(), "no_such_route");
    assert_eq!(api.call("GET", "/v1/people?limit=0").await.code(), "invalid_request");
    assert_eq!(api.call("GET", "/v1/people?limit=1001").await.code(), "invalid_request");
    assert_eq!(api.call("GET", "/v1/history?type=nothing").await.code(), "invalid_request");
    assert_eq!(api.call("GET", "/v1/pats/short").await.code(), "invalid_request");
}

/// A body is bounded.
#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let api = Api::new().await;
    let long = api.post("/v1/people", json!({ "username": "a".repeat(100_000) })).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// A refusal carries its rule and the names that were perhaps meant.
#[tokio::test]
async fn a_refusal_names_its_rule_and_what_was_meant() {
    let api = Api::new().await;
    api.post("/v1/people", json!({ "username": "billing" })).await;
    let answer = api.post("/v1/people", json!({ "username": "Billing" })).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "username_look_alike"));
    assert_eq!(answer.body["rule"], "P2");
    assert_eq!(answer.body["type"], "urn:locum:problem:username_look_alike");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    let answer = api.call("GET", "/v1/people/biling").await;
    assert_eq!((answer.status, &answer.body["nearest"]), (StatusCode::NOT_FOUND, &json!(["billing"])));
}
