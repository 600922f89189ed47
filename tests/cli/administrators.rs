//! Those who run Locum, from the host shell.

use serde_json::json;

use crate::Installation;

/// C4, A1, A3–A5, R5: made, listed, shown, changed, with the promised fields.
#[test]
fn administrators_are_made_listed_and_changed() {
    let at = Installation::with_household();
    let sue = at.json(&["admin", "add", "sue", "--super", "--new"]);
    assert_eq!(
        sue,
        json!({
            "username": "sue", "account": "active", "level": "super_administrator", "state": "active",
            "inactive": null, "apps": [], "rights": [],
        })
    );
    assert_eq!(at.json(&["person", "show", "sue"])["apps"], json!(["blog"]), "a person as others are");
    assert_eq!(at.json(&["admin", "add", "ann"])["level"], "administrator");
    assert_eq!(at.refused(&["admin", "add", "ann", "--super"])["code"], "is_administrator");
    assert_eq!(at.refused(&["admin", "add", "nobody"])["code"], "unknown_account");
    assert_eq!(at.json(&["admin", "deactivate", "ann"])["state"], "inactive");
    let said = at.say(&["admin", "show", "ann"]);
    assert!(said.contains("administration  inactive since") && said.contains("account         active"), "{said}");
    assert_eq!(at.refused(&["admin", "promote", "ann"])["code"], "administration_inactive");
    assert_eq!(at.json(&["admin", "reactivate", "ann"])["state"], "active");
    assert_eq!(at.json(&["admin", "promote", "ann"])["level"], "super_administrator");
    assert_eq!(at.json(&["admin", "downgrade", "ann"])["level"], "administrator");
    assert_eq!(at.refused(&["admin", "downgrade", "sue"])["code"], "last_super_administrator");
    assert_eq!(at.refused(&["person", "delete", "sue"])["rule"], "A4");

    at.say(&["person", "add", "eva"]);
    assert_eq!(at.json(&["admin", "grant", "eva", "--app", "wiki"])["apps"], json!(["wiki"]));
    assert_eq!(at.json(&["admin", "grant", "eva", "--right", "add_proxy_users"])["rights"], json!(["add_proxy_users"]));
    assert_eq!(
        at.run(&["admin", "grant", "eva", "--right", "everything", "--json"]).problem()["code"],
        "invalid_request"
    );
    assert_eq!(at.run(&["admin", "grant", "eva"]).code, 2);
    let names = |list: serde_json::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["username"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(at.json(&["admin", "list"])), ["ann", "eva", "sue"]);
    assert_eq!(names(at.json(&["admin", "list", "--super"])), ["sue"]);
    assert_eq!(names(at.json(&["admin", "list", "--app", "wiki"])), ["eva"]);
    assert!(at.say(&["admin", "list"]).contains("super_administrator"));
    assert_eq!(at.json(&["admin", "remove", "eva", "--app", "wiki"])["apps"], json!([]));
    assert_eq!(at.json(&["admin", "remove", "eva", "--right", "add_proxy_users"])["rights"], json!([]));
    assert_eq!(at.json(&["admin", "deactivate", "sue", "--force"])["state"], "inactive");
    let sue = at.json(&["person", "show", "sue"])["id"].clone();
    at.say(&["person", "delete", "sue"]);
    let last = &at.json(&["history", "--type", "admin_status_changed", "--limit", "1"])[0];
    assert_eq!(last["target"], json!(sue), "which was not in force any more when the person was deleted");
}
