//! Certificates that the gate obtains itself, from an ACME server that looks at the proof.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::acme_server::AcmeServer;
use crate::authority::Authority;
use crate::https::{Client, der, get, shown, wait_for_log, with_tls};
use crate::locum::{Locum, configuration};
use crate::upstream::Upstream;

pub(crate) fn wait_for(what: &str, longest: Duration, gate: &Locum, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < longest, "{what}:\n{}", gate.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the gate shows for this name; `None` where there is no handshake.
fn seen(gate: &Locum, acme: &AcmeServer, name: &str) -> Option<Vec<u8>> {
    let mut stream = Client::of(acme.authority()).connect(gate, name);
    get(&mut stream, name, "/pub/x").ok().map(|status| {
        assert_eq!(status, 200);
        shown(&stream)
    })
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// G11: a gate without a certificate obtains one when it can, serves with it, starts again without asking, goes on with
/// it while the ACME server is away, and renews it under an open connection.
#[test]
fn a_certificate_is_obtained_kept_and_renewed() {
    let (upstream, acme) = (Upstream::echo(), AcmeServer::start());
    acme.set_down(true);
    let second = Duration::from_secs(1);
    // The first has its renewal before it, and soon.
    acme.next_lives(&[(second * 60, second * 120)]);
    // A connection is kept open for as long as a renewal takes that fails first.
    let patient = "\n[limits]\nhead_timeout = \"5m\"\n";
    let table = acme.table(&["app.test"], "certificates") + patient;
    let gate = Locum::start(&configuration(upstream.address, &table));
    acme.lead("app.test", gate.address());
    wait_for_log(&gate, "a certificate could not be obtained");
    assert_eq!(seen(&gate, &acme, "app.test"), None, "nothing is shown before there is a certificate");
    acme.set_down(false);
    wait_for("obtained", second * 40, &gate, || acme.signed() == 1 && gate.log().contains("was obtained"));
    acme.set_down(true);
    let first = seen(&gate, &acme, "app.test").unwrap();
    let kept = files(&gate.folder().join("certificates"));
    assert_eq!(kept.len(), 2, "the account and the certificate: {kept:?}");
    for file in &kept {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let metrics = gate_metrics(&gate);
    assert!(metrics.contains("locum_certificate_expiry_timestamp_seconds{certificate=\"app.test\"}"), "{metrics}");
    assert!(metrics.contains("locum_acme_attempts_total{outcome=\"obtained\"} 1"), "{metrics}");

    let gate = gate.restart();
    acme.lead("app.test", gate.address());
    assert_eq!(seen(&gate, &acme, "app.test").unwrap(), first, "it outlasts the process");
    let mut old = Client::of(acme.authority()).connect(&gate, "app.test");
    assert_eq!(get(&mut old, "app.test", "/pub/a").unwrap(), 200);
    wait_for("a renewal failed", second * 40, &gate, || gate.log().contains("a certificate could not be obtained"));
    assert_eq!(seen(&gate, &acme, "app.test").unwrap(), first, "the old one is shown while there is no new one");
    assert_eq!(acme.signed(), 1);
    acme.set_down(false);
    wait_for("renewed", second * 40, &gate, || gate.log().contains("was obtained"));
    assert_ne!(seen(&gate, &acme, "app.test").unwrap(), first);
    assert_eq!(get(&mut old, "app.test", "/pub/b").unwrap(), 200, "who is connected stays");
    assert_eq!((acme.signed(), acme.accounts(), acme.faults()), (2, 1, Vec::new()));

    let secret = String::from_utf8(std::fs::read(&kept[1]).unwrap()).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!gate.log().contains(secret));
}

fn gate_metrics(gate: &Locum) -> String {
    let asked = std::process::Command::new("curl")
        .args(["-q", "-sS", "--max-time", "20", "--unix-socket"])
        .arg(gate.socket())
        .arg("http://locum/metrics")
        .output()
        .unwrap();
    String::from_utf8(asked.stdout).unwrap()
}

/// G11: each name has a certificate of its own, a proof that fails keeps no other waiting, and the proof is given where
/// clients have to show a certificate and a file is shown for other names.
#[test]
fn a_failed_proof_keeps_no_other_name_waiting() {
    let (upstream, acme, authority) = (Upstream::echo(), AcmeServer::start(), Authority::new());
    let ledger = authority.vouch_for("ledger.test");
    let known = authority.vouch_for("client.test");
    let asks = format!("client_ca_file = \"{}\"", authority.certificate().display());
    acme.lead("elsewhere.test", upstream.address);
    let table = acme.table(&["elsewhere.test", "app.test"], "acme");
    let gate = Locum::start(&(with_tls(&upstream, &[&ledger], &asks) + &table));
    acme.lead("app.test", gate.address());
    wait_for("obtained", Duration::from_mins(1), &gate, || gate.log().contains("was obtained"));
    assert!(gate.log().contains("the proof was not accepted"), "{}", gate.log());
    assert!(acme.signed() == 1 && acme.address().ip().is_loopback());
    for (believes, name) in [(acme.authority(), "app.test"), (&authority, "ledger.test")] {
        let client = Client { shows: Some(&known), ..Client::of(believes) };
        let mut stream = client.connect(&gate, name);
        assert_eq!(get(&mut stream, "app.test", "/pub/x").unwrap(), 200, "{name}");
        assert_eq!(shown(&stream) == der(&ledger), name == "ledger.test");
        assert!(get(&mut Client::of(believes).connect(&gate, name), "app.test", "/pub/x").is_err());
    }
    // Nobody sees a proof that is not asked for now.
    let curious = Client { offers: &[b"acme-tls/1"], ..Client::of(acme.authority()) };
    assert!(get(&mut curious.connect(&gate, "app.test"), "app.test", "/pub/x").is_err());
}

/// G11: what was kept and cannot be used, or was open to others, is replaced; and so is an account that the server
/// does not know any more.
#[test]
fn what_cannot_be_used_any_more_is_obtained_anew() {
    let (upstream, acme) = (Upstream::echo(), AcmeServer::start());
    let gate = Locum::start(&configuration(upstream.address, &acme.table(&["app.test"], "acme")));
    acme.lead("app.test", gate.address());
    wait_for("obtained", Duration::from_secs(40), &gate, || gate.log().contains("was obtained"));
    let first = seen(&gate, &acme, "app.test").unwrap();
    let kept = files(&gate.folder().join("acme"));
    let certificate = kept.iter().find(|file| file.ends_with("app.test.pem")).unwrap();
    std::fs::set_permissions(certificate, Permissions::from_mode(0o644)).unwrap();
    acme.forget_accounts();
    let gate = gate.restart();
    acme.lead("app.test", gate.address());
    wait_for("obtained anew", Duration::from_mins(1), &gate, || gate.log().contains("was obtained"));
    assert!(gate.log().contains("can be read by others"), "{}", gate.log());
    assert_ne!(seen(&gate, &acme, "app.test").unwrap(), first);
    assert_eq!((acme.signed(), acme.accounts()), (2, 1));
}

/// G11: an authority that says when a certificate is to be renewed (RFC 9773) is listened to, but not more than once an hour; it is
/// told which certificate the new one replaces, and where it does not take that, a certificate is what counts.
#[test]
fn a_certificate_is_renewed_when_its_authority_says_so() {
    let (upstream, acme) = (Upstream::echo(), AcmeServer::start());
    let gate = Locum::start(&configuration(upstream.address, &acme.table(&["app.test"], "acme")));
    acme.lead("app.test", gate.address());
    wait_for("obtained", Duration::from_secs(40), &gate, || gate.log().contains("was obtained"));
    let first = seen(&gate, &acme, "app.test").unwrap();
    let file = files(&gate.folder().join("acme")).into_iter().find(|file| file.ends_with("app.test.pem")).unwrap();
    let kept = std::fs::read(&file).unwrap();

    acme.suggest("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let gate = gate.restart();
    acme.lead("app.test", gate.address());
    wait_for("renewed", Duration::from_secs(40), &gate, || gate.log().contains("was obtained"));
    assert_ne!(seen(&gate, &acme, "app.test").unwrap(), first);
    assert_eq!((acme.signed(), acme.replaced()), (2, 1));
    let said = || gate.log().matches("says when to renew the certificate").count();
    wait_for("it was asked about the new one too", Duration::from_secs(20), &gate, || said() == 2);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(acme.signed(), 2, "not again within the hour:\n{}", gate.log());

    // The server has seen the first one replaced, and does not take the same again.
    std::fs::write(&file, kept).unwrap();
    let gate = gate.restart();
    acme.lead("app.test", gate.address());
    wait_for("renewed", Duration::from_secs(40), &gate, || gate.log().contains("was obtained"));
    assert_eq!((acme.signed(), acme.replaced()), (3, 1));
    assert!(acme.faults().iter().any(|fault| fault.contains("another has taken its place")), "{:?}", acme.faults());
    assert!(!gate.log().contains("could not be obtained"), "{}", gate.log());
}
