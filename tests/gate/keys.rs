//! Keys that get new versions under a running gateway, which serves on, and is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::locum::{Locum, configuration};
use crate::upstream::Upstream;

/// Takes every version but the newest out of a key file.
fn keep_the_newest(gate: &Locum, file: &str) {
    let path = gate.folder().join(file);
    let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
    std::fs::write(&path, format!("{}\n", text.lines().last().unwrap())).unwrap();
}

/// Waits until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// PT-003: the pepper gets new versions while tokens are in use: none is refused, each moves when it is used, and then the
/// old versions can go.
#[test]
fn no_good_token_is_refused_while_the_pepper_is_rotated() {
    let upstream = Upstream::echo();
    let gate = Arc::new(Locum::start(&configuration(upstream.address, "")));
    let users: Vec<_> = ["ann", "bob", "cyd"].into_iter().map(|person| gate.add_proxy_user_of(person)).collect();
    let (ended, asked, refused) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = users
        .iter()
        .cloned()
        .map(|user| {
            let (gate, ended, asked, refused) = (gate.clone(), ended.clone(), asked.clone(), refused.clone());
            std::thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    let status = gate.get("app.test", "/", &user.basic()).status;
                    asked.fetch_add(1, Ordering::Relaxed);
                    refused.fetch_add(usize::from(status != 200), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for version in 2..=4 {
        let before = asked.load(Ordering::Relaxed);
        assert_eq!(gate.json_cli(&["keys", "rotate", "--pepper"])["pepper"]["version"], version);
        let moved = json!([{ "version": version, "count": 3 }]);
        until("the move to the new pepper", || gate.json_cli(&["keys", "show"])["pepper"]["tokens"] == moved);
        until("a caller", || asked.load(Ordering::Relaxed) > before + 10);
    }
    ended.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().unwrap();
    }
    assert_eq!(refused.load(Ordering::Relaxed), 0, "of {}", asked.load(Ordering::Relaxed));

    let gate = Arc::try_unwrap(gate).unwrap_or_else(|_| panic!("the callers have ended"));
    keep_the_newest(&gate, "pepper");
    let gate = gate.restart();
    for user in &users {
        assert_eq!(gate.get("app.test", "/", &user.basic()).status, 200);
    }
}

/// E2: killed between two steps, it goes on with the next start to where nothing is left under the old master key, which
/// can go then; the gateway served all the time.
#[cfg(feature = "failpoints")]
#[test]
fn a_rotation_that_was_killed_goes_on_with_the_next_start() {
    let upstream = Upstream::echo();
    let gate = Locum::start_with(&configuration(upstream.address, ""), &[("FAILPOINTS", "keys::rewrapped=pause")]);
    let people: Vec<String> = (0..40).map(|number| format!("person-{number}")).collect();
    for person in &people {
        gate.run_cli(&["person", "add", person, "--name", &format!("Name of {person}")]);
    }
    let user = gate.add_proxy_user_of("ann");
    let socket = gate.socket();
    let rotation = std::process::Command::new(env!("CARGO_BIN_EXE_locum"))
        .args(["keys", "rotate", "--master"])
        .env("LOCUM_ADMIN_SOCKET", &socket)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let under = |gate: &Locum| -> Vec<(u64, u64)> {
        let counted: serde_json::Value = gate.json_cli(&["keys", "show"])["master"]["data_keys"].clone();
        counted
            .as_array()
            .unwrap()
            .iter()
            .map(|used| (used["version"].as_u64().unwrap(), used["count"].as_u64().unwrap()))
            .collect()
    };
    until("the first step", || under(&gate).len() == 2);
    assert_eq!(under(&gate).iter().map(|(_, count)| count).sum::<u64>(), 40, "{:?}", under(&gate));
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 200);
    assert_eq!(gate.json_cli(&["person", "show", "person-7"])["name"], "Name of person-7");

    let gate = gate.kill_and_restart(&[]);
    until("the end", || under(&gate) == [(2, 40)]);
    // Who waited for it was told that the gateway is away, or asked the next one until the end.
    rotation.wait_with_output().unwrap();
    until("its record", || {
        gate.json_cli(&["history", "--type", "key_rotation_completed"]).as_array().unwrap().len() == 1
    });
    assert_eq!(gate.json_cli(&["history", "--type", "key_rotated"]).as_array().unwrap().len(), 1);
    keep_the_newest(&gate, "master.key");
    let gate = gate.restart();
    let listed = gate.json_cli(&["person", "list", "--prefix", "person-"]);
    let names = listed.as_array().unwrap().iter().map(|person| (person["username"].clone(), person["name"].clone()));
    assert_eq!(
        names.filter(|(username, name)| *name == json!(format!("Name of {}", username.as_str().unwrap()))).count(),
        40
    );
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 200);
}
