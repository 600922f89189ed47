//! The database as a whole: a copy while it is in use, putting one in its place, and moving to PostgreSQL (C5).

#![expect(clippy::disallowed_methods, reason = "nothing here is asynchronous")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::Installation;
use crate::postgres::Postgres;

fn file(at: &Installation, name: &str) -> String {
    at.path().join(name).to_str().unwrap().to_owned()
}

fn with_a_token() -> (Installation, String) {
    let at = Installation::new();
    at.say(&["person", "add", "ann"]);
    at.say(&["proxy-user", "add", "ann-ci", "--owner", "ann"]);
    let made = at.json(&["pat", "add", "ann-ci", "--service", "ci", "--confirm"]);
    let public_id = made["public_id"].as_str().unwrap().to_owned();
    (at, public_id)
}

fn state(at: &Installation, public_id: &str) -> String {
    at.json(&["pat", "show", public_id])["state"].as_str().unwrap().to_owned()
}

fn names(at: &Installation) -> Vec<String> {
    let list = at.json(&["person", "list"]);
    list.as_array().unwrap().iter().map(|person| person["username"].as_str().unwrap().to_owned()).collect()
}

fn beside(at: &Installation, part: &str) -> Vec<PathBuf> {
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().contains(part);
    std::fs::read_dir(at.path()).unwrap().map(|entry| entry.unwrap().path()).filter(named).collect()
}

/// C5
#[test]
fn a_copy_brings_back_what_there_was_and_keeps_what_there_is() {
    let (at, public_id) = with_a_token();
    let copy = file(&at, "copy.db");
    at.say(&["db", "backup", "--to", &copy]);
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(at.json(&["history", "--limit", "1"])[0]["type"], "backup_taken");
    at.say(&["person", "add", "bob"]);
    at.say(&["pat", "revoke", &public_id, "--reason", "compromised"]);

    let restored = at.json(&["db", "restore", "--from", &copy, "--as-it-was"]);
    assert_eq!(names(&at), ["ann"]);
    assert_eq!(at.json(&["history", "--limit", "1"])[0]["type"], "database_restored");
    assert_eq!(state(&at, &public_id), "usable", "everything is as it was");
    at.say(&["audit", "verify"]);
    // what was there is kept whole, and can be put back
    let kept = restored["kept"].as_str().unwrap();
    at.say(&["db", "restore", "--from", kept, "--as-it-was"]);
    assert_eq!(names(&at), ["ann", "bob"]);
    assert_eq!(state(&at, &public_id), "revoked");
    assert!(beside(&at, "restoring").is_empty() && beside(&at, "snapshot").is_empty());
}

/// C5: what was revoked since the copy was made comes back only on purpose.
#[test]
fn a_restore_revokes_every_token_or_is_told_not_to() {
    let (at, public_id) = with_a_token();
    let copy = file(&at, "copy.db");
    at.say(&["admin", "add", "sue", "--super", "--new"]);
    at.json(&["api-key", "add", "terraform", "--for", "sue", "--scope", "roles:write", "--expires", "1d"]);
    at.say(&["db", "backup", "--to", &copy]);
    assert_eq!(at.run(&["db", "restore", "--from", &copy]).code, 2);
    let restored = at.json(&["db", "restore", "--from", &copy, "--revoke-all"]);
    assert_eq!((&restored["revoked_pats"], &restored["revoked_api_keys"]), (&json!(1), &json!(1)));
    assert_eq!(state(&at, &public_id), "revoked");
    assert_eq!(at.json(&["api-key", "list"])[0]["state"], "revoked");
    assert_eq!(at.json(&["pat", "revoke-all", "--reason", "compromised"]), json!({ "revoked": 0 }));
    at.say(&["audit", "verify"]);
    assert_eq!(at.refused(&["pat", "revoke-all", "--reason", "nope"])["code"], "unknown_reason");
}

