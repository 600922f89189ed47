//! From an embedded database into PostgreSQL (C5): all of it, or nothing that anybody takes for all of it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use locum::clock::FixedClock;
use locum::directory::{Kind, RoleName};
use locum::store::{AccountFilter, OpenError, Progress, TransferError, Transferred, transfer};

use crate::world::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn move_to(
    from: &Backend,
    to: &Backend,
    progress: impl FnMut(Progress<'_>),
) -> Result<Transferred, TransferError> {
    let clock = Arc::new(FixedClock::at(NOON));
    transfer(&from.settings(), &to.settings(), "the one that moves", clock, progress).await
}

/// Owners, their proxy users (some with ids before their owners'), roles that cascade, and tokens.
async fn filled(owners: u64) -> Backend {
    let backend = Backend::new(Kept::Sqlite);
    let store = backend.open().await;
    write(&store, |writer| {
        Box::pin(async move { writer.insert_role(role_name(), &permissions(&["general:read"])).await })
    })
    .await
    .unwrap();
    for number in 0..owners {
        let mut proxy = person(&format!("bot{number}"));
        let owner = person(&format!("owner{number}"));
        proxy.kind = Kind::Proxy { owner: owner.id };
        assert!(proxy.id.as_bytes() < owner.id.as_bytes(), "so that the order of ids is the wrong one");
        add(&store, &[&owner, &proxy]).await;
        let holding = BTreeSet::from([role("reports")]);
        cascade(&store, owner.id, move |household| household.owner_gains(&holding)).await;
        add_pat(&store, &pat_of(proxy.id, number)).await.unwrap();
    }
    store.close().await;
    backend
}

fn role_name() -> &'static RoleName {
    static NAME: std::sync::OnceLock<RoleName> = std::sync::OnceLock::new();
    NAME.get_or_init(|| RoleName::parse("reports").unwrap())
}

async fn rows(backend: &Backend) -> (BTreeSet<String>, u64) {
    let store = backend.open().await;
    let mut reader = store.read().await.unwrap();
    let accounts = reader.accounts(&AccountFilter { limit: 10_000, ..Default::default() }).await.unwrap();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for account in accounts {
        let holdings = reader.holdings(account.id).await.unwrap();
        let pats = reader.pats(account.id).await.unwrap();
        seen.insert(format!("{account:?} {holdings:?} {pats:?}"));
    }
    let head = reader.audit().await.unwrap();
    drop(reader);
    store.close().await;
    (seen, head.sequence)
}

/// C5: whatever the ids, and more than fits into one piece.
#[test]
fn everything_arrives_and_the_chain_holds() {
    runtime().block_on(async {
        let (from, to) = (filled(300).await, Backend::new(Kept::Postgres));
        let moved = move_to(&from, &to, |_| {}).await.unwrap();
        let count = |name: &str| moved.tables.iter().find(|(table, _)| table == name).unwrap().1;
        assert_eq!((count("accounts"), count("grants"), count("pats")), (600, 600, 300));
        assert_eq!(count("history"), moved.head.sequence);
        assert_eq!(rows(&from).await, rows(&to).await);
        // the new one goes on where the old one ended
        let store = to.open().await;
        add(&store, &[&person("one-more")]).await;
        let head = store.read().await.unwrap().audit().await.unwrap();
        assert_eq!(head.sequence, moved.head.sequence + 1);
        assert!(to.try_tamper("DELETE FROM history WHERE sequence = 1").await.is_err(), "it is append-only there too");
    });
}

/// C5, H7: a history whose beginning was moved out before.
#[test]
fn a_trimmed_history_arrives_as_it_is() {
    runtime().block_on(async {
        let (from, to) = (filled(5).await, Backend::new(Kept::Postgres));
        from.tamper(
            "INSERT INTO history_base SELECT 1, sequence, hash, 'as signed' FROM history WHERE sequence = 7; \
             DELETE FROM history_marks WHERE sequence <= 7; DELETE FROM history WHERE sequence <= 7",
        )
        .await;
        let moved = move_to(&from, &to, |_| {}).await.unwrap();
        let (before, after) = (rows(&from).await, rows(&to).await);
        assert_eq!(before, after);
        assert_eq!(after.1, moved.head.sequence);
        assert!(to.try_tamper("DELETE FROM history_base").await.is_err());
    });
}

