//! What the API answers: shapes, pages, secrets.

use std::time::Duration;

use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::Api;

async fn household() -> Api {
    let api = Api::new().await;
    api.post("/v1/roles", json!({ "name": "reports", "permissions": ["general:read"] })).await;
    api.post("/v1/people", json!({ "username": "ann", "roles": ["reports"] })).await;
    let added = api.post("/v1/proxy-users", json!({ "username": "ann-ci", "owner": "ann" })).await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    api
}

/// Item 9: an account has at least username, kind, state, owner and roles; nothing is left out.
#[tokio::test]
async fn an_account_is_shown_with_all_of_its_fields() {
    let api = household().await;
    let mut proxy = api.call("GET", "/v1/proxy-users/ann-ci").await.body;
    assert!(proxy["id"].take().is_string());
    assert_eq!(
        proxy,
        json!({
            "username": "ann-ci", "id": null, "name": null, "email": null, "phone": null, "legacy_names": [], "kind": "proxy", "state": "active", "inactive": null, "owner": "ann",
            "roles": ["reports"], "apps": [], "proxy_users": [], "networks": [], "created_at": crate::NOON.to_string(),
        })
    );
    let owner = api.call("GET", "/v1/people/ann").await.body;
    assert_eq!(
        (&owner["kind"], &owner["owner"], &owner["proxy_users"]),
        (&json!("person"), &Value::Null, &json!(["ann-ci"]))
    );
    let inactive = api.post("/v1/people/ann/inactivate", json!({})).await.body;
    assert_eq!(
        inactive["inactive"],
        json!({
            "at": crate::NOON.to_string(), "by": "host:root", "reason": "marked_inactive",
        })
    );
}

/// T3, PT-005: the secret stands in the answer that made the token and in no other; nothing may keep it.
#[tokio::test]
async fn the_secret_is_answered_once_and_never_kept() {
    let api = household().await;
    let key = [("idempotency-key", "k-1")];
    let wish = json!({ "service": "ci", "life_seconds": 86_400, "networks": ["10.0.0.0/8"], "read_only": true });
    let first = api.post_with("/v1/proxy-users/ann-ci/pats", wish.clone(), &key).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(first.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(first.headers[header::CONTENT_TYPE], "application/json");
    let token = first.body["token"].as_str().unwrap().to_owned();
    assert_eq!(token.len(), 68);
    assert_eq!((&first.body["state"], &first.body["account"]), (&json!("pending"), &json!("ann-ci")));

    let again = api.post_with("/v1/proxy-users/ann-ci/pats", wish, &key).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.body["public_id"], first.body["public_id"]);
    assert!(again.body.get("token").is_none());
    let other = api.post_with("/v1/proxy-users/ann-ci/pats", json!({ "service": "x" }), &key).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "idempotency_key_reused"));

    let id = first.body["public_id"].as_str().unwrap();
    for path in ["/v1/proxy-users/ann-ci/pats", &format!("/v1/pats/{id}"), "/v1/history"] {
        let answer = api.call("GET", path).await;
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert!(!answer.body.to_string().contains(&token[22..62]), "{path}");
    }
}

