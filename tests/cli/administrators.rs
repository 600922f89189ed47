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

/// A6, C4: a key is made, shown once, listed and revoked.
#[test]
fn keys_are_made_listed_and_revoked() {
    let at = Installation::with_household();
    at.say(&["admin", "add", "sue", "--super", "--new"]);
    let add = ["api-key", "add", "terraform", "--for", "sue", "--scope", "roles:write", "--scope", "people:read"];
    let made = at.json(&[&add[..], &["--expires", "90d"]].concat());
    assert!(made["token"].as_str().unwrap().starts_with("locum_key_"));
    assert_eq!(
        (&made["person"], &made["name"], &made["state"]),
        (&json!("sue"), &json!("terraform"), &json!("usable"))
    );
    assert_eq!((&made["scopes"], &made["last_used_at"]), (&json!(["people:read", "roles:write"]), &json!(null)));
    let said = at.say(&[&add[..], &["--expires", "1h"]].concat());
    assert!(said.contains("acts as    sue") && said.contains("  locum_key_"), "{said}");
    assert_eq!(at.run(&add).code, 2, "a key has an end");
    let ann = ["api-key", "add", "x", "--for", "ann", "--scope", "all:read", "--expires", "1d"];
    assert_eq!(at.refused(&ann)["code"], "not_an_administrator");
    let id = made["public_id"].as_str().unwrap();
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("token");
    assert_eq!(at.json(&["api-key", "show", id]), shown);
    assert_eq!(at.json(&["api-key", "list", "--for", "sue"]).as_array().unwrap().len(), 2);
    assert!(at.say(&["api-key", "list"]).contains("terraform"));
    assert_eq!(at.say(&["api-key", "revoke", id, "--reason", "other"]).trim_end(), format!("revoked `{id}` of `sue`"));
    assert_eq!(at.refused(&["api-key", "revoke", id, "--reason", "other"])["code"], "api_key_revoked");
    assert!(at.say(&["api-key", "show", id]).contains("revoked since"));
}
