//! The API over the network: keys, what they reach, and what everybody else gets.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode, header};
use locum::admin::FromNetwork;
use locum::authn::{Sources, ThrottleSettings};
use serde_json::{Value, json};

use crate::{Answer, Api};

/// The network, with a budget of so many failures.
fn network(burst: u32) -> FromNetwork {
    let settings = ThrottleSettings { burst: NonZeroU32::new(burst).unwrap(), per_second: NonZeroU32::MIN };
    FromNetwork { address: IpAddr::from([192, 0, 2, 1]), budgets: Arc::new(Sources::new(settings)) }
}

impl Api {
    /// Calls from the network with what stands in `Authorization`.
    async fn over_network(&self, from: &FromNetwork, authorization: &[&str], method: &str, path: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(from.clone());
        for value in authorization {
            request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
        }
        self.send_from(request).await
    }

    /// A key of a new super administrator.
    async fn key(&self, scopes: &[&str]) -> String {
        self.post(
            "/v1/administrators",
            json!({ "username": "sue", "level": "super_administrator", "new_person": true }),
        )
        .await;
        let new = json!({ "name": "ci", "person": "sue", "scopes": scopes, "life_seconds": 3600 });
        let made = self.post("/v1/api-keys", new).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        format!("Bearer {}", made.body["token"].as_str().unwrap())
    }

    async fn history(&self) -> Vec<Value> {
        self.call("GET", "/v1/history?limit=1000").await.body["entries"].as_array().unwrap().clone()
    }
}

/// AD-006, A6: over the network there are keys and nothing else; whatever else is presented has one answer.
#[tokio::test]
async fn over_the_network_there_are_keys_and_nothing_else() {
    let api = Api::new().await;
    let key = api.key(&["all:write"]).await;
    let from = network(100);
    api.post("/v1/people", json!({ "username": "ann" })).await;
    api.post("/v1/proxy-users", json!({ "username": "ann-ci", "owner": "ann" })).await;
    let pat = api.post("/v1/proxy-users/ann-ci/pats", json!({ "service": "ci" })).await.body;
    let (pat, id) = (pat["token"].as_str().unwrap().to_owned(), pat["public_id"].as_str().unwrap().to_owned());
    api.post(&format!("/v1/pats/{id}/confirm"), json!({})).await;
    let count = api.history().await.len();
    let wrong = format!("{}{}", &key[..key.len() - 1], if key.ends_with('x') { 'y' } else { 'x' });
    let bearer_pat = format!("Bearer {pat}");
    let basic = "Basic c3VlOnBhc3N3b3Jk";
    let bare = key.strip_prefix("Bearer ").unwrap();
    let all: [&[&str]; 9] = [
        &[],
        &[&bearer_pat],
        &[&wrong],
        &[basic],
        &[bare],
        &["Bearer"],
        &["Bearer locum_key_0000000000000000000000000000000000000000000000000000000000"],
        &[&key, &key],
        &["Bearer locum_scim_0000000000000000000000000000000000000000000000000000000000"],
    ];
    for (path, authorization) in all.iter().flat_map(|one| [("/v1/people", one), ("/metrics", one), ("/nothing", one)])
    {
        let answer = api.over_network(&from, authorization, "GET", path).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "key_needed"), "{authorization:?}");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"Locum administration\"");
    }
    assert_eq!(api.history().await.len(), count, "nobody is known to have asked");
    assert_eq!(api.over_network(&from, &[&key], "GET", "/v1/people").await.status, StatusCode::OK);
    assert_eq!(api.over_network(&from, &[&key], "HEAD", "/v1/people").await.status, StatusCode::OK);
    assert_eq!(api.over_network(&from, &[&key], "GET", "/v1/openapi.json").await.status, StatusCode::OK);
    assert_eq!(api.over_network(&from, &[&key], "GET", "/v1/health").await.status, StatusCode::OK);
    assert_eq!(api.over_network(&from, &[&key], "GET", "/nothing").await.code(), "no_such_route");
    assert_eq!(api.over_network(&from, &[&key], "PATCH", "/v1/people").await.code(), "no_such_method");
    assert_eq!(api.over_network(&from, &[&key], "DELETE", "/v1/deleted-names/ann").await.code(), "not_allowed");
}

/// A6, AG-006: a key reaches no further than its scopes; what it tried beside them is on record, once.
#[tokio::test]
async fn a_key_reaches_no_further_than_its_scopes() {
    let api = Api::new().await;
    let key = api.key(&["people:read", "history:read"]).await;
    let from = network(100);
    assert_eq!(api.over_network(&from, &[&key], "GET", "/v1/people").await.status, StatusCode::OK);
    let verified = api.over_network(&from, &[&key], "GET", "/v1/audit").await;
    assert_eq!(verified.body["whole"], true, "{verified:?}");
    for (method, path, scope) in [
        ("GET", "/v1/roles", "roles:read"),
        ("POST", "/v1/people/sue/inactivate", "people:write"),
        ("GET", "/metrics", "gateway:read"),
        ("GET", "/v1/health", "gateway:read"),
        ("GET", "/v1/api-keys", "keys:read"),
    ] {
        let count = api.history().await.len();
        let answer = api.over_network(&from, &[&key], method, path).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "out_of_scope"), "{path}");
        assert!(answer.detail().contains(&format!("`{scope}`")), "{}", answer.detail());
        let history = api.history().await;
        assert_eq!(history.len(), count + 1, "{path}");
        let entry = &history[0];
        assert_eq!((&entry["type"], &entry["actor"]), (&json!("operation_refused"), &json!("sue")));
        assert_eq!((&entry["address"], &entry["changed"]), (&json!("192.0.2.1"), &json!(false)));
        assert!(entry["details"].to_string().contains("api_key"), "{entry}");
    }
}

/// L8: a source that fails too often is turned away before anything is judged.
#[tokio::test]
async fn a_source_that_fails_too_often_is_turned_away() {
    let api = Api::new().await;
    let key = api.key(&["all:read"]).await;
    let from = network(3);
    for _ in 0..3 {
        assert_eq!(api.over_network(&from, &["Bearer x"], "GET", "/v1/people").await.code(), "key_needed");
    }
    let throttled = api.over_network(&from, &[&key], "GET", "/v1/people").await;
    assert_eq!((throttled.status, throttled.code()), (StatusCode::TOO_MANY_REQUESTS, "throttled"));
    assert!(throttled.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let other = FromNetwork { address: IpAddr::from([192, 0, 2, 2]), ..from };
    assert_eq!(api.over_network(&other, &[&key], "GET", "/v1/people").await.status, StatusCode::OK);
}
