//! Tokens by the command line.

use serde_json::json;

use crate::Installation;

/// Item 9, T1, T3: the promised fields; pending until confirmed, or confirmed in the same breath.
#[test]
fn a_token_is_made_confirmed_listed_and_revoked() {
    let at = Installation::with_household();
    let made = at.json(&[
        "pat",
        "add",
        "ann-ci",
        "--service",
        "ci",
        "--expires",
        "90d",
        "--network",
        "10.0.0.0/8",
        "--app",
        "blog",
        "--read-only",
    ]);
    assert_eq!(made["state"], "pending");
    assert_eq!(made["token"].as_str().unwrap().len(), 68);
    assert!(made["expires_at"].is_string());
    assert_eq!(made["restrictions"], json!({ "networks": ["10.0.0.0/8"], "apps": ["blog"], "read_only": true }));
    let id = made["public_id"].as_str().unwrap();
    assert!(made["token"].as_str().unwrap().starts_with(&format!("locum_pat_{id}")));

    assert_eq!(at.json(&["pat", "confirm", id])["state"], "usable");
    assert_eq!(at.json(&["pat", "add", "ann-ci", "--service", "two", "--confirm"])["state"], "usable");
    let list = at.json(&["pat", "list", "ann-ci"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains(&made["token"].as_str().unwrap()[22..62]), "the secret is shown once (T4)");

    assert_eq!(at.json(&["pat", "show", id])["public_id"], id);
    let revoked = at.json(&["pat", "revoke", id, "--reason", "compromised"]);
    assert_eq!((&revoked["state"], &revoked["revoked"]["reason"]), (&json!("revoked"), &json!("compromised")));
    assert_eq!(at.refused(&["pat", "revoke", id, "--reason", "other"])["code"], "pat_revoked");
}

/// T7: a token is made for the same service in the place of another, which says when it ends.
#[test]
fn a_token_is_rotated() {
    let at = Installation::with_household();
    let made = at.json(&["pat", "add", "ann-ci", "--service", "ci", "--network", "10.0.0.0/8", "--confirm"]);
    let id = made["public_id"].as_str().unwrap();
    let next = at.json(&["pat", "rotate", id, "--overlap", "2d", "--silence", "1h", "--expires", "90d", "--confirm"]);
    assert_eq!((&next["state"], &next["replaces"], &next["service"]), (&json!("usable"), &json!(id), &json!("ci")));
    assert_eq!(next["restrictions"], made["restrictions"]);
    assert_eq!(next["token"].as_str().unwrap().len(), 68);
    assert_ne!(next["token"], made["token"]);
    let old = at.json(&["pat", "show", id]);
    assert_eq!(old["state"], "usable");
    assert!(at.say(&["pat", "show", id]).contains("usable, another took its place: ends "), "{old}");
    assert_eq!(at.refused(&["pat", "rotate", id, "--confirm"])["code"], "pat_already_rotated");
    assert_eq!(at.json(&["history", "--limit", "1"])[0]["type"], "operation_refused");
    assert_eq!(at.json(&["history", "--type", "pat_rotated"])[0]["object"], id);
    // both are valid for a week when nothing else is said
    let third = at.json(&["pat", "rotate", next["public_id"].as_str().unwrap(), "--confirm"]);
    assert_eq!(third["replaces"], next["public_id"]);
}

/// T3: without a terminal the token stays pending, and the next step is said.
#[test]
fn without_a_terminal_a_token_stays_pending() {
    let at = Installation::with_household();
    let said = at.say(&["pat", "add", "ann-ci", "--service", "ci"]);
    assert!(said.contains("it is pending: once it is copied, run `locum pat confirm "), "{said}");
    assert_eq!(at.json(&["pat", "list", "ann-ci"])[0]["state"], "pending");
    let confirmed = at.say(&["pat", "add", "ann-ci", "--service", "ci", "--confirm"]);
    assert!(confirmed.contains("is usable"), "{confirmed}");
}

/// T13: the token comes on the standard input; the exit code says whether it would be accepted.
#[test]
fn a_token_is_checked_from_the_standard_input() {
    let at = Installation::with_household();
    let made = at.json(&["pat", "add", "ann-ci", "--service", "ci", "--network", "10.0.0.0/8", "--confirm"]);
    let token = format!("{}\n", made["token"].as_str().unwrap());
    let inside = at.run_with(&["pat", "check", "--from", "10.1.2.3", "--json"], &token).json();
    assert_eq!(
        (&inside["state"], &inside["account"], &inside["owner"]),
        (&json!("usable"), &json!("ann-ci"), &json!("ann"))
    );
    assert_eq!((&inside["apps"], &inside["accepted"]), (&json!(["blog"]), &json!(true)));
    let outside = at.run_with(&["pat", "check", "--from", "192.0.2.1"], &token);
    assert_eq!(outside.code, 1);
    assert!(outside.err.contains("it may not come from that address"), "{outside:?}");
    let wrong = at.run_with(&["pat", "check"], "locum_pat_nonsense");
    assert_eq!((wrong.code, wrong.out.as_str()), (1, "state  unknown\n"));
    assert_eq!(at.run_with(&["pat", "check"], "").code, 2);
    // nothing was counted, nothing recorded (T13)
    assert_eq!(at.json(&["history", "--limit", "1"])[0]["type"], "pat_confirmed");
}

/// T5, T13: format and checksum alone need nobody.
#[test]
fn a_token_is_checked_offline() {
    let at = Installation::with_household();
    let made = at.json(&["pat", "add", "ann-ci", "--service", "ci"]);
    let token = made["token"].as_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let good = crate::locum(&["pat", "check", "--offline", "--json"], token, elsewhere.path()).json();
    assert_eq!((&good["public_id"], &good["well_formed"]), (&made["public_id"], &json!(true)));
    let mistyped = format!("{}{}", &token[..67], if token.ends_with('0') { '1' } else { '0' });
    let bad = crate::locum(&["pat", "check", "--offline"], &mistyped, elsewhere.path());
    assert_eq!(bad.code, 1);
    assert!(bad.err.contains("checksum does not agree") && !bad.err.contains(&token[22..62]), "{bad:?}");
}

/// T6: the code table.
#[test]
fn a_reason_joins_the_code_table() {
    let at = Installation::with_household();
    let codes = |list: serde_json::Value| list.as_array().unwrap().len();
    let seeded = codes(at.json(&["reason", "list"]));
    let added = at.json(&["reason", "add", "moved_away", "The service moved away"]);
    assert_eq!(added, json!({ "code": "moved_away", "text": "The service moved away" }));
    assert_eq!(codes(at.json(&["reason", "list"])), seeded + 1);
    let made = at.json(&["pat", "add", "ann-ci", "--service", "ci"]);
    at.say(&["pat", "revoke", made["public_id"].as_str().unwrap(), "--reason", "moved_away"]);
}

/// T3: at a terminal the secret is shown once and then it is asked whether it was copied; a yes makes it
/// usable, a no leaves it pending.
#[test]
fn at_a_terminal_it_asks_whether_the_token_was_copied() {
    let at = Installation::with_household();
    for (typed, state) in [("n", "pending"), ("y", "usable")] {
        let line = format!("'{}' pat add ann-ci --service {typed} --config locum.toml", env!("CARGO_BIN_EXE_locum"));
        let said = crate::at_a_terminal(&line, &format!("{typed}\r"), at.path());
        assert!(said.contains("The token, shown this once") && said.contains("Have you copied the token?"), "{said}");
        let list = at.json(&["pat", "list", "ann-ci"]);
        let made = list.as_array().unwrap().iter().find(|pat| pat["service"] == typed).unwrap().clone();
        assert_eq!(made["state"], state, "{said}");
    }
}
