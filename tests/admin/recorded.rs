//! What the history holds of each operation: exactly what was done or refused, once, by whom, and nothing of
//! what only looked.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Request, header};
use locum::admin::Peer;
use serde_json::{Value, json};

use crate::{Answer, Api};

/// One operation: how it is done and what is then on record, and how a rule refuses it.
pub(crate) struct Row {
    pub(crate) operation: &'static str,
    pub(crate) done: (&'static str, Value),
    pub(crate) recorded: &'static [&'static str],
    refused: (&'static str, Value),
    /// The code of the refusal; a refused look leaves no record.
    code: &'static str,
}

fn row(
    operation: &'static str,
    done: (&'static str, Value),
    recorded: &'static [&'static str],
    refused: (&'static str, Value),
    code: &'static str,
) -> Row {
    Row { operation, done, recorded, refused, code }
}

/// Every operation of the API, in an order in which each can be done once.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(crate) fn rows() -> Vec<Row> {
    let nothing = Value::Null;
    let look =
        |operation, path, elsewhere, code| row(operation, (path, Value::Null), &[], (elsewhere, Value::Null), code);
    let ann_ci = json!({ "username": "ann-ci", "owner": "ann" });
    vec![
        row(
            "put /v1/jobs/{job}",
            ("/v1/jobs/nightly", json!({ "process": "manage_pats", "schedule": "0 3 * * *" })),
            &["job_saved"],
            ("/v1/jobs/Night", json!({ "process": "manage_pats" })),
            "job_name",
        ),
        row(
            "post /v1/roles",
            ("/v1/roles", json!({ "name": "reports" })),
            &["role_added"],
            ("/v1/roles", json!({ "name": "reports" })),
            "role_exists",
        ),
        row(
            "post /v1/people",
            ("/v1/people", json!({ "username": "ann" })),
            &["user_added"],
            ("/v1/people", json!({ "username": "ann" })),
            "username_taken",
        ),
        row(
            "post /v1/proxy-users",
            ("/v1/proxy-users", ann_ci),
            &["proxy_user_added"],
            ("/v1/proxy-users", json!({ "username": "x", "owner": "nobody" })),
            "unknown_account",
        ),
        row(
            "put /v1/accounts/{username}/roles/{role}",
            ("/v1/accounts/bob/roles/reports", nothing.clone()),
            &["roles_changed"],
            ("/v1/accounts/bob/roles/nope", nothing.clone()),
            "unknown_role",
        ),
        row(
            "post /v1/accounts/{username}/copy-roles",
            ("/v1/accounts/cy/copy-roles", json!({ "from": "bob" })),
            &["roles_changed"],
            ("/v1/accounts/cy/copy-roles", json!({ "from": "nobody" })),
            "unknown_account",
        ),
        row(
            "delete /v1/accounts/{username}/roles/{role}",
            ("/v1/accounts/bob/roles/reports", nothing.clone()),
            &["roles_changed"],
            ("/v1/accounts/nobody/roles/reports", nothing.clone()),
            "unknown_account",
        ),
        row(
            "put /v1/accounts/{username}/apps/{app}",
            ("/v1/accounts/bob/apps/blog", nothing.clone()),
            &["roles_changed"],
            ("/v1/accounts/bob/apps/nope", nothing.clone()),
            "unknown_app",
        ),
        row(
            "delete /v1/accounts/{username}/apps/{app}",
            ("/v1/accounts/bob/apps/blog", nothing.clone()),
            &["roles_changed"],
            ("/v1/accounts/nobody/apps/blog", nothing.clone()),
            "unknown_account",
        ),
        row(
            "post /v1/administrators",
            ("/v1/administrators", json!({ "username": "cy", "level": "administrator" })),
            &["admin_status_changed"],
            ("/v1/administrators", json!({ "username": "cy", "level": "administrator" })),
            "is_administrator",
        ),
        row(
            "post /v1/administrators/{username}/promote",
            ("/v1/administrators/cy/promote", json!({})),
            &["admin_status_changed"],
            ("/v1/administrators/bob/promote", json!({})),
            "not_an_administrator",
        ),
        row(
            "post /v1/administrators/{username}/downgrade",
            ("/v1/administrators/cy/downgrade", json!({ "force": true })),
            &["admin_status_changed"],
            ("/v1/administrators/bob/downgrade", json!({})),
            "not_an_administrator",
        ),
        row(
            "post /v1/administrators/{username}/deactivate",
            ("/v1/administrators/cy/deactivate", json!({})),
            &["admin_status_changed"],
            ("/v1/administrators/bob/deactivate", json!({})),
            "not_an_administrator",
        ),
        row(
            "post /v1/administrators/{username}/reactivate",
            ("/v1/administrators/cy/reactivate", json!({})),
            &["admin_status_changed"],
            ("/v1/administrators/bob/reactivate", json!({})),
            "not_an_administrator",
        ),
        row(
            "put /v1/administrators/{username}/apps/{app}",
            ("/v1/administrators/bob/apps/blog", nothing.clone()),
            &["admin_status_changed"],
            ("/v1/administrators/bob/apps/nope", nothing.clone()),
            "unknown_app",
        ),
        row(
            "delete /v1/administrators/{username}/apps/{app}",
            ("/v1/administrators/bob/apps/blog", nothing.clone()),
            &["admin_status_changed"],
            ("/v1/administrators/nobody/apps/blog", nothing.clone()),
            "unknown_account",
        ),
        row(
            "put /v1/people/{username}/rights/{right}",
            ("/v1/people/bob/rights/add_proxy_users", nothing.clone()),
            &["rights_changed"],
            ("/v1/people/nobody/rights/add_proxy_users", nothing.clone()),
            "unknown_account",
        ),
        row(
            "delete /v1/people/{username}/rights/{right}",
            ("/v1/people/bob/rights/add_proxy_users", nothing.clone()),
            &["rights_changed"],
            ("/v1/people/nobody/rights/add_proxy_users", nothing.clone()),
            "unknown_account",
        ),
        look("get /v1/administrators", "/v1/administrators", "/v1/administrators?app=nope", "unknown_app"),
        look(
            "get /v1/people/{username}/rights",
            "/v1/people/bob/rights",
            "/v1/people/nobody/rights",
            "unknown_account",
        ),
        row(
            "post /v1/api-keys",
            ("/v1/api-keys", json!({ "name": "ci", "person": "cy", "scopes": ["all:read"], "life_seconds": 3600 })),
            &["api_key_created"],
            ("/v1/api-keys", json!({ "name": "ci", "person": "bob", "scopes": ["all:read"], "life_seconds": 3600 })),
            "not_an_administrator",
        ),
        look("get /v1/api-keys/{public_id}", "/v1/api-keys/PAT", "/v1/api-keys/0123456789ab", "unknown_api_key"),
        row(
            "post /v1/api-keys/{public_id}/revoke",
            ("/v1/api-keys/PAT/revoke", json!({ "reason": "other" })),
            &["api_key_revoked"],
            ("/v1/api-keys/PAT/revoke", json!({ "reason": "other" })),
            "api_key_revoked",
        ),
        look("get /v1/api-keys", "/v1/api-keys", "/v1/api-keys?person=nobody", "unknown_account"),
        row(
            "put /v1/roles/{role}",
            ("/v1/roles/reports", json!({ "permissions": ["general:read"] })),
            // for the role, and for the one who holds it
            &["role_access_updated", "role_access_updated"],
            ("/v1/roles/nope", json!({ "permissions": [] })),
            "unknown_role",
        ),
        row(
            "post /v1/reasons",
            ("/v1/reasons", json!({ "code": "moved", "text": "It moved" })),
            &["reason_added"],
            ("/v1/reasons", json!({ "code": "moved", "text": "It moved" })),
            "reason_exists",
        ),
        row(
            "post /v1/proxy-users/{username}/pats",
            ("/v1/proxy-users/ann-ci/pats", json!({ "service": "ci" })),
            &["pat_created"],
            ("/v1/proxy-users/nobody/pats", json!({ "service": "ci" })),
            "unknown_account",
        ),
        row(
            "post /v1/pats/{public_id}/confirm",
            ("/v1/pats/PAT/confirm", json!({})),
            &["pat_confirmed"],
            ("/v1/pats/PAT/confirm", json!({})),
            "pat_already_confirmed",
        ),
        row(
            "post /v1/pats/{public_id}/rotate",
            ("/v1/pats/PAT/rotate", json!({ "overlap_seconds": 3600 })),
            &["pat_created"],
            ("/v1/pats/PAT/rotate", json!({ "overlap_seconds": 3600, "silence_seconds": 1 })),
            "silence",
        ),
        row(
            "post /v1/pats/{public_id}/revoke",
            ("/v1/pats/PAT/revoke", json!({ "reason": "moved" })),
            &["pat_revoked"],
            ("/v1/pats/PAT/revoke", json!({ "reason": "nope" })),
            "unknown_reason",
        ),
        row(
            "post /v1/proxy-users/{username}/inactivate",
            ("/v1/proxy-users/ann-ci/inactivate", json!({})),
            // with it goes the token that was rotated, whose overlap is not over
            &["pat_revoked", "proxy_user_marked_inactive"],
            ("/v1/proxy-users/nobody/inactivate", json!({})),
            "unknown_account",
        ),
        row(
            "post /v1/proxy-users/{username}/activate",
            ("/v1/proxy-users/ann-ci/activate", json!({})),
            &["proxy_user_marked_active"],
            ("/v1/proxy-users/nobody/activate", json!({})),
            "unknown_account",
        ),
        row(
            "put /v1/proxy-users/{username}/networks",
            ("/v1/proxy-users/ann-ci/networks", json!({ "networks": ["10.0.0.0/8"] })),
            &["proxy_user_networks_changed"],
            ("/v1/proxy-users/nobody/networks", json!({ "networks": [] })),
            "unknown_account",
        ),
        row(
            "patch /v1/people/{username}",
            ("/v1/people/ann", json!({ "name": "Ann", "email": "ann@example.org" })),
            &["personal_data_changed"],
            ("/v1/people/nobody", json!({ "name": null })),
            "unknown_account",
        ),
        row(
            "post /v1/apps/{app}/legacy-names",
            ("/v1/apps/blog/legacy-names", json!({ "names": ["asmith", "bjones"] })),
            &["legacy_names_imported"],
            ("/v1/apps/nope/legacy-names", json!({ "names": [] })),
            "unknown_app",
        ),
        row(
            "put /v1/people/{username}/legacy-names/{app}",
            ("/v1/people/ann/legacy-names/blog", json!({ "name": "asmith" })),
            &["legacy_name_linked"],
            ("/v1/people/bob/legacy-names/blog", json!({ "name": "asmith" })),
            "legacy_name_taken",
        ),
        look(
            "get /v1/apps/{app}/legacy-names",
            "/v1/apps/blog/legacy-names?name=bjones",
            "/v1/apps/nope/legacy-names",
            "unknown_app",
        ),
        row(
            "delete /v1/people/{username}/legacy-names/{app}",
            ("/v1/people/ann/legacy-names/blog", nothing.clone()),
            &["legacy_name_removed"],
            ("/v1/people/nobody/legacy-names/blog", nothing.clone()),
            "unknown_account",
        ),
        look("get /v1/people", "/v1/people", "/v1/people?limit=0", "invalid_request"),
        look("get /v1/people/{username}", "/v1/people/ann", "/v1/people/nobody", "unknown_account"),
        look("get /v1/proxy-users", "/v1/proxy-users", "/v1/proxy-users?owner=nobody", "unknown_account"),
        look("get /v1/proxy-users/{username}", "/v1/proxy-users/ann-ci", "/v1/proxy-users/ann", "not_a_proxy_user"),
        look(
            "get /v1/proxy-users/{username}/pats",
            "/v1/proxy-users/ann-ci/pats",
            "/v1/proxy-users/nobody/pats",
            "unknown_account",
        ),
        look("get /v1/pats/{public_id}", "/v1/pats/PAT", "/v1/pats/000000000000", "unknown_pat"),
        row(
            "post /v1/pats/check",
            ("/v1/pats/check", json!({ "token": "no token" })),
            &[],
            ("/v1/pats/check", json!({})),
            "invalid_request",
        ),
        look("get /v1/roles", "/v1/roles", "/v1/roles?x=1", ""),
        look("get /v1/roles/{role}", "/v1/roles/reports", "/v1/roles/nope", "unknown_role"),
        look("get /v1/reasons", "/v1/reasons", "/v1/reasons?x=1", ""),
        look("get /v1/apps", "/v1/apps", "/v1/apps?x=1", ""),
        row(
            "post /v1/audit",
            ("/v1/audit", json!({})),
            &[],
            ("/v1/audit", json!({ "checkpoints": 1 })),
            "invalid_request",
        ),
        row(
            "post /v1/audit/trim",
            ("/v1/audit/trim", json!({ "before": crate::NOON.to_string(), "dry_run": true })),
            &[],
            ("/v1/audit/trim", json!({ "before": "yesterday" })),
            "invalid_request",
        ),
        look("get /v1/audit/checkpoint", "/v1/audit/checkpoint", "/v1/audit/checkpoint?x=1", ""),
        // By now none is left to revoke.
        row(
            "post /v1/pats/revoke-all",
            ("/v1/pats/revoke-all", json!({ "reason": "moved" })),
            &[],
            ("", nothing.clone()),
            "",
        ),
        row("post /v1/backup", ("/v1/backup", nothing.clone()), &["backup_taken"], ("", nothing.clone()), ""),
        look("get /v1/audit/key", "/v1/audit/key", "/v1/audit/key?x=1", ""),
        look("get /v1/audit/export", "/v1/audit/export", "/v1/audit/export?from=99999", "no_such_entry"),
        look("get /v1/audit", "/v1/audit", "/v1/audit?x=1", ""),
        row(
            "post /v1/keys/rotate",
            ("/v1/keys/rotate", json!({ "keys": ["master", "pepper"] })),
            &["key_rotated", "key_rotated"],
            ("/v1/keys/rotate", json!({ "keys": [] })),
            "key_storage",
        ),
        look("get /v1/keys", "/v1/keys", "/v1/keys?x=1", ""),
        look("get /v1/health", "/v1/health", "/v1/health?x=1", ""),
        look("get /v1/history", "/v1/history", "/v1/history?type=nope", "invalid_request"),
        look("get /v1/jobs", "/v1/jobs", "/v1/jobs?x=1", ""),
        look("get /v1/jobs/{job}", "/v1/jobs/nightly", "/v1/jobs/nope", "unknown_job"),
        look("get /v1/jobs/{job}/runs", "/v1/jobs/nightly/runs", "/v1/jobs/nope/runs", "unknown_job"),
        look("get /v1/jobs/{job}/runs/{run}", "/v1/jobs/nightly/runs/1", "/v1/jobs/nightly/runs/99", "unknown_run"),
        row(
            "post /v1/jobs/{job}/runs",
            ("/v1/jobs/nightly/runs", json!({ "dry_run": true })),
            &["job_started"],
            ("/v1/jobs/nope/runs", json!({})),
            "unknown_job",
        ),
        row(
            "delete /v1/jobs/{job}",
            ("/v1/jobs/nightly", nothing.clone()),
            &["job_removed"],
            ("/v1/jobs/nightly", nothing.clone()),
            "unknown_job",
        ),
        row(
            "delete /v1/proxy-users/{username}",
            ("/v1/proxy-users/ann-ci", nothing.clone()),
            &["proxy_user_deleted"],
            ("/v1/proxy-users/ann-ci", nothing.clone()),
            "unknown_account",
        ),
        row(
            "post /v1/people/{username}/inactivate",
            ("/v1/people/ann/inactivate", json!({})),
            &["user_marked_inactive"],
            ("/v1/people/nobody/inactivate", json!({})),
            "unknown_account",
        ),
        row(
            "post /v1/people/{username}/activate",
            ("/v1/people/ann/activate", json!({})),
            &["user_marked_active"],
            ("/v1/people/nobody/activate", json!({})),
            "unknown_account",
        ),
        row(
            "delete /v1/people/{username}",
            ("/v1/people/ann", nothing.clone()),
            &["user_deleted"],
            ("/v1/people/ann", nothing.clone()),
            "unknown_account",
        ),
        row(
            "delete /v1/deleted-names/{username}",
            ("/v1/deleted-names/ann", nothing.clone()),
            &["name_released"],
            ("/v1/deleted-names/ann", nothing),
            "name_not_kept",
        ),
    ]
}

impl Api {
    /// Calls an operation under a request id of its own.
    async fn call_as(&self, id: &str, method: &str, path: &str, body: &Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("x-request-id", id);
        let mut text = Body::empty();
        if !body.is_null() {
            request = request.header(header::CONTENT_TYPE, "application/json");
            text = Body::from(body.to_string());
        }
        self.send(request.body(text).unwrap()).await
    }

