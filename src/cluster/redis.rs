//! Failure counts in Redis: one script per step, so that each step is atomic however many ask at once
//! (L2).
//!
//! Redis may hang, vanish or forget everything. So a step is given a budget and, after a failure, a
//! breaker; nobody's request waits longer for Redis than once. And a step that Redis comes to *late*
//! (it was stopped, the command lay in a socket) must not be taken any more, because by then the
//! attempt was counted elsewhere and perhaps cleared: each script carries a deadline by Redis's own
//! clock, whose distance from ours is measured by a probe.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ConnectionAddr, IntoConnectionInfo as _, RedisError, RedisResult, Script, TlsCertificates};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

pub use self::authorities::{Authorities, AuthoritiesError};
use self::breaker::Breaker;
use self::wire::Answer;
use super::failure_counts::{FailureCounts, SINKS, Unavailable};
use crate::directory::lockout::{Attempt, Counted, Reset, Streak};
use crate::directory::{AccountId, Life};

mod authorities;
mod breaker;
mod wire;

const PREFIX: &str = "locum:failures:";
/// Stands as long as Redis remembers what was last joined into it.
const SEEDED: &str = "locum:failures-seeded";
/// How long the search for a new connection may take.
const SEARCH: Duration = Duration::from_secs(3);
/// Says that the distance between the clocks is not known.
const UNKNOWN: i64 = i64::MIN;

/// Where Redis is, and how long a step may take.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `redis://…` or `rediss://…`; may hold a password.
    pub url: SecretString,
    /// Who may vouch for a Redis behind `rediss://`; `None`: whoever this machine trusts.
    pub authorities: Option<Authorities>,
    /// The budget of one step, from asking to the answer.
    pub timeout: Duration,
}

impl RedisSettings {
    /// Whether somebody on the way could read what is sent, or answer in the place of Redis: it is on
    /// another machine, and spoken to without TLS.
    pub fn is_unguarded(&self) -> bool {
        let Ok(info) = self.url.expose_secret().into_connection_info() else { return false };
        let ConnectionAddr::Tcp(host, _) = info.addr() else { return false };
        host != "localhost" && !host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn client(&self) -> RedisResult<Client> {
        let url = self.url.expose_secret();
        match &self.authorities {
            None => Client::open(url),
            Some(authorities) => {
                let root_cert = Some(authorities.as_pem().to_vec());
                Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })
            }
        }
    }
}

/// Why the settings cannot be used. Says nothing of the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URL of Redis cannot be used ({0}): write `redis://HOST:PORT/DB` or `rediss://…`")]
pub struct RedisUrlError(String);

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Whether Redis still has what was joined into it; false after a restart empty, or a flush.
    pub seeded: bool,
    /// The eviction policy; anything but `noeviction` may drop counts when memory runs out.
    pub eviction: Option<String>,
}

/// Failure counts in one Redis. A handle: clones share the connection.
#[derive(Clone)]
pub struct RedisCounts(Arc<Inner>);

struct Inner {
    client: Client,
    timeout: Duration,
    connection: ArcSwap<ConnectionManager>,
    /// A new connection is being sought.
    seeking: AtomicBool,
    breaker: Breaker,
    /// The zero of our monotonic clock.
    origin: Instant,
    /// Redis's clock less ours, in milliseconds, or [`UNKNOWN`].
    offset_ms: AtomicI64,
    fail: Script,
    succeed: Script,
    join: Script,
    sink: Script,
}

