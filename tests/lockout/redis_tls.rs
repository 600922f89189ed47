//! Redis over TLS: who it is is verified, and nothing goes to one that cannot prove it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use locum::cluster::{Authorities, AuthoritiesError, FailureCounts, RedisCounts, RedisSettings, Unavailable};
use locum::directory::Life;
use locum::directory::lockout::Counted;

use crate::authority::{Authority, Identity};
use crate::redis_server::Redis;
use crate::world::{account, attempt};

/// A Redis that also speaks TLS, and the port on which it does.
fn behind_tls(identity: &Identity) -> (Redis, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (Redis::start_with(identity.redis_options(port)), port)
}

fn counts(url: &str, believed: Option<&Authority>) -> RedisCounts {
    let authorities =
        believed.map(|authority| Authorities::from_pem(&std::fs::read(authority.certificate()).unwrap()).unwrap());
    RedisCounts::open(&RedisSettings { url: url.into(), authorities, timeout: Duration::from_secs(5) }).unwrap()
}

async fn fail(counts: &RedisCounts) -> Result<Counted, Unavailable> {
    counts.fail(account(1), Life::FIRST, 5, attempt(1)).await
}

/// TL-007: a Redis that proves who it is counts.
#[tokio::test]
async fn a_redis_behind_tls_counts_when_its_authority_is_named() {
    let authority = Authority::new();
    let identity = authority.vouch_for("localhost");
    let (server, port) = behind_tls(&identity);
    let counts = counts(&format!("rediss://localhost:{port}/0"), Some(&authority));
    let started = Instant::now();
    while counts.probe().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", counts.probe().await);
    }
    assert_eq!(fail(&counts).await, Ok(Counted::Counted(1)));
    assert_eq!(server.ask("DBSIZE").lines().next(), Some(":1"));
}

/// TL-007: an authority that nobody named, another one than was named, another name than the certificate's:
/// each is refused and says so, and nothing reaches Redis.
#[tokio::test]
async fn a_redis_that_does_not_prove_who_it_is_gets_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let identity = authority.vouch_for("localhost");
    let (server, port) = behind_tls(&identity);
    for (host, believed, why) in [
        ("localhost", None, "UnknownIssuer"),
        // who calls itself by the same name and has another key
        ("localhost", Some(&stranger), "BadSignature"),
        ("127.0.0.1", Some(&authority), "not valid for name"),
    ] {
        let counts = counts(&format!("rediss://{host}:{port}/0"), believed);
        for asked in [counts.probe().await.map(|_| ()), fail(&counts).await.map(|_| ())] {
            let Err(Unavailable::Failed(said)) = asked else { panic!("{host}: {asked:?}") };
            assert!(said.contains(why), "{host}: {said}");
        }
    }
    assert_eq!(server.ask("DBSIZE").lines().next(), Some(":0"));
}

/// A file that names no authority is found out before anything is asked.
#[test]
fn a_text_without_a_certificate_names_no_authority() {
    assert_eq!(Authorities::from_pem(b"").unwrap_err(), AuthoritiesError::None);
    assert_eq!(Authorities::from_pem(b"localhost:6379\n").unwrap_err(), AuthoritiesError::None);
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(Authorities::from_pem(broken).unwrap_err(), AuthoritiesError::Unreadable(1));
}
