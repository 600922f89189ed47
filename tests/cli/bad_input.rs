//! Bad input: each says what would be right, ends with its exit code, leaves nothing half-done, and a
//! trace where a rule refused it.

use serde_json::json;

use crate::{Installation, command, into_ran};

/// P2, P12, R6 and the rest of the list: the message, the rule, the trace.
#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn what_a_rule_refuses_is_said_in_words() {
    let at = Installation::with_household();
    at.say(&["role", "add", "reports"]);
    at.say(&["person", "add", "gone"]);
    at.say(&["person", "delete", "gone"]);
    let table: &[(&[&str], &str, &str)] = &[
        (&["person", "add", "ann"], "username_taken", "the username `ann` is taken: choose another"),
        (
            &["person", "add", "ANN"],
            "username_look_alike",
            "the username `ANN` differs only in case from `ann`, and applications fold case: choose another",
        ),
        (
            &["person", "add", "gone"],
            "username_deleted",
            "the username `gone` belonged to a deleted account, and applications may keep data under it: choose another, or set it free with `locum name release gone`",
        ),
        (
            &["person", "add", "Gone"],
            "username_deleted",
            "the username `Gone` belonged to a deleted account, and applications may keep data under it: choose another, or set it free with `locum name release Gone`",
        ),
        (
            &["person", "add", "locum"],
            "username_reserved",
            "the username `locum` is kept for Locum itself, which acts under it in the history: choose another",
        ),
        (
            &["person", "add", "bob", "--role", "report"],
            "unknown_role",
            "there is no role `report`: did you mean `reports`? `locum role add report` defines it",
        ),
        (
            &["role", "grant", "ann", "report"],
            "unknown_role",
            "there is no role `report`: did you mean `reports`? `locum role add report` defines it",
        ),
        (
            &["role", "grant", "an", "reports"],
            "unknown_account",
            "there is no account `an`: did you mean `ann` or `ann-ci`?",
        ),
        (
            &["app", "grant", "ann", "blgo"],
            "unknown_app",
            "there is no app `blgo`: did you mean `blog`? apps are written in the configuration as `[apps.blgo]`",
        ),
        (
            &["proxy-user", "add", "x", "--owner", "ann-ci"],
            "not_a_person",
            "`ann-ci` is a proxy user, and only a person can stand here: see `locum proxy-user`",
        ),
        (
            &["proxy-user", "delete", "ann"],
            "not_a_proxy_user",
            "`ann` is a person, and only a proxy user can stand here: see `locum person`",
        ),
        (
            &["role", "grant", "ann-ci", "reports"],
            "not_held_by_owner",
            "the owner `ann` does not hold `role:reports`: give it to the owner first",
        ),
        (
            &["role", "add", "reports"],
            "role_exists",
            "the role `reports` is defined already: `locum role set` changes what it contains",
        ),
        (
            &["role", "add", "x", "--permission", "nowhere:read"],
            "unknown_namespace",
            "`nowhere` is no namespace of permissions: use `general`, `global`, `cost-centre`, `notification` or the name of an app",
        ),
        (
            &["pat", "add", "ann", "--service", "ci"],
            "not_a_proxy_user",
            "`ann` is a person, and only a proxy user can stand here: see `locum person`",
        ),
        (
            &["pat", "add", "ann-ci", "--service", ""],
            "service_name",
            "the name of the service has to have 1 to 200 characters, this one has 0",
        ),
        (
            &["pat", "add", "ann-ci", "--service", "ci", "--expires", "366d"],
            "life_too_long",
            "a token cannot live for 366 days: the longest life here is 365 days",
        ),
        (
            &["pat", "confirm", "000000000000"],
            "unknown_pat",
            "there is no token with the public id `000000000000`: `locum pat list` shows those of a proxy user",
        ),
        (
            &["name", "release", "ann"],
            "name_not_kept",
            "no deleted account had the username `ann`: there is nothing to release",
        ),
        (&["reason", "add", "other", "x"], "reason_exists", "the reason `other` stands in the table already"),
    ];
    let before = at.json(&["person", "list"]);
    for (arguments, code, detail) in table {
        let problem = at.refused(arguments);
        assert_eq!((&problem["code"], &problem["detail"]), (&json!(code), &json!(detail)), "{arguments:?}");
    }
    assert_eq!(at.json(&["person", "list"]), before, "nothing is half-done");
    assert!(at.run(&["person", "show", "bob"]).err.contains("there is no account `bob`"));
}

