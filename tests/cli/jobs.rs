//! `locum job …`: saved, run, shown, removed, without a running gateway.

use serde_json::json;

use crate::Installation;

/// T9, C4
#[test]
fn a_job_is_saved_run_and_removed() {
    let at = Installation::with_household();
    let saved = at.json(&[
        "job",
        "add",
        "nightly",
        "--process",
        "manage-pats",
        "--schedule",
        "0 3 * * *",
        "--zone",
        "Europe/Berlin",
        "--unused",
        "90",
        "--inactivate-idle",
    ]);
    assert_eq!((&saved["state"], &saved["processed"]), (&json!("done"), &json!(0)), "{saved}");
    let shown = at.json(&["job", "show", "nightly"]);
    let options = json!({ "revoke_expired": true, "unused_days": 90, "idle_days": 365, "inactivate_idle": true });
    assert_eq!((&shown["manage_pats"], &shown["zone"]), (&options, &json!("Europe/Berlin")), "{shown}");
    assert_eq!(shown["next_runs"].as_array().unwrap().len(), 3);
    assert!(shown["meaning"].as_str().unwrap().contains("03:00"), "{shown}");
    let said = at.say(&["job", "run", "nightly", "--dry-run"]);
    assert_eq!(said, "run 2 of `nightly` is done (dry run): 0 records processed, 0 changed\n");
    let runs = at.json(&["job", "runs", "nightly"]);
    let ids: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [2, 1]);
    assert!(at.say(&["job", "list"]).contains("nightly"));
    assert!(at.say(&["job", "show", "nightly"]).contains("inactivates idle"));
    let types = |kind: &str| at.json(&["history", "--type", kind]).as_array().unwrap().len();
    assert_eq!((types("job_saved"), types("job_started"), types("job_run")), (1, 1, 2));
    assert_eq!(at.say(&["job", "remove", "nightly"]), "removed the job `nightly`\n");
    assert_eq!(at.refused(&["job", "run", "nightly"])["code"], "unknown_job");
    assert_eq!(at.json(&["job", "list"]), json!([]));
}

/// T9, H7: a run that fails says why, and the command fails with it.
#[test]
fn a_run_that_fails_is_a_failure() {
    let at = Installation::new();
    let failed = at.run(&["job", "add", "trim", "--process", "trim-history"]);
    assert!(failed.code == 1 && failed.err.contains("the run failed"), "{failed:?}");
    let told = at.json(&["history", "--type", "job_run"])[0]["details"].to_string();
    assert!(told.contains("[history]"), "{told}");
    for (wrong, says) in [
        (&["--schedule", "0 0 30 2 *"][..], "never comes"),
        (&["--schedule", "0 3 * * *", "--zone", "Mars/Olympus"], "no time zone"),
        (&["--unused", "0"], "give 1 to 3650"),
    ] {
        let refused = at.run(&[&["job", "add", "x", "--process", "manage-pats"], wrong].concat());
        assert!(refused.code == 1 && refused.err.contains(says), "{refused:?}");
    }
}
