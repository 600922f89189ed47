//! People, proxy users, roles and apps.

use serde_json::json;

use crate::Installation;

/// Item 9, P2, P3: added, shown, listed, with the promised fields.
#[test]
fn people_and_proxy_users_are_added_shown_and_listed() {
    let at = Installation::new();
    at.say(&["role", "add", "reports", "--permission", "general:read"]);
    let ann = at.json(&["person", "add", "ann", "--role", "reports"]);
    assert_eq!((&ann["username"], &ann["kind"], &ann["state"]), (&json!("ann"), &json!("person"), &json!("active")));
    assert_eq!((&ann["owner"], &ann["roles"], &ann["apps"]), (&json!(null), &json!(["reports"]), &json!(["blog"])));
    let proxy = at.json(&["proxy-user", "add", "ann-ci", "--owner", "ann"]);
    assert_eq!(
        (&proxy["kind"], &proxy["owner"], &proxy["roles"]),
        (&json!("proxy"), &json!("ann"), &json!(["reports"]))
    );
    assert_eq!(at.json(&["proxy-user", "show", "ann-ci"]), proxy);
    assert_eq!(at.json(&["person", "show", "ann"])["proxy_users"], json!(["ann-ci"]));

    at.say(&["person", "add", "bob"]);
    at.say(&["proxy-user", "add", "bob-ci", "--owner", "bob"]);
    let names = |list: serde_json::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["username"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(at.json(&["person", "list"])), ["ann", "bob"]);
    assert_eq!(names(at.json(&["person", "list", "--prefix", "b"])), ["bob"]);
    assert_eq!(names(at.json(&["proxy-user", "list"])), ["ann-ci", "bob-ci"]);
    assert_eq!(names(at.json(&["proxy-user", "list", "--owner", "ann"])), ["ann-ci"]);
}

/// L10, C4: where a proxy user may be used from, from the start and later.
#[test]
fn a_proxy_user_is_bound_to_networks_and_set_free() {
    let at = Installation::with_household();
    let networks = |answer: serde_json::Value| answer["networks"].clone();
    let added =
        at.json(&["proxy-user", "add", "ann-2", "--owner", "ann", "--network", "10.1.2.3/8", "--network", "::1"]);
    assert_eq!(networks(added), json!(["10.0.0.0/8", "::1/128"]));
    assert!(at.say(&["proxy-user", "show", "ann-2"]).contains("used from  10.0.0.0/8, ::1/128"));
    let said = at.say(&["proxy-user", "networks", "ann-2", "--network", "192.0.2.0/24"]);
    assert_eq!(said.trim_end(), "`ann-2` is used from 192.0.2.0/24");
    assert_eq!(networks(at.json(&["proxy-user", "show", "ann-2"])), json!(["192.0.2.0/24"]));
    let said = at.say(&["proxy-user", "networks", "ann-2", "--any"]);
    assert_eq!(said.trim_end(), "`ann-2` is used from everywhere");
    assert_eq!(at.refused(&["proxy-user", "networks", "ann", "--any"])["code"], "not_a_proxy_user");
    assert_eq!(at.json(&["history", "--account", "ann-2"])[0]["type"], "proxy_user_networks_changed");
}

/// P10–P13: inactive, active, deleted, and the name set free.
#[test]
fn accounts_are_inactivated_activated_deleted_and_their_names_released() {
    let at = Installation::with_household();
    assert_eq!(at.json(&["person", "inactivate", "ann"])["state"], "inactive");
    let shown = at.json(&["proxy-user", "show", "ann-ci"]);
    assert_eq!(shown["inactive"]["reason"], "owner_inactivated");
    assert_eq!(shown["inactive"]["by"], "locum");
    assert_eq!(at.refused(&["proxy-user", "activate", "ann-ci"])["code"], "owner_inactive");
    assert_eq!(at.json(&["person", "activate", "ann"])["state"], "active");
    assert_eq!(at.json(&["proxy-user", "show", "ann-ci"])["state"], "inactive");
    assert_eq!(at.json(&["proxy-user", "activate", "ann-ci"])["state"], "active");
    assert_eq!(at.json(&["proxy-user", "inactivate", "ann-ci"])["state"], "inactive");

    assert_eq!(at.json(&["proxy-user", "delete", "ann-ci"]), json!({ "username": "ann-ci", "deleted": true }));
    assert_eq!(at.refused(&["proxy-user", "add", "Ann-CI", "--owner", "ann"])["code"], "username_deleted");
    assert_eq!(at.json(&["name", "release", "ann-ci"]), json!({ "username": "ann-ci", "released": true }));
    at.say(&["proxy-user", "add", "ann-ci", "--owner", "ann"]);
    at.say(&["person", "delete", "ann"]);
    assert_eq!(at.refused(&["person", "inactivate", "ann-ci"])["code"], "unknown_account");
}

