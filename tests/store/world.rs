//! What a claim stands on: a database of either kind, and short words for making things in it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use locum::clock::{FixedClock, Timestamp};
use locum::directory::owner_cascade::{Change, Household};
use locum::directory::pepper::{PepperVersion, TokenHash};
use locum::directory::{
    Account, AccountId, Actor, Holding, Kind, Life, Networks, Pat, PatState, Permission, PublicId, ReasonCode,
    Restrictions, RoleName, State, Username,
};
use locum::history::{Action, ActionType, Actions};
use locum::store::{
    Applied, ApplyContext, ChangeError, Committed, Location, OpenError, Outcome, Settings, Store, StoreError, Writer,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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

    /// A database that is there already.
    pub fn at_path(path: &str) -> Self {
        Self { kept: Kept::Sqlite, location: Location::Sqlite(path.into()), url: None, _folder: None }
    }

    pub fn at_url(url: &str) -> Self {
        let location = Location::Postgres(url.to_owned().into());
        Self { kept: Kept::Postgres, location, url: Some(url.to_owned()), _folder: None }
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
        self.open_with(&self.settings()).await
    }

    pub async fn open_with(&self, settings: &Settings) -> Result<Store, OpenError> {
        Store::open(settings, Arc::new(FixedClock::at(NOON))).await
    }

    /// Runs statements past Locum, as somebody who reaches the database.
    pub async fn tamper(&self, statements: &'static str) {
        self.try_tamper(statements).await.unwrap();
    }

    pub async fn try_tamper(&self, statements: &'static str) -> Result<(), sqlx::Error> {
        if let Some(url) = &self.url {
            let mut connection = sqlx::PgConnection::connect(url).await?;
            sqlx::raw_sql(statements).execute(&mut connection).await?;
            return connection.close().await;
        }
        let mut connection = SqliteConnectOptions::new().filename(self.path()).connect().await?;
        sqlx::raw_sql(statements).execute(&mut connection).await?;
        connection.close().await
    }
}

impl Backend {
    /// Runs one statement in PostgreSQL.
    pub async fn run_sql(&self, statement: &str) {
        let url = self.url.as_ref().expect("only PostgreSQL has a URL");
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// One text that SQLite answers, on a connection of its own.
    pub async fn sqlite_text(&self, sql: &'static str) -> String {
        let mut connection = SqliteConnectOptions::new().filename(self.path()).connect().await.unwrap();
        let text: (String,) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        text.0
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
    let (kind, state, networks) = (Kind::Person, State::Active, Networks::ANY);
    Account { id, username, kind, state, life: Life::FIRST, networks, created_at: NOON }
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

/// Runs `operation` as a change of which one action tells.
pub async fn write<T: Send + 'static>(
    store: &Store,
    operation: impl for<'w> FnOnce(&'w mut Writer) -> BoxFuture<'w, Result<T, StoreError>> + Send + 'static,
) -> Changed<T> {
    store
        .change(move |writer: &mut Writer| {
            Box::pin(async move {
                let value = operation(writer).await?;
                Ok(Outcome::Changed(value, Actions::one(Action::new(ActionType::RolesChanged, root()))))
            })
        })
        .await
}

/// Carries out what a rule of households decides.
pub async fn cascade(
    store: &Store,
    person: AccountId,
    rule: impl FnOnce(&Household) -> Vec<Change> + Send + 'static,
) -> Applied {
    let applying = write(store, move |writer| {
        Box::pin(async move {
            let household = writer.household(person).await?.expect("the person exists");
            writer.apply(&rule(&household), &context()).await
        })
    });
    applying.await.unwrap().value
}

/// Says where an account may be used from.
pub async fn confine(store: &Store, account: AccountId, networks: &Networks) -> Changed<()> {
    let networks = networks.clone();
    write(store, move |writer| Box::pin(async move { writer.set_networks(account, &networks).await })).await
}

pub fn context() -> ApplyContext {
    ApplyContext {
        now: NOON.plus(Duration::from_mins(1)),
        by: root(),
        reason: ReasonCode::marked_inactive(),
        pat_reason: ReasonCode::account_inactivated(),
    }
}

/// Keeps the writing task busy until it is opened, so that what is asked for meanwhile waits.
pub struct Gate {
    open: oneshot::Sender<()>,
    closed: JoinHandle<Changed<()>>,
}

impl Gate {
    pub async fn close(store: &Store) -> Self {
        let (open, opened) = oneshot::channel::<()>();
        let (entered, inside) = oneshot::channel();
        let store = store.clone();
        let closed = tokio::spawn(async move {
            store
                .change(move |_: &mut Writer| {
                    Box::pin(async move {
                        entered.send(()).unwrap();
                        opened.await.unwrap();
                        Ok(Outcome::Unchanged(()))
                    })
                })
                .await
        });
        inside.await.unwrap();
        Self { open, closed }
    }

    pub async fn open(self) {
        self.open.send(()).unwrap();
        self.closed.await.unwrap().unwrap();
    }
}

pub fn public_id(number: u64) -> PublicId {
    PublicId::parse(&format!("{number:012}")).unwrap()
}

/// A confirmed token of an account.
pub fn pat_of(account: AccountId, number: u64) -> Pat {
    Pat {
        public_id: public_id(number),
        account,
        service: "nightly export".into(),
        state: PatState::Confirmed { at: NOON },
        created_at: NOON,
        created_by: root(),
        expires_at: NOON.plus(Duration::from_hours(1)),
        restrictions: Restrictions::default(),
        last_used: None,
        succession: None,
        retires_at: None,
    }
}

pub const HASH: TokenHash = TokenHash::from_bytes([7; 32]);

pub async fn add_pat(store: &Store, pat: &Pat) -> Changed<()> {
    let pat = pat.clone();
    write(store, move |writer| Box::pin(async move { writer.insert_pat(&pat, &HASH, PepperVersion(3)).await })).await
}

/// How much more than the usual a run does.
pub fn scale() -> u32 {
    std::env::var_os("LOCUM_TEST_SCALE").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1)
}