/// C5: a file that is none of ours, or is damaged, changes nothing.
#[test]
fn what_is_no_whole_copy_is_not_put_in_place() {
    let (at, _) = with_a_token();
    let copy = file(&at, "copy.db");
    at.say(&["db", "backup", "--to", &copy]);
    assert!(at.run(&["db", "backup", "--to", &copy]).err.contains("is there already"));
    let whole = std::fs::read(&copy).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4096].fill(0xff);
    std::fs::write(at.path().join("forged.db"), &whole).unwrap();
    forge(&at.path().join("forged.db"));
    let forged = std::fs::read(at.path().join("forged.db")).unwrap();
    for (name, bytes, why) in [
        ("cut.db", &whole[..whole.len() / 2], "is damaged"),
        ("damaged.db", damaged.as_slice(), "damaged"),
        ("text.db", b"not a database".as_slice(), "not a database of Locum"),
        ("forged.db", forged.as_slice(), "history"),
    ] {
        std::fs::write(at.path().join(name), bytes).unwrap();
        let ran = at.run(&["db", "restore", "--from", &file(&at, name), "--as-it-was"]);
        assert!(ran.code == 1 && ran.err.contains(why), "{name}: {ran:?}");
        assert_eq!(names(&at), ["ann"], "{name}");
    }
    assert_eq!(at.run(&["db", "restore", "--from", &file(&at, "absent.db"), "--as-it-was"]).code, 1);
    assert!(beside(&at, "restoring").is_empty() && beside(&at, "replaced").is_empty());
}

/// Changes an entry of the history past Locum.
fn forge(file: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
        let forging = "DROP TRIGGER history_is_not_changed; UPDATE history SET kind = 'role_added' WHERE sequence = 1";
        sqlx::raw_sql(forging).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// C5: a database that nobody can open any more is replaced all the same, and kept.
#[test]
fn a_damaged_database_is_replaced() {
    let (at, _) = with_a_token();
    let (copy, database) = (file(&at, "copy.db"), file(&at, "locum.db"));
    at.say(&["db", "backup", "--to", &copy]);
    std::fs::write(&database, "nothing of it is left").unwrap();
    assert_eq!(at.run(&["person", "list"]).code, 1);
    let restored = at.json(&["db", "restore", "--from", &copy, "--as-it-was"]);
    assert_eq!(names(&at), ["ann"]);
    assert_eq!(std::fs::read(restored["kept"].as_str().unwrap()).unwrap(), b"nothing of it is left");
}

/// C5: one command, and the gateway goes on with the other database.
#[test]
fn everything_moves_to_postgresql() {
    let (at, public_id) = with_a_token();
    let url = Postgres::shared().database();
    at.say(&["audit", "verify"]);
    let entries = at.json(&["history", "--limit", "1"])[0]["sequence"].as_u64().unwrap();
    let url_file = file(&at, "url");
    std::fs::write(&url_file, format!("{url}\n")).unwrap();
    let moved = at.json(&["db", "move", "--to-file", &url_file]);
    assert_eq!((&moved["rows"]["accounts"], &moved["entries"]), (&json!(2), &json!(entries)));
    assert!(!moved.to_string().contains(crate::postgres::PASSWORD));

    let configuration = at.path().join("locum.toml");
    name_the_store(&configuration, &url_file);
    assert_eq!(names(&at), ["ann"]);
    assert_eq!(state(&at, &public_id), "usable");
    assert_eq!(at.json(&["history", "--limit", "1"])[0]["type"], "database_moved");
    at.say(&["person", "add", "bob"]);
    let whole = at.json(&["audit", "verify"]);
    assert!(whole["whole"] == true && whole["entries"].as_u64() > Some(entries), "{whole}");
    // from there on PostgreSQL's own tools are the ones
    let refused = at.run(&["db", "backup", "--to", &file(&at, "copy.db"), "--json"]);
    assert_eq!(refused.problem()["code"], "not_embedded");
    assert_eq!(at.json(&["history", "--type", "backup_taken"]), json!([]), "none was taken");
    assert_eq!(at.run(&["db", "move", "--to-file", &url_file]).code, 1);
}

fn name_the_store(configuration: &Path, url_file: &str) {
    let text = std::fs::read_to_string(configuration).unwrap();
    let (before, after) = text.split_once("[store]").expect("`locum init` writes the table");
    let after: Vec<&str> = after.lines().filter(|line| !line.starts_with("url")).collect();
    let text = format!("{before}[store]\nurl_file = \"{url_file}\"{}\n", after.join("\n"));
    std::fs::write(configuration, text).unwrap();
}
