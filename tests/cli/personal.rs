//! What is known of people by the command line, and the key that it is sealed under.

#![expect(clippy::disallowed_methods, reason = "nothing here is asynchronous")]

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::json;

use crate::Installation;

/// Writes a file that only its owner can read.
fn put(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// U1, U2, C4: what is known of a person is given, shown, found, changed and taken away; a slip says what would be right
/// and repeats nothing.
#[test]
fn what_is_known_of_a_person_is_given_shown_and_changed() {
    let at = Installation::new();
    let known = |shown: &serde_json::Value| [shown["name"].clone(), shown["email"].clone(), shown["phone"].clone()];
    let added =
        at.json(&["person", "add", "ann", "--name", "Ann O’Neil", "--email", "Ann@x.org", "--phone", "+411234567"]);
    assert_eq!(known(&added), [json!("Ann O’Neil"), json!("Ann@x.org"), json!("+411234567")]);
    let shown = at.say(&["person", "show", "ann"]);
    for line in ["name         Ann O’Neil", "email        Ann@x.org", "phone        +411234567"] {
        assert!(shown.contains(line), "{shown}");
    }
    at.say(&["person", "add", "bob"]);
    assert!(at.say(&["person", "list"]).contains("Ann O’Neil"));
    let found = at.json(&["person", "list", "--email", "aNN@X.org"]);
    assert_eq!((&found[0]["username"], found.as_array().unwrap().len()), (&json!("ann"), 1));
    let changed = at.json(&["person", "set", "ann", "--name", "Ann Smith", "--no-phone"]);
    assert_eq!(known(&changed), [json!("Ann Smith"), json!("Ann@x.org"), json!(null)]);

    assert_eq!(at.refused(&["person", "set", "bob", "--email", "ann@x.org"])["code"], "email_taken");
    for (option, value) in [("--email", "no-address"), ("--phone", "0441234567"), ("--name", " Ann")] {
        let problem = at.run(&["person", "set", "bob", option, value, "--json"]).problem();
        assert_eq!(problem["code"], "invalid_request");
        assert!(!problem.to_string().contains(value.trim()), "{problem}");
    }
    assert_eq!(at.run(&["person", "set", "bob"]).code, 2);
    assert_eq!(at.run(&["person", "set", "bob", "--name", "B", "--no-name"]).code, 2);
    let last = &at.json(&["history", "--account", "ann", "--limit", "1"])[0];
    let detail = json!([
        { "field": "name", "before": "Ann O’Neil", "after": "Ann Smith" },
        { "field": "phone", "before": "+411234567", "after": null },
    ]);
    assert_eq!((&last["type"], &last["details"]), (&json!("personal_data_changed"), &detail));
}

/// E1, C2: the master key is in a file, in the environment, or what a program prints; with another one, or none, a store
/// with sealed data is not opened, and what would be right is said.
#[test]
fn a_store_with_sealed_data_is_opened_with_its_master_key_only() {
    let at = Installation::new();
    let file = at.path().join("master.key");
    let key = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    at.say(&["person", "add", "bob"]);
    assert_eq!(at.refused(&["person", "set", "bob", "--name", "Bob"])["code"], "no_master_key");
    assert!(at.json(&["check"])["warnings"].to_string().contains("no master key"));
    put(&file, &key);
    at.say(&["person", "set", "bob", "--name", "Bob"]);

    let commands: [&[&str]; 3] = [&["person", "list"], &["check"], &["serve"]];
    let refused = |why: &str| {
        for command in commands {
            let ran = at.run(command);
            assert!(ran.code != 0 && ran.err.contains(why), "{command:?}: {ran:?}");
        }
    };
    std::fs::remove_file(&file).unwrap();
    refused("there is no master key");
    put(&file, &format!("1 {}\n", "ab".repeat(32)));
    refused("is another key");
    put(&file, &format!("2 {}\n", "ab".repeat(32)));
    refused("has no such version");
    put(&file, "1 short\n");
    refused("line 1: expected `VERSION HEX`");

    std::fs::remove_file(&file).unwrap();
    let shown = |environment: &str| {
        let mut show = crate::command(&["person", "show", "bob", "--json", "--config"], at.path());
        crate::into_ran(show.arg(at.configuration()).env("LOCUM__SECRETS__MASTER_KEY", environment).output().unwrap())
    };
    assert_eq!(shown(&key).json()["name"], "Bob");
    let misspelt = shown(&key[..60]);
    assert!(misspelt.code != 0 && misspelt.err.contains("`secrets.master_key`"), "{misspelt:?}");
    assert!(!misspelt.err.contains(&key[2..40]), "{misspelt:?}");

    let program = at.path().join("print-key");
    let says = |text: &str| {
        put(&program, text);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    says(&format!("#!/bin/sh\necho '{}'\n", key.trim()));
    let configuration = std::fs::read_to_string(at.configuration()).unwrap();
    let line = format!("master_key_command = [\"{}\"]", program.display());
    put(&at.configuration(), &configuration.replace("#master_key_command = []", &line));
    assert_eq!(at.json(&["person", "show", "bob"])["name"], "Bob");
    says("#!/bin/sh\nexit 3\n");
    refused("gave no master key");
    assert_eq!(shown(&key).json()["name"], "Bob", "the environment goes before the program");
}

/// E2, C4: both keys get a new version, on the disk before they are in force; where the master key is not in a file, it is
/// said what to do.
#[test]
fn keys_are_rotated_by_the_command_line() {
    let at = Installation::with_household();
    at.say(&["person", "set", "ann", "--name", "Ann"]);
    let token =
        at.json(&["pat", "add", "ann-ci", "--service", "ci", "--confirm"])["token"].as_str().unwrap().to_owned();
    let rotated = at.json(&["keys", "rotate"]);
    let versions = json!([{ "version": 2, "count": 1 }]);
    assert_eq!(rotated["master"], json!({ "version": 2, "data_keys": versions, "to_move": 0 }));
    assert_eq!(rotated["pepper"], json!({ "version": 2, "tokens": [{ "version": 1, "count": 1 }] }));
    assert_eq!(at.json(&["keys", "show"]), rotated);
    assert_eq!(at.json(&["keys", "rotate", "--pepper"])["pepper"]["version"], 3);
    for (file, lines) in [("master.key", 2), ("pepper", 3)] {
        let path = at.path().join(file);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), lines, "{file}");
    }
    assert_eq!(at.json(&["person", "show", "ann"])["name"], "Ann");
    assert_eq!(at.run_with(&["pat", "check", "--json"], &token).json()["state"], "usable");
    let words = at.say(&["keys", "show"]);
    assert!(words.contains("master key  version 2") && words.contains("1 under version 1"), "{words}");

    let mut rotate = crate::command(&["keys", "rotate", "--master", "--json", "--config"], at.path());
    let key = std::fs::read_to_string(at.path().join("master.key")).unwrap();
    let ran = crate::into_ran(rotate.arg(at.configuration()).env("LOCUM__SECRETS__MASTER_KEY", key).output().unwrap());
    let problem = ran.problem();
    assert_eq!((&problem["code"], &problem["rule"]), (&json!("key_storage"), &json!("E2")));
    assert!(problem["detail"].as_str().unwrap().contains("add a line `3 HEX` there"), "{problem}");
}

