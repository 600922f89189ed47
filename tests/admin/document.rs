//! The checked-in `OpenAPI` document is the router's.

use std::collections::BTreeSet;

use clap::Parser as _;
use locum::cli::arguments::Arguments;
use serde_json::Value;

/// C4: what programs are told of the API is what the router says.
#[test]
fn the_checked_in_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let current = locum::admin::document().unwrap();
    if std::env::var_os("LOCUM_BLESS").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let checked_in = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    assert!(
        checked_in == current,
        "docs/openapi.json is not what the router says: run this test with LOCUM_BLESS=1 and check in the result"
    );
}

/// A6: every operation has words, the scope that a key needs, and names the problem documents that it may answer with.
#[test]
fn every_operation_says_what_it_does_and_how_it_refuses() {
    let document: Value = serde_json::from_str(&locum::admin::document().unwrap()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"]["4XX"].is_object(), "{method} {path}");
            let scope = &operation["security"][0]["api_key"][0];
            assert!(scope.is_string(), "{method} {path}: give its tag an area in `src/admin/scope.rs`");
        }
    }
}

/// T4: no shape of the document, but the one of a token just made, has a field for a secret.
#[test]
fn only_one_answer_can_hold_a_secret() {
    let document: Value = serde_json::from_str(&locum::admin::document().unwrap()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let with_secret: Vec<_> =
        schemas.iter().filter(|(_, schema)| schema.to_string().contains("\"token\"")).map(|(name, _)| name).collect();
    assert_eq!(with_secret, ["CheckPat", "MadeApiKey", "MadePat"], "CheckPat is what is sent, not answered");
}

/// C4: every operation of the API has its line of the command line, and every line is understood.
#[test]
fn every_operation_has_its_line_of_the_command_line() {
    let lines = [
        ("put /v1/accounts/{username}/apps/{app}", "app grant ann blog"),
        ("get /v1/administrators", "admin list"),
        ("get /v1/api-keys", "api-key list"),
        ("post /v1/api-keys", "api-key add ci --for ann --scope all:read --expires 90d"),
        ("get /v1/api-keys/{public_id}", "api-key show 0123456789ab"),
        ("post /v1/api-keys/{public_id}/revoke", "api-key revoke 0123456789ab --reason other"),
        ("post /v1/administrators", "admin add ann --super"),
        ("post /v1/administrators/{username}/promote", "admin promote ann"),
        ("post /v1/administrators/{username}/downgrade", "admin downgrade ann --force"),
        ("post /v1/administrators/{username}/deactivate", "admin deactivate ann"),
        ("post /v1/administrators/{username}/reactivate", "admin reactivate ann"),
        ("put /v1/administrators/{username}/apps/{app}", "admin grant ann --app blog"),
        ("delete /v1/administrators/{username}/apps/{app}", "admin remove ann --app blog"),
        ("get /v1/people/{username}/rights", "admin show ann"),
        ("put /v1/people/{username}/rights/{right}", "admin grant ann --right add_proxy_users"),
        ("delete /v1/people/{username}/rights/{right}", "admin remove ann --right add_proxy_users"),
        ("delete /v1/accounts/{username}/apps/{app}", "app remove ann blog"),
        ("post /v1/accounts/{username}/copy-roles", "role copy --from ann --to bob"),
        ("put /v1/accounts/{username}/roles/{role}", "role grant ann reports"),
        ("delete /v1/accounts/{username}/roles/{role}", "role remove ann reports"),
        ("get /v1/apps", "app list"),
        ("get /v1/audit", "audit verify"),
        ("delete /v1/deleted-names/{username}", "name release ann"),
        ("get /v1/health", "healthcheck"),
        ("post /v1/audit", "audit verify --checkpoint kept.jsonl"),
        ("post /v1/backup", "db backup --to copy.db"),
        ("post /v1/pats/revoke-all", "pat revoke-all --reason compromised"),
        ("get /v1/audit/checkpoint", "audit checkpoint"),
        ("get /v1/audit/export", "audit export"),
        ("get /v1/audit/key", "audit key"),
        ("post /v1/audit/trim", "audit trim --before 2026-01-01T00:00:00Z --dry-run"),
        ("get /v1/history", "history"),
        ("put /v1/people/{username}/legacy-names/{app}", "legacy-name set ann --app wiki --name a.smith"),
        ("delete /v1/people/{username}/legacy-names/{app}", "legacy-name remove ann --app wiki"),
        ("get /v1/apps/{app}/legacy-names", "legacy-name find --app wiki --name a.smith"),
        ("post /v1/apps/{app}/legacy-names", "legacy-name import --app wiki --file names.txt"),
        ("get /v1/keys", "keys show"),
        ("post /v1/keys/rotate", "keys rotate --pepper"),
        ("get /v1/jobs", "job list"),
        ("get /v1/jobs/{job}", "job show nightly"),
        ("put /v1/jobs/{job}", "job add nightly --process manage-pats --schedule @daily"),
        ("delete /v1/jobs/{job}", "job remove nightly"),
        ("get /v1/jobs/{job}/runs", "job runs nightly"),
        ("post /v1/jobs/{job}/runs", "job run nightly --dry-run"),
        ("get /v1/jobs/{job}/runs/{run}", "job run nightly"),
        ("post /v1/pats/check", "pat check"),
        ("get /v1/pats/{public_id}", "pat show 0123456789ab"),
        ("post /v1/pats/{public_id}/confirm", "pat confirm 0123456789ab"),
        ("post /v1/pats/{public_id}/rotate", "pat rotate 0123456789ab --overlap 2d --silence 1h"),
        ("post /v1/pats/{public_id}/revoke", "pat revoke 0123456789ab --reason other"),
        ("get /v1/people", "person list"),
        ("post /v1/people", "person add ann"),
        ("get /v1/people/{username}", "person show ann"),
        ("patch /v1/people/{username}", "person set ann --name Ann"),
        ("delete /v1/people/{username}", "person delete ann"),
        ("post /v1/people/{username}/activate", "person activate ann"),
        ("post /v1/people/{username}/inactivate", "person inactivate ann"),
        ("get /v1/proxy-users", "proxy-user list"),
        ("post /v1/proxy-users", "proxy-user add ann-ci --owner ann"),
        ("get /v1/proxy-users/{username}", "proxy-user show ann-ci"),
        ("delete /v1/proxy-users/{username}", "proxy-user delete ann-ci"),
        ("post /v1/proxy-users/{username}/activate", "proxy-user activate ann-ci"),
        ("post /v1/proxy-users/{username}/inactivate", "proxy-user inactivate ann-ci"),
        (
            "put /v1/proxy-users/{username}/networks",
            "proxy-user networks ann-ci --network 10.0.0.0/8 --network 2001:db8::1",
        ),
        ("get /v1/proxy-users/{username}/pats", "pat list ann-ci"),
        ("post /v1/proxy-users/{username}/pats", "pat add ann-ci --service ci"),
        ("get /v1/reasons", "reason list"),
        ("post /v1/reasons", "reason add moved The-service-moved"),
        ("post /v1/reload", "reload"),
        ("post /v1/restart", "restart"),
        ("get /v1/roles", "role list"),
        ("post /v1/roles", "role add reports"),
        ("get /v1/roles/{role}", "role show reports"),
        ("put /v1/roles/{role}", "role set reports --empty"),
    ];
    let document: Value = serde_json::from_str(&locum::admin::document().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |(path, item): (&String, &Value)| -> Vec<String> {
        item.as_object().unwrap().keys().map(|method| format!("{method} {path}")).collect()
    };
    let operations: BTreeSet<String> = paths.flat_map(methods).collect();
    assert_eq!(operations, lines.iter().map(|(operation, _)| (*operation).to_owned()).collect());
    for (_, line) in lines {
        assert!(Arguments::try_parse_from(["locum"].into_iter().chain(line.split(' '))).is_ok(), "{line}");
    }
}
