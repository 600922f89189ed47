//! What a claim stands on: a database of either kind, and short words for making things in it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use locum::clock::{FixedClock, Timestamp};
use locum::directory::{Account, AccountId, Actor, Holding, Kind, Life, Permission, RoleName, State, Username};
use locum::history::{Action, ActionType, Actions};
use locum::store::{ChangeError, Committed, Location, OpenError, Outcome, Settings, Store, StoreError, Writer};
use tempfile::TempDir;

use crate::postgres::Postgres;

pub const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Sqlite,
    Postgres,
}

/// An empty database.
pub struct Backend {
    pub kept: Kept,
    pub location: Location,
    pub url: Option<String>,
    _folder: Option<TempDir>,
}

impl Backend {
    pub fn new(kept: Kept) -> Self {
        match kept {
            Kept::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let location = Location::Sqlite(folder.path().join("locum.db"));
                Self { kept, location, url: None, _folder: Some(folder) }
            }
            Kept::Postgres => {
                let url = Postgres::shared().database();
                Self { kept, location: Location::Postgres(url.clone().into()), url: Some(url), _folder: None }
            }
        }
    }

    pub fn path(&self) -> PathBuf {
        match &self.location {
            Location::Sqlite(path) => path.clone(),
            Location::Postgres(_) => panic!("only SQLite has a file"),
        }
    }

    pub fn settings(&self) -> Settings {
        Settings { location: self.location.clone(), readers: 4, timeout: Duration::from_secs(10), queue: 4_096 }
    }

    pub async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Store, OpenError> {
        Store::open(&self.settings(), Arc::new(FixedClock::at(NOON))).await
    }
}

/// Runs a claim on a runtime like the one that serves.
pub fn run(kept: Kept, claim: impl AsyncFnOnce(Backend)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(claim(Backend::new(kept)));
}

/// Makes of each claim one test for SQLite and one for PostgreSQL.
macro_rules! claims {
    ($($(#[$doc:meta])* async fn $name:ident($backend:ident: Backend) $body:block)*) => {
        $(
        async fn $name($backend: $crate::world::Backend) $body

        $(#[$doc])*
        mod $name {
            #[test]
            fn in_sqlite() {
                $crate::world::run($crate::world::Kept::Sqlite, super::$name);
            }
            #[test]
            fn in_postgres() {
                $crate::world::run($crate::world::Kept::Postgres, super::$name);
            }
        }
        )*
    };
}
pub(crate) use claims;

pub fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

pub fn role(text: &str) -> Holding {
    Holding::Role(RoleName::parse(text).unwrap())
}

pub fn permissions(texts: &[&str]) -> BTreeSet<Permission> {
    texts.iter().map(|text| Permission::parse(text).unwrap()).collect()
}

pub fn new_id() -> AccountId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    AccountId::new(NOON, &random)
}

pub fn person(username: &str) -> Account {
    let (id, username) = (new_id(), name(username));
    Account { id, username, kind: Kind::Person, state: State::Active, life: Life::FIRST, created_at: NOON }
}

pub fn proxy_of(owner: &Account, username: &str) -> Account {
    Account { kind: Kind::Proxy { owner: owner.id }, ..person(username) }
}

pub fn root() -> Actor {
    Actor::Host("root".into())
}

/// One action that tells of an account.
pub fn told(account: AccountId) -> Actions {
    Actions::one(Action::new(ActionType::UserAdded, root()).to(account))
}

pub type Changed<T> = Result<Committed<T>, ChangeError<StoreError>>;

/// Adds accounts, each in a change of its own.
pub async fn add(store: &Store, accounts: &[&Account]) {
    for account in accounts {
        try_add(store, account).await.unwrap();
    }
}

pub async fn try_add(store: &Store, account: &Account) -> Changed<()> {
    let account = account.clone();
    store
        .change(move |writer: &mut Writer| {
            Box::pin(async move {
                writer.insert_account(&account).await?;
                Ok(Outcome::Changed((), told(account.id)))
            })
        })
        .await
}
