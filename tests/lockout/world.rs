//! The backends that the battery runs against, each freshly made for one claim.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use locum::authn::lockout::StoreCounts;
use locum::clock::{FixedClock, Timestamp};
use locum::cluster::{FailureCounts, RedisCounts, RedisSettings};
use locum::directory::lockout::{Attempt, AttemptId};
use locum::directory::owner_cascade::Change;
use locum::directory::{Account, AccountId, Actor, Kind, Life, Networks, ReasonCode, State, Username};
use locum::history::{Action, ActionType, Actions};
use locum::store::{ApplyContext, Location, Outcome, Settings, Store, StoreError, Writer};

use crate::postgres_server::Postgres;
use crate::redis_server::Redis;

/// One backend, and how to make accounts that it counts for.
pub(crate) struct World {
    pub(crate) counts: Arc<dyn FailureCounts>,
    accounts: Accounts,
    /// How many things the backend keeps; what must not grow with names.
    pub(crate) size: Box<dyn Fn() -> BoxFuture<'static, usize> + Send + Sync>,
    next: AtomicU64,
    _alive: Box<dyn Any + Send + Sync>,
}

enum Accounts {
    /// The backend takes any account.
    Any,
    /// The backend counts for accounts that exist, in the life that they are in.
    Of(Store),
}

impl World {
    /// An account in its first life.
    pub(crate) async fn account(&self) -> AccountId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = account(number);
        if let Accounts::Of(store) = &self.accounts {
            let person = Account {
                id,
                username: Username::parse(&format!("person-{number}")).unwrap(),
                kind: Kind::Person,
                state: State::Active,
                life: Life::FIRST,
                networks: Networks::ANY,
                created_at: NOW,
            };
            change(store, move |writer| {
                Box::pin(async move {
                    writer.insert_account(&person).await?;
                    Ok(Outcome::Changed((), done(ActionType::UserAdded, id)))
                })
            })
            .await;
        }
        id
    }

    /// Lets the account come into `life`.
    pub(crate) async fn reach(&self, account: AccountId, life: Life) {
        let Accounts::Of(store) = &self.accounts else { return };
        let current = store.read().await.unwrap().account(account).await.unwrap().unwrap().life;
        for _life in current.0..life.0 {
            change(store, move |writer| {
                Box::pin(async move {
                    let context = ApplyContext {
                        now: NOW,
                        by: operator(),
                        reason: ReasonCode::marked_inactive(),
                        pat_reason: ReasonCode::account_inactivated(),
                    };
                    let changes = [Change::Inactivated { account }, Change::Activated { account }];
                    writer.apply(&changes, &context).await?;
                    Ok(Outcome::Changed((), done(ActionType::UserMarkedActive, account)))
                })
            })
            .await;
        }
    }
}

async fn change<F>(store: &Store, rule: F)
where
    F: for<'w> FnOnce(&'w mut Writer) -> BoxFuture<'w, Result<Outcome<()>, StoreError>> + Send + 'static,
{
    store.change(rule).await.unwrap();
}

fn operator() -> Actor {
    Actor::Host("tester".to_owned())
}

fn done(kind: ActionType, account: AccountId) -> Actions {
    Actions::one(Action::new(kind, operator()).to(account))
}

const NOW: Timestamp = Timestamp::from_millis(1_000);

/// Runs one claim against one backend.
pub(crate) fn run<Making, Claim, Claiming>(make: impl FnOnce() -> Making, claim: Claim)
where
    Making: Future<Output = World>,
    Claim: FnOnce(Arc<World>) -> Claiming,
    Claiming: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { claim(Arc::new(make().await)).await });
}

/// A real Redis.
pub(crate) async fn redis() -> World {
    let server = Arc::new(Redis::start());
    let counts = RedisCounts::open(&redis_settings(&server)).unwrap();
    let asked = Arc::clone(&server);
    World {
        counts: Arc::new(counts),
        accounts: Accounts::Any,
        size: Box::new(move || {
            let answer = asked.ask("DBSIZE");
            let size = answer.lines().next().and_then(|line| line.strip_prefix(':')).unwrap().parse().unwrap();
            Box::pin(async move { size })
        }),
        next: AtomicU64::new(1),
        _alive: Box::new(server),
    }
}

/// The store on SQLite, in a folder of its own.
pub(crate) async fn sqlite() -> World {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("locum.db"));
    of_store(location, Box::new(folder)).await
}

/// The store on a real PostgreSQL.
pub(crate) async fn postgres() -> World {
    let url = Postgres::shared().database();
    of_store(Location::Postgres(url.into()), Box::new(())).await
}

async fn of_store(location: Location, alive: Box<dyn Any + Send + Sync>) -> World {
    let settings = Settings { location, readers: 2, timeout: Duration::from_secs(20), queue: 4_096 };
    let store = Store::open(&settings, Arc::new(FixedClock::at(NOW))).await.unwrap();
    let asked = store.clone();
    World {
        counts: Arc::new(StoreCounts::new(&store)),
        accounts: Accounts::Of(store),
        size: Box::new(move || {
            let store = asked.clone();
            Box::pin(async move { store.bookkeeping().streaks().await.unwrap().len() })
        }),
        next: AtomicU64::new(1),
        _alive: alive,
    }
}

/// A patient client, so that a busy machine does not look like a broken Redis.
pub(crate) fn redis_settings(server: &Redis) -> RedisSettings {
    RedisSettings { url: server.url().into(), authorities: None, timeout: Duration::from_secs(5) }
}

pub(crate) fn account(number: u64) -> AccountId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    AccountId::new(NOW, &random)
}

/// An attempt with an id of its own, from an address that goes with it.
pub(crate) fn attempt(number: u16) -> Attempt {
    let [high, low] = number.to_be_bytes();
    let address = match number % 3 {
        0 => None,
        1 => Some([192, 0, high, low].into()),
        _ => Some(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number).into()),
    };
    Attempt {
        id: AttemptId(u128::from(number) << 64 | 7),
        address,
        at: Timestamp::from_millis(1_000 + i64::from(number)),
    }
}

/// How much more than usual is asked for: 1, or what `tests/long` says.
pub(crate) fn scale() -> u32 {
    std::env::var_os("LOCUM_TEST_SCALE").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1)
}