    /// What the history holds of one request.
    pub(crate) async fn recorded(&self, id: &str) -> Vec<Value> {
        let history = self.call("GET", "/v1/history?limit=1000").await.body;
        let of_it = |entry: &&Value| entry["request_id"] == id;
        history["entries"].as_array().unwrap().iter().filter(of_it).cloned().collect()
    }
}

/// AG-006, H1, H3: each operation, done once, refused once and tried once by somebody who is not allowed. What
/// was done is on record exactly once, with its actor; what was refused by a rule exactly once, as no change;
/// a look, a request that cannot be read, and a peer who is nobody here leave nothing.
#[tokio::test]
async fn every_operation_is_recorded_exactly_once() {
    let mut api = Api::new().await;
    for username in ["bob", "cy"] {
        api.post("/v1/people", json!({ "username": username })).await;
    }
    let rows = rows();
    let document: Value = serde_json::from_str(&locum::admin::document().unwrap()).unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<String> {
        item.as_object().unwrap().keys().map(|method| format!("{method} {path}")).collect()
    };
    let mut operations: BTreeSet<String> = document["paths"].as_object().unwrap().iter().flat_map(methods).collect();
    // Done by a running gateway to itself: `tests/gate/reload.rs` shows what is on record then.
    for path in ["/v1/reload", "/v1/restart"] {
        assert!(operations.remove(&format!("post {path}")));
        assert_eq!(api.call("POST", path).await.code(), "not_running");
    }
    assert_eq!(
        rows.iter().map(|row| row.operation.to_owned()).collect::<BTreeSet<_>>(),
        operations,
        "none is left out"
    );

    let mut pat = String::new();
    for Row { operation, done, recorded, refused, code } in rows {
        let method = operation.split(' ').next().unwrap().to_uppercase();
        let root = api.peer.replace(Peer { uid: 1_000, unix_user: "eve".to_owned() });
        let answer = api.call_as("denied", &method, &done.0.replace("PAT", &pat), &done.1).await;
        assert_eq!(answer.code(), "peer_not_allowed", "{operation}");
        api.peer = root;
        assert!(api.recorded("denied").await.is_empty(), "{operation}: nobody did it");

        let id = format!("done {operation}").replace([' ', '/', '{', '}'], "-");
        let answer = api.call_as(&id, &method, &done.0.replace("PAT", &pat), &done.1).await;
        assert!(answer.status.is_success(), "{operation}: {answer:?}");
        if let Some(made) = answer.body["public_id"].as_str() {
            made.clone_into(&mut pat);
        }
        let entries = api.recorded(&id).await;
        let types: Vec<_> = entries.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
        assert_eq!(types, recorded, "{operation}: {entries:#?}");
        for entry in &entries {
            // Handing something out changes nothing.
            assert_eq!(entry["changed"], entry["type"] != "backup_taken", "{operation}");
            let who = format!("{} {}", entry["actor"], entry["cause"]);
            // What a rule does to others has the rule as its cause.
            let by_rule = types.len() > 1 && entry["actor"] == "locum" && entry["cause"].is_string();
            assert!(by_rule || who.contains("host:root"), "{operation}: {entry:#?}");
        }

        if code.is_empty() {
            continue; // it takes nothing that could be refused
        }
        let id = id.replace("done", "refused");
        let answer = api.call_as(&id, &method, &refused.0.replace("PAT", &pat), &refused.1).await;
        assert_eq!(answer.code(), code, "{operation}: {answer:?}");
        let entries = api.recorded(&id).await;
        if recorded.is_empty() {
            assert!(entries.is_empty(), "{operation}: {entries:#?}");
            continue;
        }
        let [entry] = entries.as_slice() else { panic!("{operation}: {entries:#?}") };
        assert_eq!((&entry["type"], &entry["changed"]), (&json!("operation_refused"), &json!(false)), "{operation}");
        assert_eq!(entry["actor"], "host:root", "{operation}");
        assert!(entry["details"].to_string().contains(code), "{operation}: {entry:#?}");
    }
}