/// T13: a check says what a token is and reaches; a wrong secret has one uniform answer.
#[tokio::test]
async fn a_check_tells_all_of_a_right_token_and_nothing_of_a_wrong_one() {
    let api = household().await;
    let wish = json!({ "service": "ci", "networks": ["10.0.0.0/8"] });
    let made = api.post("/v1/proxy-users/ann-ci/pats", wish).await.body;
    let (id, token) = (made["public_id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let check =
        async |token: &str, from: &str| api.post("/v1/pats/check", json!({ "token": token, "from": from })).await.body;
    let entries = api.call("GET", "/v1/history").await.body["entries"].as_array().unwrap().len();

    assert_eq!(check(token, "10.1.1.1").await["state"], "pending");
    api.post(&format!("/v1/pats/{id}/confirm"), json!({})).await;
    let checked = check(token, "10.1.1.1").await;
    assert_eq!((&checked["state"], &checked["accepted"]), (&json!("usable"), &json!(true)));
    assert_eq!(
        (&checked["account"], &checked["owner"], &checked["roles"]),
        (&json!("ann-ci"), &json!("ann"), &json!(["reports"]))
    );
    assert_eq!(checked["days_left"], 365);
    assert_eq!(check(token, "192.0.2.1").await["state"], "outside_networks");

    let other = if token.ends_with('x') { 'y' } else { 'x' };
    let mistyped = check(&format!("{}{other}", &token[..67]), "10.1.1.1").await;
    let unknown = check("locum_pat_0000000000000000000000000000000000000000000000000000000000", "10.1.1.1").await;
    assert_eq!(mistyped, unknown);
    assert_eq!(check("no token at all", "10.1.1.1").await, unknown);
    assert_eq!((&unknown["state"], &unknown["account"]), (&json!("unknown"), &Value::Null));

    api.clock.advance(Duration::from_hours(366 * 24));
    assert_eq!(check(token, "10.1.1.1").await["state"], "expired");
    // nothing but the confirmation left a trace
    assert_eq!(api.call("GET", "/v1/history").await.body["entries"].as_array().unwrap().len(), entries + 1);
}

/// Pages follow each other by their cursor, without gap or repetition.
#[tokio::test]
async fn pages_follow_each_other_without_gap() {
    let api = Api::new().await;
    let mut expected = Vec::new();
    for number in 0..7 {
        let username = format!("person-{number}");
        api.post("/v1/people", json!({ "username": username })).await;
        expected.push(username);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/people?limit=3".to_owned();
    loop {
        let page = api.call("GET", &path).await.body;
        let accounts = page["accounts"].as_array().unwrap();
        assert!(accounts.len() <= 3);
        seen.extend(accounts.iter().map(|account| account["username"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/people?limit=3&cursor={next}");
    }
    assert_eq!(seen, expected);

    let mut sequences = Vec::new();
    let mut path = "/v1/history?limit=3".to_owned();
    loop {
        let page = api.call("GET", &path).await.body;
        sequences.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["sequence"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/history?limit=3&cursor={next}");
    }
    assert_eq!(sequences, (1..=8).rev().collect::<Vec<_>>());
}

/// P9: lists by owner, and by what a username begins with.
#[tokio::test]
async fn proxy_users_are_listed_by_owner() {
    let api = household().await;
    api.post("/v1/people", json!({ "username": "bob" })).await;
    api.post("/v1/proxy-users", json!({ "username": "bob-ci", "owner": "bob" })).await;
    let names = async |path: &str| {
        let body = api.call("GET", path).await.body;
        let accounts = body["accounts"].as_array().unwrap().clone();
        accounts.iter().map(|account| account["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("/v1/proxy-users").await, ["ann-ci", "bob-ci"]);
    assert_eq!(names("/v1/proxy-users?owner=bob").await, ["bob-ci"]);
    assert_eq!(names("/v1/proxy-users?prefix=ann").await, ["ann-ci"]);
    assert_eq!(names("/v1/people").await, ["ann", "bob"]);
    assert_eq!(api.call("GET", "/v1/proxy-users?owner=ann-ci").await.code(), "not_a_person");
}

/// A role of an app stands in a path with its `/` encoded.
#[tokio::test]
async fn a_role_of_an_app_is_named_in_a_path() {
    let api = household().await;
    api.post("/v1/roles", json!({ "name": "blog/editor" })).await;
    assert_eq!(api.call("GET", "/v1/roles/blog%2Feditor").await.body["app"], "blog");
    let granted = api.call("PUT", "/v1/accounts/ann/roles/blog%2Feditor").await;
    assert_eq!(granted.body["roles"], json!(["reports", "blog/editor"]), "{granted:?}");
    let removed = api.call("DELETE", "/v1/accounts/ann/apps/blog").await;
    assert_eq!(removed.body["roles"], json!(["reports"]));
}

/// H5: the history is whole, and the API says so.
#[tokio::test]
async fn the_history_is_said_to_be_whole() {
    let api = household().await;
    let audit = api.call("GET", "/v1/audit").await.body;
    assert_eq!((&audit["whole"], &audit["broken"]), (&json!(true), &Value::Null));
    assert_eq!(audit["entries"], 6, "{audit}");
}

/// H5: a checkpoint says where the history stood, and agrees with it later; nothing else of that shape does.
#[tokio::test]
async fn a_checkpoint_agrees_with_the_history_that_it_was_made_of() {
    let api = household().await;
    let checkpoint = api.call("GET", "/v1/audit/checkpoint").await.body;
    assert_eq!((&checkpoint["statement"], &checkpoint["sequence"]), (&json!("checkpoint"), &json!(6)));
    assert_eq!(checkpoint["at"], crate::NOON.to_string());
    let key = api.call("GET", "/v1/audit/key").await.body;
    assert_eq!((&key["public_key"], &key["installation"]), (&checkpoint["public_key"], &checkpoint["installation"]));
    api.post("/v1/people", json!({ "username": "bob" })).await;
    let audit = api.post("/v1/audit", json!({ "checkpoints": [checkpoint] })).await.body;
    assert_eq!((&audit["whole"], &audit["entries"], &audit["checkpoints"]), (&json!(true), &json!(7), &json!(1)));

    let broken = async |change: fn(&mut Value)| {
        let mut changed = checkpoint.clone();
        change(&mut changed);
        let audit = api.post("/v1/audit", json!({ "checkpoints": [changed] })).await.body;
        assert_eq!(audit["whole"], false, "{audit}");
        audit["broken"].as_str().unwrap().to_owned()
    };
    assert!(broken(|it| it["sequence"] = json!(5)).await.contains("signature"));
    assert!(broken(|it| it["public_key"] = json!("ab".repeat(32))).await.contains("is signed under the key"));
    let other = json!({ "checkpoints": [checkpoint], "public_key": "ab".repeat(32) });
    assert_eq!(api.post("/v1/audit", other).await.body["whole"], false);
    for unreadable in [json!({ "checkpoints": [{}] }), json!({ "public_key": "x" }), json!({ "checkpoint": 1 })] {
        assert_eq!(api.post("/v1/audit", unreadable).await.code(), "invalid_request");
    }
}

/// H5: the export has every entry, whose it is, and a signed end; it goes on where another ended.
#[tokio::test]
async fn the_history_is_exported_line_by_line() {
    let api = household().await;
    let answer = api.call("GET", "/v1/audit/export").await;
    assert_eq!((answer.status, &answer.headers[header::CACHE_CONTROL]), (StatusCode::OK, &"no-store".parse().unwrap()));
    let lines = answer.body.as_array().unwrap();
    assert_eq!(lines.len(), 8, "{lines:?}");
    assert_eq!(lines[0]["follows"], json!({ "sequence": 0, "hash": "0".repeat(64) }));
    let entries: Vec<_> = lines[1..7].iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(entries, [1, 2, 3, 4, 5, 6]);
    assert_eq!((&lines[3]["type"], &lines[3]["actor"]), (&json!("user_added"), &json!("host:root")));
    assert_eq!(lines[7]["checkpoint"]["hash"], lines[6]["hash"]);

    let rest = api.call("GET", "/v1/audit/export?from=6").await.body;
    assert_eq!(rest[0]["follows"], json!({ "sequence": 5, "hash": lines[5]["hash"] }));
    assert_eq!(rest[1], lines[6]);
    assert_eq!(api.call("GET", "/v1/audit/export?from=7").await.body.as_array().unwrap().len(), 2);
    for from in ["0", "8", "18446744073709551615"] {
        assert_eq!(api.call("GET", &format!("/v1/audit/export?from={from}")).await.code(), "no_such_entry", "{from}");
    }
}

/// H3: all actions of one request carry its id, which the answer names; one that came along is kept.
#[tokio::test]
async fn the_actions_of_one_request_share_its_id() {
    let api = household().await;
    let made = api.post("/v1/people/ann/inactivate", json!({})).await;
    let id = made.headers["x-request-id"].to_str().unwrap();
    let entries = api.call("GET", "/v1/history?limit=2").await.body["entries"].clone();
    assert_eq!((&entries[0]["request_id"], &entries[1]["request_id"]), (&json!(id), &json!(id)));
    api.post_with("/v1/people/ann/activate", json!({}), &[("x-request-id", "mine-1")]).await;
    let last = api.call("GET", "/v1/history?limit=1").await.body["entries"][0].clone();
    assert_eq!(last["request_id"], "mine-1");
}