impl RedisCounts {
    /// Gets ready to ask; connects with the first step, so a Redis that is away is no obstacle (L7).
    /// To be called on the runtime that is going to ask: the connection lives there.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn open(settings: &RedisSettings) -> Result<Self, RedisUrlError> {
        let refuse = |error: RedisError| RedisUrlError(error.category().to_owned());
        let client = settings.client().map_err(refuse)?;
        let connection =
            ConnectionManager::new_lazy_with_config(client.clone(), config(settings.timeout)).map_err(refuse)?;
        Ok(Self(Arc::new(Inner {
            client,
            timeout: settings.timeout,
            connection: ArcSwap::from_pointee(connection),
            seeking: AtomicBool::new(false),
            breaker: Breaker::default(),
            origin: Instant::now(),
            offset_ms: AtomicI64::new(UNKNOWN),
            fail: Script::new(include_str!("scripts/fail.lua")),
            succeed: Script::new(include_str!("scripts/succeed.lua")),
            join: Script::new(include_str!("scripts/join.lua")),
            sink: Script::new(include_str!("scripts/sink.lua")),
        })))
    }

    /// Asks whether Redis is there and what it still knows; closes the breaker when it is. When it is
    /// not, a new connection is sought beside the old one, which may hang for as long as TCP is
    /// patient.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn probe(&self) -> Result<Probe, Unavailable> {
        let found = self.budgeted(self.ask_probe()).await;
        match &found {
            Ok(_) => self.0.breaker.succeeded(),
            Err(_) => self.seek_connection(),
        }
        found
    }

    /// Notes in Redis itself that everything open was joined into it.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn note_seeded(&self) -> Result<(), Unavailable> {
        let mut connection = self.connection();
        self.guarded(async move { redis::cmd("SET").arg(SEEDED).arg(1).query_async(&mut connection).await }).await
    }

    /// The open streak of one account.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn streak(&self, account: AccountId) -> Result<Option<Streak>, Unavailable> {
        let mut connection = self.connection();
        self.guarded(async move {
            let mut command = redis::cmd("HMGET");
            command.arg(key_of(account)).arg(&wire::FIELDS);
            wire::streak_of(command.query_async(&mut connection).await?)
        })
        .await
    }

    async fn ask_probe(&self) -> RedisResult<Probe> {
        let mut connection = self.connection();
        let ((seconds, micros), seeded): ((i64, i64), bool) =
            redis::pipe().cmd("TIME").cmd("EXISTS").arg(SEEDED).query_async(&mut connection).await?;
        let theirs = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
        // As if Redis had read its clock when the answer came here: the offset errs on the small
        // side, and deadlines on the early one.
        self.0.offset_ms.store(theirs - self.now_ms().cast_signed(), Ordering::Release);
        let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
        let eviction = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        Ok(Probe { seeded, eviction: eviction.map(|policy| policy.trim().to_owned()) })
    }

    /// Runs one script within the budget, behind the breaker and under a deadline.
    async fn step(&self, script: &Script, key: String, arguments: Vec<String>) -> Result<Answer, Unavailable> {
        let mut connection = self.connection();
        let answer = self
            .guarded(async {
                let deadline = self.deadline(&mut connection).await?;
                let mut step = script.prepare_invoke();
                step.key(key).arg(deadline).arg(arguments);
                step.invoke_async(&mut connection).await
            })
            .await?;
        if matches!(answer, Answer::Late) {
            // Either Redis was slow, or one of the clocks jumped: measure again.
            self.0.offset_ms.store(UNKNOWN, Ordering::Release);
            return Err(Unavailable::TimedOut);
        }
        Ok(answer)
    }

    /// When our patience ends, by Redis's clock.
    async fn deadline(&self, connection: &mut ConnectionManager) -> RedisResult<String> {
        let patience_ends = self.now_ms().saturating_add(millis(self.0.timeout)).cast_signed();
        if self.0.offset_ms.load(Ordering::Acquire) == UNKNOWN {
            let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
            let theirs = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
            self.0.offset_ms.store(theirs - self.now_ms().cast_signed(), Ordering::Release);
        }
        let offset = self.0.offset_ms.load(Ordering::Acquire);
        Ok(patience_ends.saturating_add(offset).to_string())
    }

    async fn guarded<T>(&self, asking: impl Future<Output = RedisResult<T>>) -> Result<T, Unavailable> {
        if !self.0.breaker.lets_through(self.now_ms()) {
            return Err(Unavailable::Broken);
        }
        let answer = self.budgeted(asking).await;
        match &answer {
            Ok(_) => self.0.breaker.succeeded(),
            Err(_) => self.0.breaker.failed(self.now_ms()),
        }
        answer
    }

    async fn budgeted<T>(&self, asking: impl Future<Output = RedisResult<T>>) -> Result<T, Unavailable> {
        match tokio::time::timeout(self.0.timeout, asking).await {
            Err(_elapsed) => Err(Unavailable::TimedOut),
            Ok(Err(error)) if error.is_timeout() => Err(Unavailable::TimedOut),
            Ok(Err(error)) => Err(Unavailable::Failed(error.to_string())),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    fn connection(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.0.connection.load())
    }

    /// Looks for a new connection, one search at a time; it takes the place of the old one once it
    /// stands. It has more time than a step, or a Redis behind a slow handshake would never be met.
    fn seek_connection(&self) {
        if self.0.seeking.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let connecting = ConnectionManager::new_with_config(inner.client.clone(), config(inner.timeout));
            if let Ok(Ok(connection)) = tokio::time::timeout(SEARCH, connecting).await {
                inner.connection.store(Arc::new(connection));
            }
            inner.seeking.store(false, Ordering::Release);
        });
    }

    fn now_ms(&self) -> u64 {
        millis(self.0.origin.elapsed())
    }
}