/// T3, T6: what has become of a token is said when it cannot be confirmed.
#[test]
fn a_token_that_cannot_be_confirmed_says_why() {
    let at = Installation::with_household();
    let wish = ["pat", "add", "ann-ci", "--service", "ci", "--json", "--config", "locum.toml"];
    let mut short = command(&wish, at.path());
    let made = into_ran(short.env("LOCUM__PATS__CONFIRM_WITHIN", "1s").output().unwrap()).json();
    let id = made["public_id"].as_str().unwrap();
    let until = made["confirm_until"].as_str().unwrap().to_owned();
    // waits for the instant itself: the command line has no other clock
    while at.json(&["pat", "list", "ann-ci"])[0]["state"] != "lapsed" {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let problem = at.refused(&["pat", "confirm", id]);
    assert_eq!(problem["code"], "pat_lapsed", "at {until}");
    assert_eq!(
        problem["detail"],
        json!(format!(
            "the token `{id}` stays as it is: the token was not confirmed in time and lapsed: make a new one"
        ))
    );
}

/// What cannot be read as a name, a duration or a network.
#[test]
fn what_cannot_be_read_is_said_in_words() {
    let at = Installation::with_household();
    let shape = at.run(&["person", "add", "a b"]);
    assert_eq!(shape.code, 1);
    assert!(shape.err.contains("` ` cannot stand in a username: use `A-Z a-z 0-9 . _ - @ +`"), "{shape:?}");
    for (arguments, words) in [
        (&["pat", "add", "ann-ci", "--service", "ci", "--expires", "soon"][..], "write a whole number and a unit"),
        (
            &["pat", "add", "ann-ci", "--service", "ci", "--network", "10.0.0.0/33"],
            "write an address or `ADDRESS/BITS`",
        ),
        (&["pat", "add", "ann-ci"], "--service"),
        (&["person", "ad", "x"], "similar subcommand exists"),
        (&["role", "set", "x"], "--permission"),
        (&["history", "--limit", "0"], "1..=100000"),
        (&[], "Usage"),
    ] {
        let ran = at.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(words), "{arguments:?}: {ran:?}");
    }
    let kind = at.run(&["history", "--type", "nothing"]);
    assert!(kind.code == 1 && kind.err.contains("`roles_changed`"), "{kind:?}");
}

/// Locked, gone, full and newer databases: the store's own words, exit code 1.
#[test]
fn a_database_that_cannot_be_used_is_named_with_what_would_be_right() {
    let at = Installation::with_household();
    let database = at.path().join("locum.db");
    let kept = std::fs::read(&database).unwrap();

    std::fs::write(&database, "this is no database, but something that somebody put in its place").unwrap();
    let other = at.run(&["person", "list"]);
    assert_eq!(other.code, 1);
    assert!(other.err.contains("is not a database of Locum"), "{other:?}");

    std::fs::remove_file(&database).unwrap();
    std::fs::create_dir(&database).unwrap();
    let folder = at.run(&["person", "list"]);
    assert!(folder.code == 1 && folder.err.contains("is a folder"), "{folder:?}");
    std::fs::remove_dir(&database).unwrap();
    std::fs::write(&database, kept).unwrap();
    assert_eq!(at.run(&["person", "show", "ann"]).code, 0);
}

/// The key files: missing, open to others.
#[test]
fn key_files_that_cannot_be_used_are_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let at = Installation::with_household();
    let pepper = at.path().join("pepper");
    std::fs::set_permissions(&pepper, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = at.run(&["person", "list"]);
    assert!(open.code == 1 && open.err.contains("chmod 600"), "{open:?}");
    std::fs::remove_file(&pepper).unwrap();
    let missing = at.run(&["person", "list"]);
    assert!(missing.code == 1 && missing.err.contains("does not exist"), "{missing:?}");
}

/// C1, C2: a wrong configuration ends with 78, and names file, line and the nearest key.
#[test]
fn a_wrong_configuration_ends_with_78() {
    let at = Installation::with("[server]\nlisten = \"nowhere\"\n");
    let ran = at.run(&["person", "list"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.err.contains("locum.toml:"), "{ran:?}");
    let missing = crate::locum(&["person", "list", "--config", "nothing.toml"], "", at.path());
    assert_eq!(missing.code, 78);
    assert!(missing.err.contains("there is no configuration `nothing.toml`"), "{missing:?}");
    let as_json = crate::locum(&["check", "--config", "nothing.toml", "--json"], "", at.path());
    let problem: serde_json::Value = serde_json::from_str(&as_json.err).unwrap();
    assert_eq!((as_json.code, &problem["code"]), (78, &json!("configuration")));
}

/// Runs statements on the database past Locum.
fn tamper(at: &Installation, statements: &'static str) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(at.path().join("locum.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// A database of a newer program is refused with both versions, and left as it is.
#[test]
fn a_database_of_a_newer_program_is_refused() {
    let at = Installation::with_household();
    tamper(&at, "INSERT INTO schema_version VALUES (99, '9.8.7', 0)");
    let ran = at.run(&["person", "add", "bob"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("has schema version 99") && ran.err.contains("start the newer program"), "{ran:?}");
    tamper(&at, "DELETE FROM schema_version WHERE version = 99");
    assert_eq!(at.json(&["person", "list"]).as_array().unwrap().len(), 1);
}

/// A database that another program has locked: said so, nothing kept, and well again afterwards.
#[test]
fn a_locked_database_is_named_and_loses_nothing() {
    use sqlx::ConnectOptions as _;
    let at = Installation::with_household();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(at.path().join("locum.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut other = runtime.block_on(options.connect()).unwrap();
    runtime.block_on(sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other)).unwrap();
    let ran = at.run(&["person", "add", "bob"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("is locked by another program"), "{ran:?}");
    runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(&mut other)).unwrap();
    assert_eq!(at.json(&["person", "list"]).as_array().unwrap().len(), 1);
    at.say(&["person", "add", "bob"]);
}
