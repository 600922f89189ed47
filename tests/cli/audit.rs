//! Proving the history with the program alone: checkpoints and exports, and what was done to either.

#![expect(clippy::disallowed_methods, reason = "nothing here is asynchronous")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use locum::clock::Timestamp;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::Installation;

/// Runs statements on the database past Locum, as somebody who reaches its file.
fn tamper(at: &Installation, statements: &'static str) {
    let file = at.path().join("locum.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Ann, Bob and Cyd, and checkpoints before and after Bob, in one file.
fn with_checkpoints() -> (Installation, String) {
    let at = Installation::new();
    at.say(&["person", "add", "ann"]);
    let first = at.say(&["audit", "checkpoint"]);
    at.say(&["person", "add", "bob"]);
    let kept = first + &at.say(&["audit", "checkpoint"]);
    assert_eq!(kept.lines().count(), 2, "one line each");
    let file = at.path().join("kept.jsonl");
    std::fs::write(&file, kept).unwrap();
    at.say(&["person", "add", "cyd"]);
    (at, file.to_str().unwrap().to_owned())
}

fn last_sequence(at: &Installation) -> u64 {
    at.json(&["history", "--limit", "1"])[0]["sequence"].as_u64().unwrap()
}

/// H5: by itself a history that was cut, and its head set back, is whole; by a checkpoint the cut is found.
#[test]
fn a_cut_tail_is_found_by_a_checkpoint_that_was_kept() {
    let (at, kept) = with_checkpoints();
    let whole = at.json(&["audit", "verify", "--checkpoint", &kept]);
    assert_eq!((&whole["whole"], &whole["checkpoints"]), (&json!(true), &json!(2)), "{whole}");
    assert!(at.say(&["audit", "verify", "--checkpoint", &kept]).ends_with("; 2 checkpoints agree\n"));
    tamper(
        &at,
        "DROP TRIGGER history_is_not_deleted; DROP TRIGGER history_marks_are_not_deleted; \
         DELETE FROM history WHERE sequence > 3; DELETE FROM history_marks WHERE sequence > 3; \
         UPDATE head SET sequence = 3, hash = (SELECT hash FROM history WHERE sequence = 3)",
    );
    at.say(&["audit", "verify"]);
    let found = at.run(&["audit", "verify", "--checkpoint", &kept, "--json"]);
    assert_eq!(found.code, 1);
    let answer: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(answer["whole"], false);
    assert!(answer["broken"].as_str().unwrap().contains("ends at entry 3"), "{answer}");
    assert!(found.err.contains("the tail was cut off"), "{}", found.err);
}

/// H5: a checkpoint of another installation, or signed by nobody, does not agree.
#[test]
fn a_checkpoint_of_elsewhere_does_not_agree() {
    let (at, kept) = with_checkpoints();
    let (other, _) = with_checkpoints();
    let refused = other.run(&["audit", "verify", "--checkpoint", &kept]);
    assert!(refused.code == 1 && refused.err.contains("is signed under the key"), "{refused:?}");
    let key = at.say(&["audit", "key"]);
    let with_its_key = other.run(&["audit", "verify", "--checkpoint", &kept, "--public-key", key.trim()]);
    assert!(with_its_key.err.contains("speaks of the installation"), "{with_its_key:?}");
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, text.replacen("\"sequence\":", "\"sequence\":1", 1)).unwrap();
    assert!(at.run(&["audit", "verify", "--checkpoint", &kept]).err.contains("does not agree with what it says"));
    std::fs::write(&kept, "").unwrap();
    assert!(at.run(&["audit", "verify", "--checkpoint", &kept]).err.contains("holds no checkpoint"));
    assert_eq!(at.run(&["audit", "verify", "--checkpoint", "nowhere"]).code, 1);
}

/// H5: an export is checked with the public key and no gateway, and goes on where it ended, also one that broke off.
#[test]
fn an_export_is_proven_without_the_gateway() {
    let (at, kept) = with_checkpoints();
    let to = at.path().join("history.jsonl");
    let file = to.to_str().unwrap();
    let key = at.say(&["audit", "key"]);
    assert_eq!(at.json(&["audit", "export", "--to", file]), json!({ "file": file, "from": 1, "through": 8 }));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), without_times(&at.say(&["audit", "export"]), &to));
    at.say(&["person", "add", "dan"]);

    // A process that was killed left half a line.
    let whole = std::fs::read(&to).unwrap();
    let cut = whole.iter().take(whole.len() - 700).copied().collect::<Vec<_>>();
    std::fs::write(&to, cut).unwrap();
    let away = tempfile::tempdir().unwrap();
    let check = |more: &[&str]| {
        let asked = ["audit", "verify", "--export", file, "--public-key", key.trim(), "--json"];
        crate::locum(&[&asked, more].concat(), "", away.path())
    };
    assert!(check(&[]).err.contains("in the middle of a line"), "{:?}", check(&[]));
    assert_eq!(at.say(&["audit", "export", "--to", file]), format!("exported entries 8 to 10 to {file}\n"));
    assert_eq!(at.say(&["audit", "export", "--to", file]), "no entries since entry 10\n");
    let answer = check(&["--checkpoint", &kept]).json();
    assert_eq!((&answer["whole"], &answer["through"], &answer["checkpoints"]), (&json!(true), &json!(10), &json!(2)));
    assert_eq!(last_sequence(&at), 10);

    let text = std::fs::read_to_string(&to).unwrap();
    for (from, becomes, says) in [
        ("\"type\":\"user_added\"", "\"type\":\"user_deleted\"", "other things than its bytes do"),
        ("{\"checkpoint\"", "{\"checkpoint\" ", "line "),
    ] {
        std::fs::write(&to, text.replacen(from, becomes, 1)).unwrap();
        let found = check(&[]);
        assert!(found.code == 1 && found.err.contains(says), "{found:?}");
    }
    let without_last = text.trim_end().rsplit_once('\n').unwrap().0;
    std::fs::write(&to, format!("{without_last}\n")).unwrap();
    assert!(check(&[]).err.contains("no checkpoint signs its end"), "{:?}", check(&[]));
    std::fs::write(&to, "something else\n").unwrap();
    assert!(at.run(&["audit", "export", "--to", file]).err.contains("something else than an export"));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "something else\n", "and is left alone");
    // as a key without the end of its line is
    std::fs::write(&to, "0123456789abcdef").unwrap();
    assert!(at.run(&["audit", "export", "--to", file]).err.contains("something else than an export"));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "0123456789abcdef");
    std::fs::write(&to, "{\"locum_hist").unwrap();
    assert!(at.say(&["audit", "export", "--to", file]).starts_with("exported entries 1 to "), "it broke off at once");
    assert_eq!(crate::locum(&["audit", "verify", "--export", file], "", away.path()).code, 2, "no key, no proof");
}