/// P4–P7, R4, R6, R8: roles and apps by the command line.
#[test]
fn roles_and_apps_are_given_taken_and_copied() {
    let at = Installation::with_household();
    at.say(&["role", "add", "reports"]);
    let added = at.json(&["role", "add", "wiki/editor", "--permission", "wiki:write", "--permission", "general:read"]);
    assert_eq!(added["permissions"], json!(["general:read", "wiki:write"]));
    assert_eq!(at.json(&["role", "grant", "ann", "reports"])["roles"], json!(["reports"]));
    let granted = at.json(&["role", "grant", "ann", "wiki/editor"]);
    assert_eq!(granted["apps"], json!(["blog", "wiki"]));
    assert_eq!(at.json(&["proxy-user", "show", "ann-ci"])["roles"], json!(["reports", "wiki/editor"]));
    assert_eq!(at.json(&["role", "remove", "ann-ci", "reports"])["roles"], json!(["wiki/editor"]));
    assert_eq!(at.json(&["role", "show", "wiki/editor"])["holders"], json!(["ann", "ann-ci"]));
    assert_eq!(
        at.json(&["role", "set", "wiki/editor", "--permission", "wiki:read"])["permissions"],
        json!(["wiki:read"])
    );
    assert_eq!(at.json(&["role", "set", "wiki/editor", "--empty"])["permissions"], json!([]));
    let roles = at.json(&["role", "list"]);
    assert_eq!(roles[0]["name"], "reports");
    assert_eq!(roles[1], json!({ "name": "wiki/editor", "app": "wiki", "permissions": [] }));

    at.say(&["person", "add", "bob"]);
    assert_eq!(at.json(&["role", "copy", "--from", "ann", "--to", "bob"])["roles"], json!(["reports", "wiki/editor"]));
    assert_eq!(at.json(&["app", "remove", "bob", "wiki"])["roles"], json!(["reports"]));
    assert_eq!(at.json(&["app", "grant", "bob", "wiki"])["apps"], json!(["blog", "wiki"]));
    assert_eq!(
        at.json(&["app", "list"]),
        json!([
            { "name": "blog", "enabled": true }, { "name": "wiki", "enabled": true },
        ])
    );
}

/// P5, P6: copying is all or nothing and says everything that stands in the way.
#[test]
fn a_refused_copy_names_every_role_in_the_way() {
    let at = Installation::with_household();
    at.say(&["person", "add", "bob"]);
    for role in ["one", "two"] {
        at.say(&["role", "add", role]);
        at.say(&["role", "grant", "bob", role]);
    }
    let problem = at.refused(&["role", "copy", "--from", "bob", "--to", "ann-ci"]);
    assert_eq!((&problem["code"], &problem["rule"]), (&json!("not_held_by_owner"), &json!("P5")));
    assert!(problem["detail"].as_str().unwrap().contains("`role:one`, `role:two`"), "{problem}");
    assert_eq!(at.json(&["proxy-user", "show", "ann-ci"])["roles"], json!([]));
}

/// H2, item 9: the history by account, by actor, by type and by date, newest first.
#[test]
fn the_history_is_read_by_account_actor_and_type() {
    let at = Installation::with_household();
    at.say(&["person", "inactivate", "ann"]);
    let of_proxy = at.json(&["history", "--account", "ann-ci"]);
    let kinds: Vec<_> = of_proxy.as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["proxy_user_marked_inactive", "roles_changed", "proxy_user_added"]);
    let last = &of_proxy[0];
    assert_eq!((&last["actor"], &last["target"], &last["cause"]), (&json!("locum"), &json!("ann-ci"), &json!("P13")));
    assert!(last["at"].as_str().unwrap().ends_with('Z') && last["sequence"].is_u64());

    let by_locum = at.json(&["history", "--by", "locum", "--type", "proxy_user_marked_inactive"]);
    assert_eq!(by_locum.as_array().unwrap().len(), 1);
    let user = at.json(&["history", "--type", "user_added"])[0]["actor"].as_str().unwrap().to_owned();
    assert!(user.starts_with("host:"), "{user}");
    let by_host = at.json(&["history", "--by", &user, "--limit", "2"]);
    assert_eq!(by_host.as_array().unwrap().len(), 2);

    let all = at.json(&["history", "--since", "2020-01-01T00:00:00Z", "--until", "2999-01-01T00:00:00Z"]);
    assert_eq!(all, at.json(&["history"]));
    assert_eq!(at.json(&["history", "--until", "2020-01-01T00:00:00Z"]), json!([]));
    assert_eq!(at.json(&["history", "--since", "2999-01-01T00:00:00+01:00"]), json!([]));
    assert_eq!(at.run(&["history", "--since", "yesterday", "--json"]).problem()["code"], "invalid_request");

    let changes = at.json(&["history", "ann-ci"]);
    assert_eq!(changes, of_proxy, "access changes, by name alone");
    let page = at.json(&["history", "ann-ci", "--limit", "1"]);
    let before = page[0]["sequence"].to_string();
    assert_eq!(at.json(&["history", "ann-ci", "--before", &before, "--limit", "2"]), json!([changes[1], changes[2]]));
    let of_app = at.json(&["history", "ann-ci", "--app", "blog"]);
    assert_eq!(of_app, json!([changes[1]]), "access to the app came with the owner's");
    assert_eq!(at.json(&["history", "--app", "wiki", "--type", "roles_changed"]), json!([]));
    assert_eq!(at.json(&["history", "--app", "wiki"])[0]["type"], "app_registered");
    assert_eq!(at.run(&["history", "--app", "wik", "--json"]).problem()["code"], "unknown_app");
    assert_eq!(at.run(&["history", "--initiated"]).code, 2);
    assert_eq!(at.json(&["history", "ann", "--initiated"]), json!([]));

    let id = at.json(&["person", "show", "ann"])["id"].as_str().unwrap().to_owned();
    at.say(&["person", "delete", "ann"]);
    let deleted = &at.json(&["history", "--account", &id, "--limit", "1"])[0];
    assert_eq!((&deleted["type"], &deleted["target"]), (&json!("user_deleted"), &json!(id)));
    assert_eq!(deleted["cause"], json!(user));
    let initiated = at.json(&["history", &user, "--initiated", "--limit", "1"]);
    assert_eq!(initiated[0]["sequence"], deleted["sequence"], "Locum deleted because this one asked");
    let audit = at.json(&["audit", "verify"]);
    assert_eq!(audit["whole"], true);
}
