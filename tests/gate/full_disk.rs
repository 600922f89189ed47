//! The disk of the store is full under a gate that serves.

use crate::locum::{Locum, basic, configuration};
use crate::upstream::Upstream;

/// AG-004: no change is made that cannot be put on record, and each says 503 and why; good tokens go on, also
/// one that the gate has not seen yet; a wrong one is refused as always where there is room to count it, and
/// with 503 where not, and never let in. With room
/// again everything goes on, and nothing is half done.
#[test]
fn a_full_disk_stops_changes_and_not_the_gate() {
    let upstream = Upstream::echo();
    let store = "[store]\nurl = \"sqlite:disk/locum.db\"\n";
    let gate = Locum::start_on_a_disk_of("6m", &configuration(upstream.address, store));
    let user = gate.add_proxy_user_of("ann");
    let unseen = gate.new_pat(&user.username);
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);

    gate.fill_disk();
    let (mut added, mut refused) = (0, 0);
    // the log has a little room of its own, and a failure can make a little more
    while refused < 3 {
        let output = gate.cli(&["person", "add", &format!("p{added}"), "--json"]);
        if output.status.success() {
            (added, refused) = (added + 1, 0);
            assert!(added < 5_000, "the disk never fills");
            continue;
        }
        refused += 1;
        let problem: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&503.into(), &"store_unavailable".into()), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("is full: make room"), "{problem}");
    }
    for credential in [user.basic(), user.bearer(), unseen.basic()] {
        assert_eq!(gate.get("app.test", "/x", &credential).status, 200, "{}", gate.log());
    }
    for number in 0..3 {
        let wrong = gate.get("app.test", "/x", &basic(&user.username, &user.guess(number))).status;
        assert!([401, 503].contains(&wrong), "{wrong}: {}", gate.log());
    }
    assert_eq!(gate.state_of(&user.username), "active");

    gate.empty_disk();
    gate.run_cli(&["person", "add", "late"]);
    assert_eq!(gate.get("app.test", "/x", &basic(&user.username, &user.guess(9))).status, 401);
    let people = gate.json_cli(&["person", "list"]);
    assert_eq!(people.as_array().unwrap().len(), added + 2, "those that were acknowledged, and no other");
    gate.run_cli(&["audit", "verify"]);
}
