//! Certificates from an ACME server of others: Let's Encrypt's own test server.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::acme::wait_for;
use crate::https::{Client, get, shown};
use crate::locum::{Locum, configuration, free_address};
use crate::pebble_server::Pebble;
use crate::upstream::Upstream;

/// A gate that listens where Pebble looks for it.
fn gate_at(address: SocketAddr, upstream: &Upstream, tables: &str) -> Locum {
    Locum::start(&configuration(upstream.address, tables).replace("127.0.0.1:0", &address.to_string()))
}

/// What the gate shows for this name to who believes this authority.
fn seen(gate: &Locum, root: &Path, name: &str) -> Vec<u8> {
    let mut stream = Client::believing(root.to_owned()).connect(gate, name);
    assert_eq!(get(&mut stream, name, "/pub/x").unwrap(), 200);
    shown(&stream)
}

fn obtained(gate: &Locum) -> usize {
    gate.log().matches("a certificate was obtained").count()
}

/// G11: a server that refuses three good nonces in ten, and takes some seconds for each proof, signs; the chain is good, and
/// a new process goes on with the same account and renews under an open connection.
#[test]
fn a_foreign_server_signs_and_signs_again() {
    let (upstream, address) = (Upstream::echo(), free_address());
    let environment = [("PEBBLE_WFE_NONCEREJECT", "30"), ("PEBBLE_VA_SLEEPTIME", "4"), ("PEBBLE_CHAIN_LENGTH", "2")];
    let pebble = Pebble::start(address, &environment, &json!({ "certificateValidityPeriod": 60 }));
    // A connection is kept open for as long as a renewal takes.
    let patient = "\n[limits]\nhead_timeout = \"5m\"\n";
    let gate = gate_at(address, &upstream, &(pebble.table(&["app.test"]) + patient));
    wait_for("obtained", Duration::from_mins(2), &gate, || obtained(&gate) == 1);
    let root = pebble.root();
    let first = seen(&gate, &root, "app.test");

    let gate = gate.restart();
    assert_eq!(seen(&gate, &root, "app.test"), first, "it was kept");
    let mut open = Client::believing(root.clone()).connect(&gate, "app.test");
    assert_eq!(get(&mut open, "app.test", "/pub/a").unwrap(), 200);
    wait_for("renewed", Duration::from_mins(2), &gate, || obtained(&gate) == 1);
    assert_ne!(seen(&gate, &root, "app.test"), first);
    assert_eq!(get(&mut open, "app.test", "/pub/b").unwrap(), 200, "who is connected stays");
    let said = pebble.log();
    assert!(said.contains("reject 30% of good nonces") && said.contains("now 1 accounts"), "{said}");
    assert!(!said.contains("now 2 accounts"), "{said}");
}

/// G11: a server that takes half a minute for a proof is waited for.
#[test]
fn a_slow_foreign_server_is_waited_for() {
    let (upstream, address) = (Upstream::echo(), free_address());
    let pebble = Pebble::start(address, &[("PEBBLE_VA_SLEEPTIME", "38")], &json!({}));
    let gate = gate_at(address, &upstream, &pebble.table(&["app.test"]));
    wait_for("obtained", Duration::from_mins(2), &gate, || obtained(&gate) == 1);
    assert!(!gate.log().contains("could not be obtained"), "at the first attempt:\n{}", gate.log());
}

/// G11: an order that is refused, and a proof that fails, are told with the name and the server's own words, and keep no
/// other name waiting.
#[test]
fn what_a_foreign_server_refuses_is_told_in_its_words() {
    let (upstream, address) = (Upstream::echo(), free_address());
    let more = json!({ "domainBlocklist": ["blocked.test"] });
    let pebble = Pebble::start(address, &[("PEBBLE_VA_NOSLEEP", "1")], &more);
    pebble.lead("elsewhere.test", "127.0.0.7");
    let gate = gate_at(address, &upstream, &pebble.table(&["blocked.test", "elsewhere.test", "app.test"]));
    wait_for("obtained", Duration::from_mins(2), &gate, || obtained(&gate) == 1);
    seen(&gate, &pebble.root(), "app.test");
    let refusals = refusals(&gate);
    for (name, words) in [
        ("blocked.test", &["rejectedIdentifier", "blocked.test"][..]),
        ("elsewhere.test", &["the proof was not accepted", "127.0.0.7"]),
    ] {
        let told = refusals.iter().find(|refusal| refusal["name"] == name);
        let why = told.and_then(|told| told["error"].as_str()).unwrap_or_default();
        assert!(words.iter().all(|word| why.contains(word)), "{name}: {refusals:?}");
    }
}

/// G11: an authority that signs for its customers only signs for who shows that it is one, and says so to who does not.
#[test]
fn an_authority_that_asks_whose_customer_it_is_gets_an_answer() {
    let (upstream, address) = (Upstream::echo(), free_address());
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let more = json!({ "externalAccountBindingRequired": true, "externalAccountMACKeys": { "kid-1": key } });
    let pebble = Pebble::start(address, &[("PEBBLE_VA_NOSLEEP", "1")], &more);
    let keys = tempfile::tempdir().unwrap();
    for (file, key) in [("right", format!("{key}\n")), ("wrong", key.replace('z', "y"))] {
        std::fs::write(keys.path().join(file), key).unwrap();
        std::fs::set_permissions(keys.path().join(file), Permissions::from_mode(0o600)).unwrap();
    }
    let bound = |key_id: &str, file: &str| {
        let file = keys.path().join(file);
        format!("eab_key_id = \"{key_id}\"\neab_mac_key_file = \"{}\"\n", file.display())
    };
    let table = pebble.table(&["app.test"]);
    for (binding, words) in [
        (String::new(), "`server.acme.eab_key_id` and `eab_mac_key_file`"),
        (bound("kid-1", "wrong"), "urn:ietf:params:acme:error:"),
        (bound("kid-2", "right"), "urn:ietf:params:acme:error:"),
    ] {
        let gate = gate_at(address, &upstream, &format!("{table}{binding}"));
        wait_for("refused", Duration::from_mins(1), &gate, || !refusals(&gate).is_empty());
        let why = refusals(&gate)[0]["error"].to_string();
        assert!(why.contains(words), "{binding}: {why}");
    }
    let gate = gate_at(address, &upstream, &format!("{table}{}", bound("kid-1", "right")));
    wait_for("obtained", Duration::from_mins(1), &gate, || obtained(&gate) == 1);
    assert!(!gate.log().contains(&key[..20]), "the key is in the log");
    seen(&gate, &pebble.root(), "app.test");
}

/// What the log says about attempts that failed.
fn refusals(gate: &Locum) -> Vec<Value> {
    let log = gate.log();
    let lines = log.lines().filter(|line| line.contains("a certificate could not be obtained"));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}
