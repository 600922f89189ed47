//! PostgreSQL over TLS: who it is is verified where that is asked for, and nothing less is taken.

use std::time::Duration;

use locum::store::{OpenError, Settings, StoreError};

use crate::authority::Authority;
use crate::postgres::{PASSWORD, Postgres};
use crate::world::*;

/// The URL of a new database of `server` by the name `host`, with `parameters`.
fn url(server: &Postgres, host: &str, parameters: &str) -> String {
    format!("{}?{parameters}", server.database().replace("@127.0.0.1:", &format!("@{host}:")))
}

fn verified_by(authority: &Authority) -> String {
    format!("sslmode=verify-full&sslrootcert={}", authority.certificate().display())
}

async fn opening(url: &str) -> OpenError {
    let backend = Backend::at_url(url);
    let settings = Settings { timeout: Duration::from_secs(5), ..backend.settings() };
    backend.open_with(&settings).await.unwrap_err()
}

fn on_a_server_behind_tls(claim: impl AsyncFnOnce(&Postgres, &Authority)) {
    let authority = Authority::new();
    let identity = authority.vouch_for("localhost");
    let options = identity.postgres_options();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["-c", "fsync=off"]);
    let server = Postgres::start(&options);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(claim(&server, &authority));
}

/// TL-007: a server that proves who it is keeps what it is given, and every session is encrypted.
#[test]
fn a_server_behind_tls_is_used_when_its_authority_is_named() {
    on_a_server_behind_tls(async |server, authority| {
        let backend = Backend::at_url(&url(server, "localhost", &verified_by(authority)));
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        assert_eq!(store.read().await.unwrap().audit().await.unwrap().sequence, 1);
        // the keeper of the sessions says so itself
        let sessions = server
            .client("psql")
            .args(["-d", "postgres", "-Atc"])
            .arg(
                "SELECT bool_and(ssl), count(*) > 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                 WHERE application_name = 'locum'",
            )
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&sessions.stdout).trim(), "t|t");
    });
}

/// TL-007: another authority, none, another name, no TLS at all: each is refused with what is wrong, and the
/// password is not shown.
#[test]
fn a_server_that_does_not_prove_who_it_is_is_refused() {
    on_a_server_behind_tls(async |server, authority| {
        let stranger = Authority::new();
        for (host, parameters, expected) in [
            // who calls itself by the same name and has another key
            ("localhost", verified_by(&stranger), "BadSignature"),
            ("localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
            ("127.0.0.1", verified_by(authority), "not valid for name"),
        ] {
            let error = opening(&url(server, host, &parameters)).await;
            let OpenError::Store(StoreError::Untrusted { why, .. }) = &error else { panic!("{error:?}") };
            assert!(why.contains(expected), "{why}");
            assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error}");
        }
        let plain = Postgres::shared();
        let error = opening(&url(plain, "localhost", &verified_by(authority))).await;
        let OpenError::Store(StoreError::Untrusted { why, .. }) = &error else { panic!("{error:?}") };
        assert!(why.contains("does not support TLS"), "{why}");
    });
}

/// TL-007: a URL that names an authority and does not ask for the whole check is refused before anything is
/// sent, and so is a parameter that the driver would pass over.
#[test]
fn half_a_check_is_refused() {
    on_a_server_behind_tls(async |server, authority| {
        let file = authority.certificate();
        let with = |parameters: &str| url(server, "localhost", &format!("{parameters}sslrootcert={}", file.display()));
        assert_eq!(opening(&with("")).await, OpenError::Unverified);
        assert_eq!(opening(&with("sslmode=require&")).await, OpenError::Unverified);
        assert_eq!(opening(&with("sslmode=verify-ca&")).await, OpenError::HalfVerified);
        assert_eq!(opening(&with("ssl_mode=verify-full&")).await, OpenError::Parameter);
    });
}