/// C5: wherever it breaks off, nobody takes the part for the whole, and the next one goes on there.
#[test]
fn one_that_broke_off_is_refused_as_a_part_and_goes_on() {
    runtime().block_on(async {
        let (from, to) = (filled(40).await, Backend::new(Kept::Postgres));
        let mut stops = 0;
        loop {
            let mut left = stops;
            let moving = move_to(&from, &to, |_| {
                if left == 0 {
                    resume_unwind(Box::new("stopped here"));
                }
                left -= 1;
            });
            stops += 1;
            match AssertUnwindSafe(moving).catch_unwind().await {
                Ok(moved) => {
                    moved.unwrap();
                    break;
                }
                Err(_stopped) => {
                    assert!(matches!(to.try_open().await, Err(OpenError::HalfArrived { .. })), "stop {stops}");
                }
            }
        }
        assert!(stops >= 8, "{stops}");
        assert_eq!(rows(&from).await, rows(&to).await);
    });
}

/// C5
#[test]
fn nothing_is_moved_onto_something_else() {
    runtime().block_on(async {
        let (from, to) = (filled(2).await, Backend::new(Kept::Postgres));
        let store = to.open().await;
        add(&store, &[&person("somebody")]).await;
        store.close().await;
        assert!(matches!(move_to(&from, &to, |_| {}).await, Err(TransferError::NotEmpty { .. })));
        assert_eq!(rows(&to).await.0.len(), 1);
        assert_eq!(move_to(&to, &from, |_| {}).await, Err(TransferError::Direction));

        // a part of one is not filled up with another, nor with what the first has become
        let to = Backend::new(Kept::Postgres);
        let stopped = AssertUnwindSafe(move_to(&from, &to, |_| resume_unwind(Box::new("stopped")))).catch_unwind();
        assert!(stopped.await.is_err());
        assert!(matches!(move_to(&filled(2).await, &to, |_| {}).await, Err(TransferError::OfAnother { .. })));
        let store = from.open().await;
        add(&store, &[&person("later")]).await;
        store.close().await;
        assert!(matches!(move_to(&from, &to, |_| {}).await, Err(TransferError::OfAnother { .. })));
    });
}

/// C5: a row that somebody changes on the way, and one of the history, are found before anybody uses it.
#[test]
fn what_is_changed_on_the_way_is_found() {
    runtime().block_on(async {
        for (statement, named) in [
            ("UPDATE pats SET service = 'something else' WHERE public_id = '000000000001'", "pats"),
            ("DELETE FROM pats WHERE public_id = '000000000001'", "pats"),
            ("ALTER TABLE history DISABLE TRIGGER USER; UPDATE history SET kind = 'user_added'", "history"),
        ] {
            let (from, to) = (filled(3).await, Backend::new(Kept::Postgres));
            let stopped = move_to(&from, &to, |progress| {
                if matches!(progress, Progress::Compared { .. }) {
                    resume_unwind(Box::new("stopped"));
                }
            });
            assert!(AssertUnwindSafe(stopped).catch_unwind().await.is_err());
            to.tamper(statement).await;
            match move_to(&from, &to, |_| {}).await {
                Err(TransferError::Different { table, .. }) => assert_eq!(table, named),
                other => panic!("{other:?}"),
            }
            assert!(matches!(to.try_open().await, Err(OpenError::HalfArrived { .. })));
        }
    });
}

/// C5: while a gateway has either database, nothing is moved.
#[test]
fn a_database_in_use_is_not_moved() {
    runtime().block_on(async {
        let (from, to) = (filled(1).await, Backend::new(Kept::Postgres));
        let store = from.open().await;
        let lock = locum::store::NodeLock::take(&store, "locum serve, process 7").await.unwrap();
        let refused = tokio::time::timeout(Duration::from_secs(20), move_to(&from, &to, |_| {})).await.unwrap();
        assert!(refused.unwrap_err().to_string().contains("locum serve, process 7"));
        lock.release().await;
        store.close().await;
        move_to(&from, &to, |_| {}).await.unwrap();
    });
}
