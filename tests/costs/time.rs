//! Time of the processor: what each attack takes of the gateway's, and of the attacker's.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::alone;
use crate::attacks::{Attack, Known, attacks, cpu_of_process, handshakes};
use crate::authority::{Authority, Identity};
use crate::locum::{Locum, checksum, configuration};
use crate::upstream::Upstream;

/// The most that one attacker may cost us, as a multiple of what it costs itself: of what is shipped, and of a debug build,
/// which takes several times as long for everything that is its own.
const MOST: f64 = 100.0;
const MOST_OF_A_DEBUG_BUILD: f64 = 500.0;
/// Time that is nobody's attack: a gateway has clocks, and looks after its store.
const BESIDE: Duration = Duration::from_millis(30);
/// For how long each attack goes on.
const LASTS: Duration = Duration::from_millis(250);

fn scale() -> u32 {
    std::env::var_os("LOCUM_TEST_SCALE").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1)
}

fn with_tls(upstream: &Upstream, identity: &Identity) -> String {
    let (certificate, key) = (identity.certificate(), identity.key());
    let (certificate, key) = (certificate.display(), key.display());
    let table = format!("[[server.tls]]\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n");
    configuration(upstream.address, &table)
}

/// The first flight of a client's handshake.
fn hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from("app.test").unwrap();
    let (mut client, mut bytes) = (ClientConnection::new(Arc::new(config), name).unwrap(), Vec::new());
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Runs an attack, and says what is out of proportion.
fn take(gate: &Locum, attack: &Attack) -> Option<String> {
    let before = cpu_of_process(gate.pid());
    let took = attack.run(gate.address(), LASTS * scale().min(20));
    let ours = cpu_of_process(gate.pid()).saturating_sub(before);
    let ratio = ours.as_secs_f64() / took.cpu.as_secs_f64();
    println!(
        "| {} | {:.1} | {:.1} | {ratio:.1} | {} | {} |",
        attack.name,
        took.cpu.as_secs_f64() * 1e3,
        ours.as_secs_f64() * 1e3,
        took.sent / 1024,
        took.connections
    );
    let most = if std::env::var_os("LOCUM_BIN").is_some() { MOST } else { MOST_OF_A_DEBUG_BUILD };
    let out_of_proportion = ours.saturating_sub(BESIDE).as_secs_f64() > took.cpu.as_secs_f64() * most;
    out_of_proportion.then(|| format!("{}: {took:?} cost us {ours:?}", attack.name))
}

/// G12, DS-001, DS-004: no attack that one attacker runs takes more than a hundred times its own time of the processor.
#[test]
fn one_attacker_costs_at_most_a_hundred_times_its_own_time() {
    let _alone = alone();
    let upstream = Upstream::echo();
    let h2c = configuration(upstream.address, "").replace("threads = 2", "threads = 2\nh2c = true");
    let mut gate = Locum::start(&h2c);
    let ann = gate.add_proxy_user_of("ann");
    // Proven, so that it is let in though its source fails without end.
    assert_eq!(gate.get("app.test", "/before", &ann.basic()).status, 200);
    let foreign = |number: usize| {
        let body = format!("locum_pat_{number:012}{number:040}");
        format!("{body}{}", checksum(&body))
    };
    let good = ann.basic().trim_start_matches("Authorization: ").trim_end().to_owned();
    let known = Known { good, foreign: (0..500).map(foreign).collect(), hello: hello() };
    println!("| attack | their ms | our ms | ratio | KiB sent | connections |\n| --- | --- | --- | --- | --- | --- |");
    let mut wrong: Vec<String> = attacks(&known).iter().filter_map(|attack| take(&gate, attack)).collect();
    assert_eq!(gate.get("app.test", "/afterwards", &ann.basic()).status, 200);
    assert!(gate.terminate());

    let identity = Authority::new().vouch_for("app.test");
    let mut gate = Locum::start(&with_tls(&upstream, &identity));
    wrong.extend(take(&gate, &handshakes(&known)));
    assert!(gate.terminate());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
