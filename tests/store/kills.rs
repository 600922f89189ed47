//! `kill -9` in the midst of writing: what was acknowledged is there, whole, and the chain holds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use locum::directory::Life;
use locum::directory::lockout::{Attempt, AttemptId, Streak};
use locum::directory::pepper::PepperVersion;
use locum::store::{AccountFilter, Store};

use crate::child::{Child, say};
use crate::world::*;

/// Adds people, each with a token in the same change and a counted failure after it, and says so when
/// it is acknowledged.
pub async fn write_for_ever(backend: Backend) {
    let store = backend.open().await;
    let process = std::process::id();
    say("ready");
    let writers = (0..8_u64).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0_u64.. {
                one(&store, &format!("w{process}-{writer}-{number}")).await;
            }
        })
    });
    futures_util::future::join_all(writers).await;
}

async fn one(store: &Store, username: &str) {
    let mut account = person(username);
    // ids of several processes must not meet
    let random: [u8; 10] = rand::random();
    account.id = locum::directory::AccountId::new(NOON, &random);
    let mut pat = pat_of(account.id, 0);
    pat.public_id = public_id(rand::random_range(0..1_000_000_000_000));
    let id = account.id;
    let adding = write(store, move |writer| {
        Box::pin(async move {
            writer.insert_account(&account).await?;
            writer.insert_pat(&pat, &HASH, PepperVersion(1)).await
        })
    });
    adding.await.unwrap();
    say(format!("added {username}"));
    let attempt = Attempt { id: AttemptId(7), address: None, at: NOON };
    store.bookkeeping().fail(id, Life::FIRST, 5, attempt).await.unwrap();
    say(format!("counted {username}"));
}

fn kill_again_and_again(kept: Kept, kills: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let backend = Backend::new(kept);
    let (mut added, mut counted) = (Vec::new(), Vec::new());
    for kill in 0..kills * scale() {
        let mut child = Child::start("write", &backend.location, &[]);
        assert_eq!(child.says().as_deref(), Some("ready"));
        let until = Instant::now() + Duration::from_millis(30 + u64::from(kill * 37 % 200));
        let mut said = Vec::new();
        while Instant::now() < until {
            said.push(child.says().expect("it writes until it is killed"));
        }
        child.kill();
        said.extend(child.says_all());
        drop(child);
        assert!(!said.is_empty());
        for line in said {
            match line.split_once(' ') {
                Some(("added", username)) => added.push(username.to_owned()),
                Some(("counted", username)) => counted.push(username.to_owned()),
                _ => panic!("unexpected: {line}"),
            }
        }
        runtime.block_on(nothing_is_lost_or_half(&backend, &added, &counted));
    }
}

async fn nothing_is_lost_or_half(backend: &Backend, added: &[String], counted: &[String]) {
    if backend.kept == Kept::Sqlite {
        assert_eq!(backend.sqlite_text("PRAGMA integrity_check").await, "ok");
        assert_eq!(backend.sqlite_text("SELECT count(*) || '' FROM pragma_foreign_key_check").await, "0");
    }
    let store = backend.open().await;
    let mut reader = store.read().await.unwrap();
    let head = reader.audit().await.unwrap();
    let accounts = reader.accounts(&AccountFilter { limit: 1_000_000, ..AccountFilter::default() }).await.unwrap();
    assert_eq!(head.sequence, accounts.len() as u64, "each change with its action, each action with its change");
    let ids: BTreeMap<&str, _> = accounts.iter().map(|account| (account.username.as_str(), account.id)).collect();
    for account in &accounts {
        assert_eq!(reader.pats(account.id).await.unwrap().len(), 1, "{}: a change is whole", account.username);
    }
    for username in added {
        assert!(ids.contains_key(username.as_str()), "{username} was acknowledged and is lost");
    }
    let streaks: BTreeMap<_, _> = store.bookkeeping().streaks().await.unwrap().into_iter().collect();
    for username in counted {
        let count = ids.get(username.as_str()).and_then(|id| streaks.get(id)).map(Streak::count);
        assert_eq!(count, Some(1), "{username}: a failure was counted and is lost");
    }
    drop(reader);
    store.close().await;
}

/// H1, H5, L2
#[test]
fn what_was_acknowledged_survives_kill_9_in_sqlite() {
    kill_again_and_again(Kept::Sqlite, 8);
}

/// H1, H5, L2
#[test]
fn what_was_acknowledged_survives_kill_9_in_postgres() {
    kill_again_and_again(Kept::Postgres, 5);
}