impl FailureCounts for RedisCounts {
    fn fail(
        &self,
        account: AccountId,
        life: Life,
        threshold: u32,
        attempt: Attempt,
    ) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        Box::pin(async move {
            let mut arguments = vec![life.0.to_string(), threshold.to_string()];
            arguments.extend(words_of(&attempt));
            counted(self.step(&self.0.fail, key_of(account), arguments).await?)
        })
    }

    fn succeed(&self, account: AccountId, life: Life) -> BoxFuture<'_, Result<Reset, Unavailable>> {
        Box::pin(async move {
            match self.step(&self.0.succeed, key_of(account), vec![life.0.to_string()]).await? {
                Answer::Cleared => Ok(Reset::Cleared),
                Answer::Counted(Counted::Locked) => Ok(Reset::Locked),
                Answer::Counted(Counted::Stale) => Ok(Reset::Stale),
                other => Err(unexpected(&other)),
            }
        })
    }

    fn sink(&self, slot: u8, attempt: Attempt) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async move {
            let key = format!("locum:sink:{}", slot % SINKS);
            match self.step(&self.0.sink, key, words_of(&attempt).to_vec()).await? {
                Answer::Sunk => Ok(()),
                other => Err(unexpected(&other)),
            }
        })
    }

    fn join(&self, account: AccountId, streak: &Streak, threshold: u32) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        let tripped_at = streak.tripped_at.map_or_else(String::new, |at| at.as_millis().to_string());
        let mut arguments = vec![streak.life.0.to_string(), threshold.to_string(), tripped_at];
        arguments.extend(streak.attempts.iter().flat_map(words_of));
        Box::pin(async move { counted(self.step(&self.0.join, key_of(account), arguments).await?) })
    }

    /// Walks over all keys in steps of one budget each: for starts and reconnections, not for requests.
    fn streaks(&self) -> BoxFuture<'_, Result<Vec<(AccountId, Streak)>, Unavailable>> {
        Box::pin(async move {
            let (mut streaks, mut cursor) = (BTreeMap::new(), 0_u64);
            loop {
                let page;
                (cursor, page) = self.page(cursor).await?;
                streaks.extend(page);
                if cursor == 0 {
                    return Ok(streaks.into_iter().collect());
                }
            }
        })
    }

    fn forget(&self, account: AccountId) -> BoxFuture<'_, Result<(), Unavailable>> {
        let mut connection = self.connection();
        Box::pin(
            self.guarded(async move { redis::cmd("UNLINK").arg(key_of(account)).query_async(&mut connection).await }),
        )
    }
}

impl RedisCounts {
    /// One page of the walk over all streaks, and where the next begins (0: nowhere). A key may come
    /// more than once.
    async fn page(&self, cursor: u64) -> Result<(u64, Vec<(AccountId, Streak)>), Unavailable> {
        let mut connection = self.connection();
        self.guarded(async move {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{PREFIX}*")).arg("COUNT").arg(500);
            let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await?;
            let accounts: Vec<_> = keys.iter().filter_map(|key| account_of(key)).collect();
            if accounts.is_empty() {
                return Ok((next, Vec::new()));
            }
            let mut reads = redis::pipe();
            for account in &accounts {
                reads.cmd("HMGET").arg(key_of(*account)).arg(&wire::FIELDS);
            }
            let kept: Vec<[Option<String>; 3]> = reads.query_async(&mut connection).await?;
            let streaks = accounts.into_iter().zip(kept).filter_map(|(account, fields)| {
                wire::streak_of(fields).map(|open| open.map(|streak| (account, streak))).transpose()
            });
            Ok((next, streaks.collect::<RedisResult<_>>()?))
        })
        .await
    }
}

impl fmt::Debug for RedisCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCounts").field("timeout", &self.0.timeout).finish_non_exhaustive()
    }
}

fn config(timeout: Duration) -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_response_timeout(Some(timeout))
        .set_connection_timeout(Some(SEARCH / 2))
}

/// The braces keep an account's key in one slot of a Redis Cluster, whatever joins it there later.
fn key_of(account: AccountId) -> String {
    format!("{PREFIX}{{{account}}}")
}

fn account_of(key: &str) -> Option<AccountId> {
    let id = key.strip_prefix(PREFIX)?.strip_prefix('{')?.strip_suffix('}')?;
    Some(AccountId::from_bytes(*uuid::Uuid::parse_str(id).ok()?.as_bytes()))
}

fn words_of(attempt: &Attempt) -> [String; 3] {
    let at = attempt.at.as_millis().to_string();
    [wire::id_text(attempt.id), wire::address_text(attempt.address), at]
}

fn counted(answer: Answer) -> Result<Counted, Unavailable> {
    match answer {
        Answer::Counted(counted) => Ok(counted),
        other @ (Answer::Cleared | Answer::Sunk | Answer::Late) => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> Unavailable {
    Unavailable::Failed(format!("a script answered `{answer:?}`, which is no answer to this step"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
