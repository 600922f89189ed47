//! What no operation does: an action that its caller may not cause is not written, and nothing with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::*;
use crate::clock::{FixedClock, Timestamp};
use crate::cluster::{InFlight, Subjects};
use crate::directory::pepper::Peppers;
use crate::directory::rights::{Caller, Grade};
use crate::directory::tombstone::TombstoneKey;
use crate::history::checkpoint::SigningKey;
use crate::provision::keys::{KeyStorage, KeyStores};
use crate::provision::{Parts, Settings, person, proxy_user};
use crate::seal::Keyring;
use crate::store::{self, Location, Store};

/// Keys that never get another version.
struct Nowhere;

impl KeyStorage for Nowhere {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        Err("there is no file".to_owned())
    }

    fn add(&self, _version: u32) -> Result<(), String> {
        Err("there is no file".to_owned())
    }
}

async fn provision(folder: &std::path::Path) -> Provision {
    let clock = Arc::new(FixedClock::at(Timestamp::from_millis(1_795_000_000_000)));
    let location = Location::Sqlite(folder.join("locum.db"));
    let opened = store::Settings { location, readers: 2, timeout: Duration::from_secs(10), queue: 64 };
    let draws = std::sync::atomic::AtomicU8::new(1);
    Provision::new(Parts {
        store: Store::open(&opened, clock.clone()).await.unwrap(),
        subjects: Subjects::new(),
        in_flight: InFlight::new(),
        counts: None,
        peppers: Arc::new(Peppers::parse(&format!("1 {}", "ab".repeat(32))).unwrap()),
        tombstones: Arc::new(TombstoneKey::parse(&"cd".repeat(32)).unwrap()),
        history_key: Arc::new(|| Ok(SigningKey::parse(&"ef".repeat(32)).unwrap())),
        keyring: Keyring::parse(&format!("1 {}", "12".repeat(32))).unwrap(),
        key_stores: KeyStores { master: Arc::new(Nowhere), pepper: Arc::new(Nowhere) },
        clock,
        random: Arc::new(move |buffer| buffer.fill(draws.fetch_add(1, std::sync::atomic::Ordering::Relaxed))),
        settings: Settings::default(),
    })
}

/// A rule that forgot to ask for the right, and writes an action all the same.
async fn write(provision: &Provision, request: &Request, kind: ActionType, target: AccountId) -> Result<(), Error> {
    provision
        .change(request, Attempt::to("test"), move |hand| {
            Box::pin(async move {
                let action = hand.action(kind).to(target);
                Hand::done((), action, Effects::default())
            })
        })
        .await
}

/// H4
#[tokio::test]
async fn an_action_is_written_only_for_one_who_may_cause_it() {
    let folder = tempfile::tempdir().unwrap();
    let provision = provision(folder.path()).await;
    let host = Request::from_host("root");
    let name = |text: &str| Username::parse(text).unwrap();
    for owner in ["ann", "bob"] {
        person::add(&provision, &host, name(owner), BTreeSet::new()).await.unwrap();
        let proxy = name(&format!("{owner}-ci"));
        proxy_user::add(&provision, &host, proxy, name(owner), Networks::ANY).await.unwrap();
    }
    let id = async |text: &str| {
        provision.0.store.read().await.unwrap().account_by_username(&name(text)).await.unwrap().unwrap().id
    };
    let (ann, bob) = (id("ann-ci").await, id("bob-ci").await);
    let caller = Caller::Person { account: id("ann").await, grade: Grade::None, granted: BTreeSet::new() };
    let plain = Request { caller, address: None, request_id: None };

    let written = provision.0.store.read().await.unwrap().head().await.unwrap().sequence;
    write(&provision, &plain, ActionType::PatCreated, ann).await.unwrap();
    for (request, kind, target) in [
        (&plain, ActionType::PatCreated, bob),
        (&plain, ActionType::RoleAccessUpdated, ann),
        (&plain, ActionType::UserDeleted, ann),
        (&host, ActionType::AttemptsLocked, ann),
    ] {
        let refused = write(&provision, request, kind, target).await;
        let actor = request.actor().to_stored();
        let wrong = StoreError::Actor { kind: kind.slug(), actor };
        assert!(matches!(&refused, Err(Error::Store(error)) if *error == wrong), "{kind:?}: {refused:?}");
    }
    let head = provision.0.store.read().await.unwrap().audit().await.unwrap();
    assert_eq!(head.sequence, written + 1, "nothing is kept of the others");
}
