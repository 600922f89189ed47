//! One node at a time.

use std::time::Duration;

use locum::store::{LockError, NodeLock, OpenError};

use crate::child::Child;
use crate::world::*;

const HOLDER: &str = "locum serve, process 4711 on gate-1";

async fn takes_in_the_end(store: &locum::store::Store, holder: &str) -> NodeLock {
    let mut last = None;
    for _ in 0..100 {
        match NodeLock::take(store, holder).await {
            Ok(lock) => return lock,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the lock stays held: {last:?}");
}

async fn is_lost_soon(lock: &NodeLock) {
    tokio::time::timeout(Duration::from_secs(4), lock.lost()).await.expect("the loss is noticed");
}

claims! {
    async fn a_second_process_is_refused_and_told_who_holds_the_lock(backend: Backend) {
        let mut child = Child::start("hold", &backend.location, &[]);
        assert_eq!(child.says().as_deref(), Some("held"));
        let store = backend.open().await;
        let refused = NodeLock::take(&store, "locum person list").await.unwrap_err();
        assert_eq!(refused, LockError::Held { by: HOLDER.into() });
        assert!(refused.to_string().contains(HOLDER));
        child.kill();
        let _lock = takes_in_the_end(&store, "locum person list").await;
    }

    async fn a_second_store_in_one_process_is_refused_too(backend: Backend) {
        let (first, second) = (backend.open().await, backend.open().await);
        let lock = NodeLock::take(&first, "first").await.unwrap();
        assert_eq!(NodeLock::take(&second, "second").await.unwrap_err(), LockError::Held { by: "first".into() });
        lock.release().await;
        let lock = NodeLock::take(&second, "another name").await.unwrap();
        assert_eq!(NodeLock::take(&first, "x").await.unwrap_err(), LockError::Held { by: "another name".into() });
        drop(lock);
        let _lock = takes_in_the_end(&first, "x").await;
    }

    async fn a_held_lock_is_not_lost_by_itself(backend: Backend) {
        let store = backend.open().await;
        let lock = NodeLock::take(&store, "first").await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(1_300), lock.lost()).await.is_err());
    }

    /// The schema does not change under a running node.
    async fn a_migration_waits_for_nobody_and_names_who_uses_the_database(backend: Backend) {
        let store = backend.open().await;
        let _lock = NodeLock::take(&store, HOLDER).await.unwrap();
        backend.open().await.close().await;
        backend.tamper("DELETE FROM schema_version").await;
        let settings = locum::store::Settings { timeout: Duration::from_secs(1), ..backend.settings() };
        let refused = backend.open_with(&settings).await.unwrap_err();
        assert!(matches!(&refused, OpenError::InUse { by, found: 0, .. } if by == HOLDER), "{refused}");
    }

    async fn two_that_open_a_new_database_at_once_both_succeed(backend: Backend) {
        let (first, second) = tokio::join!(backend.try_open(), backend.try_open());
        add(&first.unwrap(), &[&person("ann")]).await;
        add(&second.unwrap(), &[&person("bob")]).await;
    }
}

#[test]
fn a_lock_whose_file_or_database_vanished_is_lost() {
    for suffix in ["", ".lock"] {
        run(Kept::Sqlite, async |backend| {
            let store = backend.open().await;
            let lock = NodeLock::take(&store, "first").await.unwrap();
            let mut file = backend.path().into_os_string();
            file.push(suffix);
            std::fs::remove_file(file).unwrap();
            is_lost_soon(&lock).await;
        });
    }
}

#[test]
fn a_lock_whose_session_was_ended_is_lost() {
    run(Kept::Postgres, async |backend| {
        let store = backend.open().await;
        let lock = NodeLock::take(&store, "first").await.unwrap();
        backend
            .tamper(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .await;
        is_lost_soon(&lock).await;
        let _lock = takes_in_the_end(&store, "second").await;
    });
}
