//! The checked-in `OpenAPI` document is the router's.

use serde_json::Value;

/// C4: what programs are told of the API is what the router says.
#[test]
fn the_checked_in_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let current = locum::admin::document();
    if std::env::var_os("LOCUM_BLESS").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let checked_in = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    assert!(
        checked_in == current,
        "docs/openapi.json is not what the router says: run this test with LOCUM_BLESS=1 and check in the result"
    );
}

/// Every operation has words, and names the problem documents that it may answer with.
#[test]
fn every_operation_says_what_it_does_and_how_it_refuses() {
    let document: Value = serde_json::from_str(&locum::admin::document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"]["4XX"].is_object(), "{method} {path}");
        }
    }
}

/// T4: no shape of the document, but the one of a token just made, has a field for a secret.
#[test]
fn only_one_answer_can_hold_a_secret() {
    let document: Value = serde_json::from_str(&locum::admin::document()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let with_secret: Vec<_> =
        schemas.iter().filter(|(_, schema)| schema.to_string().contains("\"token\"")).map(|(name, _)| name).collect();
    assert_eq!(with_secret, ["CheckPat", "MadePat"], "CheckPat is what is sent, not answered");
}
