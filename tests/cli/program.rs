//! The program itself: init, check, schema, version, completions, help.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::{APPS, Installation, locum};

/// Init makes the configuration and the keys, private, and never overwrites them.
#[test]
fn init_makes_what_is_missing_and_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let ran = locum(&["init", "--json"], "", folder.path());
    assert_eq!(ran.json()["made"].as_array().unwrap().len(), 5, "{ran:?}");
    for name in ["locum.toml", "pepper", "tombstone.key", "history.key", "master.key"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    std::fs::write(folder.path().join("locum.toml"), APPS).unwrap();
    let pepper = std::fs::read(folder.path().join("pepper")).unwrap();
    assert_eq!(locum(&["init", "--json"], "", folder.path()).json()["made"], json!([]));
    assert_eq!(std::fs::read(folder.path().join("locum.toml")).unwrap(), APPS.as_bytes());
    assert_eq!(std::fs::read(folder.path().join("pepper")).unwrap(), pepper);
}

/// H5: an installation of a version that signed nothing serves as before, says what is missing, and gets it by
/// `init`, which leaves everything else as it is.
#[test]
fn an_installation_without_a_history_key_gets_one_by_init() {
    let at = Installation::new();
    let key = at.path().join("history.key");
    std::fs::remove_file(&key).unwrap();
    assert!(at.json(&["check"])["warnings"].to_string().contains("history.key"), "warned of");
    at.say(&["person", "add", "ann"]);
    at.say(&["audit", "verify"]);
    let problem = at.run(&["audit", "checkpoint", "--json"]).problem();
    assert_eq!((&problem["code"], &problem["rule"]), (&json!("history_key"), &json!("H5")));
    assert!(problem["detail"].as_str().unwrap().contains("`locum init` makes it"), "{problem}");

    let made = at.json(&["init"])["made"].clone();
    assert_eq!(made, json!([key.to_str().unwrap()]));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    at.say(&["audit", "checkpoint"]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(at.run(&["audit", "checkpoint"]).err.contains("chmod 600"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, "short").unwrap();
    assert!(at.run(&["audit", "checkpoint"]).err.contains("64 hexadecimal digits"));
    assert_eq!(at.run(&["check"]).code, 1);
}

/// C2: check says ok and what is in force, before and after the first start; it makes no database.
#[test]
fn check_says_what_is_in_force() {
    let at = Installation::new();
    let checked = at.json(&["check"]);
    assert_eq!(checked["ok"], true);
    assert!(checked["notes"].to_string().contains("does not exist yet"), "{checked}");
    assert!(checked["notes"].to_string().contains("every-failure"), "L6: which mode is on: {checked}");
    assert!(!at.path().join("locum.db").exists());
    at.say(&["person", "add", "ann"]);
    assert!(at.say(&["check"]).starts_with("ok\n"));
    assert!(at.json(&["check"])["notes"].to_string().contains("the database answers"));
    let without_apps = Installation::with("");
    assert_eq!(without_apps.run(&["check"]).code, 78);
}

/// C1: the schema is the one that is checked in.
#[test]
fn the_schema_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let printed = locum(&["config", "schema"], "", folder.path());
    let checked_in = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/config/locum.schema.json")).unwrap();
    assert_eq!(printed.out.as_bytes(), checked_in);
}

/// Version and completions need nothing around them.
#[test]
fn version_and_completions_need_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(locum(&["version", "--json"], "", folder.path()).json()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(locum(&["--version"], "", folder.path()).out, format!("locum {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        let script = locum(&["completions", shell], "", folder.path());
        assert!(script.code == 0 && script.out.contains("proxy-user"), "{shell}");
    }
    assert_eq!(locum(&["completions", "dos"], "", folder.path()).code, 2);
}

/// A reader that goes away is no failure.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let at = Installation::with_household();
    let file = at.configuration();
    let script = format!("'{}' history --json --config '{}' | true", env!("CARGO_BIN_EXE_locum"), file.display());
    let script = format!("set -o pipefail; {script}");
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
