//! What only a server can suffer: each a clear message, in a bounded time, without the password.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use locum::store::{ChangeError, OpenError, Settings, Store, StoreError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::postgres::{PASSWORD, Postgres};
use crate::world::*;

fn in_postgres(claim: impl AsyncFnOnce(Backend)) {
    run(Kept::Postgres, claim);
}

async fn opening(url: &str) -> OpenError {
    let backend = Backend::at_url(url);
    let settings = Settings { timeout: Duration::from_secs(3), ..backend.settings() };
    backend.open_with(&settings).await.unwrap_err()
}

fn hides(error: &dyn std::error::Error, secret: &str) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(secret), "{shown}");
}

#[test]
fn a_server_that_is_not_there_is_named_without_the_password() {
    in_postgres(async |_| {
        let error = opening("postgres://locum:geheim@127.0.0.1:1/locum").await;
        assert!(
            matches!(&error, OpenError::Store(StoreError::Unreachable { place, .. }) if place == "127.0.0.1:1/locum")
        );
        hides(&error, "geheim");
        let error = opening("postgres://locum:geheim@nowhere.invalid/locum").await;
        assert!(matches!(&error, OpenError::Store(StoreError::Unreachable { .. })), "{error}");
        hides(&error, "geheim");
    });
}

#[test]
fn a_wrong_password_is_said_to_be_wrong_and_not_shown() {
    in_postgres(async |_| {
        let port = Postgres::shared().port();
        let error = opening(&format!("postgres://locum:geheim@127.0.0.1:{port}/postgres")).await;
        let place = format!("127.0.0.1:{port}/postgres");
        assert_eq!(error, OpenError::Credentials { place, user: "locum".into() });
        hides(&error, "geheim");
    });
}

#[test]
fn a_database_that_does_not_exist_is_named() {
    in_postgres(async |_| {
        let error = opening(&Postgres::shared().url("nowhere")).await;
        assert!(matches!(&error, OpenError::NoDatabase { database, .. } if database == "nowhere"), "{error}");
        hides(&error, PASSWORD);
    });
}

#[test]
fn a_url_that_cannot_be_read_is_not_shown() {
    in_postgres(async |_| {
        for url in [
            "postgres://locum:geheim@host:port/x",
            "postgres://[locum:geheim",
            "postgres://locum:1?geheim@host/x",
            "postgres://locum@host/x?sslmode=geheim",
        ] {
            let error = opening(url).await;
            assert!(matches!(error, OpenError::Url), "{error}");
            hides(&error, "geheim");
        }
    });
}

#[test]
fn what_listens_but_is_no_database_costs_a_bounded_time() {
    in_postgres(async |_| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let started = Instant::now();
        let error = opening(&format!("postgres://locum:geheim@127.0.0.1:{port}/x")).await;
        assert!(matches!(error, OpenError::Store(StoreError::TimedOut { .. })), "{error}");
        assert!(started.elapsed() < Duration::from_secs(8));
    });
}

#[test]
fn ended_sessions_are_replaced_without_losing_a_change() {
    in_postgres(async |backend| {
        let store = backend.open().await;
        add(&store, &[&person("ann")]).await;
        backend
            .tamper(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        add(&store, &[&person("bob")]).await;
        let mut reader = store.read().await.unwrap();
        assert_eq!(reader.audit().await.unwrap().sequence, 2);
    });
}

/// What lies between Locum and its server: it can hold everything back, or break at a word.
struct Wire {
    url: String,
    held: Arc<AtomicBool>,
    breaks_at_commit: Arc<AtomicBool>,
}

impl Wire {
    async fn to(backend: &Backend) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let server_port = Postgres::shared().port();
        let url = backend.url.clone().unwrap().replace(&format!(":{server_port}/"), &format!(":{own_port}/"));
        let (held, breaks_at_commit) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let flags = (Arc::clone(&held), Arc::clone(&breaks_at_commit));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server_port)).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let (held, breaks) = flags.clone();
                tokio::spawn(async move {
                    let never = AtomicBool::new(false);
                    // the first to end takes the other along
                    tokio::select! {
                        () = carry(from_client, to_server, &held, &breaks) => {}
                        () = carry(from_server, to_client, &held, &never) => {}
                    }
                });
            }
        });
        Self { url, held, breaks_at_commit }
    }

    async fn open(&self) -> Store {
        let backend = Backend::at_url(&self.url);
        backend.open_with(&Settings { timeout: Duration::from_millis(1_500), ..backend.settings() }).await.unwrap()
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, held: &AtomicBool, breaks: &AtomicBool) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        while held.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        if breaks.load(Ordering::SeqCst) && buffer[..length].windows(7).any(|bytes| bytes == b"COMMIT\0") {
            return;
        }
    }
}

#[test]
fn a_server_that_hangs_costs_a_bounded_time_and_is_used_again() {
    in_postgres(async |backend| {
        let wire = Wire::to(&backend).await;
        let store = wire.open().await;
        add(&store, &[&person("ann")]).await;
        store.read().await.unwrap().head().await.unwrap();
        wire.held.store(true, Ordering::SeqCst);
        let started = Instant::now();
        let bob = person("bob");
        let (change, read) = tokio::join!(try_add(&store, &bob), async { store.read().await?.head().await });
        assert!(matches!(change, Err(ChangeError::Store(StoreError::TimedOut { .. }))), "{change:?}");
        assert!(matches!(read, Err(StoreError::TimedOut { .. })), "{read:?}");
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        wire.held.store(false, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = try_add(&store, &person("cyd")).await {
            assert!(Instant::now() < deadline, "{error}");
        }
        let mut reader = store.read().await.unwrap();
        assert!(reader.account_by_username(&name("cyd")).await.unwrap().is_some());
        assert!(reader.account_by_username(&name("bob")).await.unwrap().is_none(), "what failed was not done later");
    });
}

#[test]
fn a_connection_that_breaks_at_the_commit_is_said_to_be_in_doubt() {
    in_postgres(async |backend| {
        let wire = Wire::to(&backend).await;
        let store = wire.open().await;
        add(&store, &[&person("ann")]).await;
        wire.breaks_at_commit.store(true, Ordering::SeqCst);
        let answer = try_add(&store, &person("bob")).await.unwrap_err();
        assert!(matches!(answer, ChangeError::Store(StoreError::InDoubt { .. })), "{answer}");
        wire.breaks_at_commit.store(false, Ordering::SeqCst);
        add(&store, &[&person("cyd")]).await;
        store.read().await.unwrap().audit().await.unwrap();
    });
}