/// U5, C4: names of apps are imported, found, linked and taken away by the command line.
#[test]
fn legacy_names_are_managed_by_the_command_line() {
    let at = Installation::with_household();
    put(&at.path().join("names"), "asmith\nbjones\n\nSmith, Ann\n");
    let names = at.path().join("names").display().to_string();
    assert_eq!(
        at.json(&["legacy-name", "import", "--app", "wiki", "--file", &names]),
        json!({ "added": 3, "known": 0 })
    );
    assert!(at.say(&["legacy-name", "find", "--app", "wiki", "--name", "asmith"]).contains("belongs to nobody"));
    let linked = at.json(&["legacy-name", "set", "ann", "--app", "wiki", "--name", "asmith"]);
    assert_eq!(linked["legacy_names"], json!([{ "app": "wiki", "name": "asmith" }]));
    assert!(at.say(&["person", "show", "ann"]).contains("asmith (wiki)"));
    assert_eq!(
        at.json(&["legacy-name", "find", "--app", "wiki", "--name", "asmith"]),
        json!({ "names": [], "free": 2 })
    );
    at.say(&["person", "add", "bob"]);
    assert_eq!(
        at.refused(&["legacy-name", "set", "bob", "--app", "wiki", "--name", "asmith"])["code"],
        "legacy_name_taken"
    );
    assert_eq!(at.json(&["legacy-name", "remove", "ann", "--app", "wiki"])["legacy_names"], json!([]));
    assert!(at.say(&["legacy-name", "find", "--app", "wiki"]).starts_with("3 names"));
}
