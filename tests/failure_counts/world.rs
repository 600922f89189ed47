//! The backends that the battery runs against, each freshly made for one claim.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use locum::clock::Timestamp;
use locum::cluster::{FailureCounts, RedisCounts, RedisSettings};
use locum::directory::lockout::{Attempt, AttemptId};
use locum::directory::{AccountId, Life};

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
}

impl World {
    /// An account in its first life.
    pub(crate) async fn account(&self) -> AccountId {
        let id = account(self.next.fetch_add(1, Ordering::Relaxed));
        match self.accounts {
            Accounts::Any => {}
        }
        id
    }

    /// Lets the account come into `life`.
    pub(crate) async fn reach(&self, _account: AccountId, _life: Life) {
        match self.accounts {
            Accounts::Any => {}
        }
    }
}

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

/// A patient client, so that a busy machine does not look like a broken Redis.
pub(crate) fn redis_settings(server: &Redis) -> RedisSettings {
    RedisSettings { url: server.url().into(), timeout: Duration::from_secs(5) }
}

pub(crate) fn account(number: u64) -> AccountId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    AccountId::from_bytes(bytes)
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
