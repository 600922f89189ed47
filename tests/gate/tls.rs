//! The real binary on a Redis and a PostgreSQL behind TLS.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crate::authority::Authority;
use crate::lockout::wait_until;
use crate::locum::{Locum, basic, binary, configuration};
use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::upstream::Upstream;

/// TL-007, L1: the gate counts in the one and keeps in the other; with an authority that has not signed, it
/// does not start on this PostgreSQL, and the store counts instead of this Redis.
#[test]
fn the_gate_stands_on_a_redis_and_a_postgresql_behind_tls() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let identity = authority.vouch_for("localhost");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = Redis::start_with(identity.redis_options(port));
    let options = authority.vouch_for("localhost");
    let postgres_options = options.postgres_options();
    let mut postgres_options: Vec<&str> = postgres_options.iter().map(String::as_str).collect();
    postgres_options.extend(["-c", "fsync=off"]);
    let postgres = Postgres::start(&postgres_options);
    let database = postgres.database().replace("@127.0.0.1:", "@localhost:");
    let store = |authority: &Authority| {
        let file = authority.certificate();
        format!("[store]\nurl = \"{database}?sslmode=verify-full&sslrootcert={}\"\n", file.display())
    };
    let counts = |authority: &Authority| {
        let file = authority.certificate();
        format!("[redis]\nurl = \"rediss://localhost:{port}\"\nca_file = \"{}\"\ntimeout = \"2s\"\n", file.display())
    };
    let upstream = Upstream::echo();

    let gate = Locum::start(&configuration(upstream.address, &(store(&authority) + &counts(&authority))));
    let user = gate.add_proxy_user_of("ann");
    assert_eq!(gate.get("app.test", "/x", &user.basic()).status, 200);
    for number in 0..3 {
        assert_eq!(gate.get("app.test", "/x", &basic(&user.username, &format!("wrong-{number}"))).status, 401);
    }
    assert!(redis.ask("KEYS locum:failures:*").contains("locum:failures:{"), "Redis counted: {}", gate.log());
    let wrong_store = gate.folder().join("wrong-store.toml");
    std::fs::write(&wrong_store, configuration(upstream.address, &store(&stranger))).unwrap();
    let refused = Command::new(binary()).args(["serve", "--config"]).arg(&wrong_store).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("does not prove who it is") && said.contains("sslrootcert"), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
    drop(gate);

    let gate = Locum::start(&configuration(upstream.address, &counts(&stranger)));
    let before = redis.ask("DBSIZE");
    let bob = gate.add_proxy_user_of("bob");
    for number in 0..5 {
        assert_eq!(gate.get("app.test", "/x", &basic(&bob.username, &format!("wrong-{number}"))).status, 401);
    }
    wait_until("the store counted", Duration::from_secs(5), || gate.state_of(&bob.username) == "inactive");
    assert_eq!(redis.ask("DBSIZE"), before, "nothing reached Redis");
    let log = gate.log();
    assert!(log.contains("starting without it") && log.contains("invalid peer certificate"), "{log}");
}