/// The signature of the end has a time of its own.
fn without_times(export: &str, like: &Path) -> String {
    let like = std::fs::read_to_string(like).unwrap();
    let (lines, _) = export.trim_end().rsplit_once('\n').unwrap();
    format!("{lines}\n{}\n", like.lines().last().unwrap())
}

/// H5: an export of a history that does not hold says so, and is not signed.
#[test]
fn a_broken_history_is_not_handed_out_as_whole() {
    let (at, _) = with_checkpoints();
    tamper(
        &at,
        "DROP TRIGGER history_is_not_changed; \
         UPDATE history SET canonical = (SELECT canonical FROM history WHERE sequence = 3) WHERE sequence = 4",
    );
    let ran = at.run(&["audit", "export"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("entry 4 was changed"), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 4, "the three that hold");
    assert!(!ran.out.contains("\"checkpoint\""), "{}", ran.out);
}

/// H5: what is signed is checked by another program, openssl, by nothing but what the guide says of it.
#[test]
fn a_checkpoint_is_checked_by_another_program() {
    let (at, kept) = with_checkpoints();
    let checkpoint: Value =
        serde_json::from_str(std::fs::read_to_string(kept).unwrap().lines().next().unwrap()).unwrap();
    let field = |name: &str| checkpoint[name].as_str().unwrap().to_owned();
    let text = format!(
        "locum history checkpoint 1\ninstallation {}\nentry {}\nhash {}\nat {}\n",
        field("installation"),
        checkpoint["sequence"],
        field("hash"),
        field("at")
    );
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    // RFC 8410: what says in DER that a key of Ed25519 follows.
    let key = [&bytes("302a300506032b6570032100")[..], &bytes(at.say(&["audit", "key"]).trim())[..]].concat();
    for (name, content) in [("key.der", key), ("text", text.into_bytes()), ("signature", bytes(&field("signature")))] {
        std::fs::write(at.path().join(name), content).unwrap();
    }
    let verify = || {
        let line = "pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in text -sigfile signature";
        Command::new("openssl").args(line.split(' ')).current_dir(at.path()).output().unwrap()
    };
    assert!(verify().status.success(), "{:?}", verify());
    std::fs::write(at.path().join("text"), "another text").unwrap();
    assert!(!verify().status.success());
}

/// H7: old entries go to the archive, and it and the rest are proven together, by checkpoints of both too.
#[test]
fn the_history_is_proven_across_the_archive() {
    let at = Installation::new();
    let file = at.configuration();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("#archive = \"history\""), "the template shows the key");
    std::fs::write(&file, text.replace("#archive = \"history\"", "archive = \"old\"")).unwrap();
    let first = at.say(&["audit", "checkpoint"]);
    at.say(&["person", "add", "ann"]);
    let kept = at.path().join("kept.jsonl");
    std::fs::write(&kept, first + &at.say(&["audit", "checkpoint"])).unwrap();
    let last = Timestamp::parse(at.json(&["history", "--limit", "1"])[0]["at"].as_str().unwrap()).unwrap();
    let cut = last.plus(Duration::from_millis(1)).to_string();
    at.say(&["person", "add", "bob"]);
    assert!(at.say(&["audit", "trim", "--before", &cut, "--dry-run"]).starts_with("would move 4 entries before "));
    let trimmed = at.json(&["audit", "trim", "--before", &cut]);
    let file = at.path().join("old/history-000000000001-000000000004.jsonl");
    assert_eq!((&trimmed["entries"], &trimmed["files"]), (&json!(4), &json!([file.to_str().unwrap()])), "{trimmed}");
    assert!(at.say(&["audit", "trim", "--before", &cut]).starts_with("no entries before "));
    assert_eq!(at.refused(&["audit", "trim"])["code"], "no_age");

    std::fs::write(&kept, std::fs::read_to_string(&kept).unwrap() + &at.say(&["audit", "checkpoint"])).unwrap();
    let kept = kept.to_str().unwrap();
    let old = at.path().join("old");
    let old = old.to_str().unwrap();
    assert!(at.say(&["audit", "verify"]).contains("entries up to 4 are in the archive"));
    let elsewhere = at.run(&["audit", "verify", "--checkpoint", kept]);
    assert!(elsewhere.err.contains("check it against what holds that entry"), "{elsewhere:?}");
    for archive in [old, file.to_str().unwrap()] {
        let whole = at.json(&["audit", "verify", "--archive", archive, "--checkpoint", kept]);
        let said = (&whole["whole"], &whole["archive_from"], &whole["checkpoints"], &whole["begins_after"]);
        assert_eq!(said, (&json!(true), &json!(1), &json!(3), &json!(4)), "{whole}");
    }
    let said = at.say(&["audit", "verify", "--archive", old]);
    assert!(said.starts_with("the history is whole: entries 1 to 4 in the archive and the rest to "), "{said}");
    assert!(at.run(&["audit", "export", "--from", "2"]).err.contains("was moved to the archive"));
    let line = at.say(&["audit", "export"]);
    assert!(line.starts_with("{\"locum_history\":1,") && line.contains("\"follows\":{\"sequence\":4,"), "{line}");

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"type\":\"user_added\"", "\"type\":\"user_deleted\"", 1)).unwrap();
    let broken = at.run(&["audit", "verify", "--archive", old]);
    assert!(broken.code == 1 && broken.err.contains("other things than its bytes do"), "{broken:?}");
    std::fs::write(&file, text).unwrap();

    // Without the installation's word nothing begins elsewhere than at its first entry.
    tamper(
        &at,
        "DROP TRIGGER history_base_moves_forward; UPDATE history_base SET signed = replace(signed, '\"sequence\":4', '\"sequence\":2')",
    );
    let forged = at.run(&["audit", "verify"]);
    assert!(forged.code == 1 && forged.err.contains("not as this installation signed it"), "{forged:?}");
}
