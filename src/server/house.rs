//! The house put together: the store and its lock, the rooms that decide, and the work behind them.
//!
//! Everything here lives on the control runtime. What the data plane gets are handles.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::{AbortHandle, JoinHandle};

use super::secrets::{self, SecretsError};
use crate::authn::lockout::{CarryOut, CarryOutError, Health, Lockout, RedisHealth, StoreCounts, Trip};
use crate::authn::{self, Authn};
use crate::authz::{self, Authz};
use crate::clock::Clock;
use crate::cluster::redis::RedisUrlError;
use crate::cluster::{FailureCounts, InFlight, RedisCounts, Subjects, Unavailable};
use crate::config::Settings;
use crate::jobs::Jobs;
use crate::provision::sealing::{self, Unreadable};
use crate::provision::{self, Provision};
use crate::store::{LockError, NodeLock, OpenError, Store};

/// How often what has expired while it runs is cut (R3).
const SWEEP: Duration = Duration::from_millis(250);
/// How often it is looked for tokens whose successors have taken their place (T7).
const RETIRE: Duration = Duration::from_secs(1);
/// How often it is looked for tokens that expire soon (T11).
const WARN: Duration = Duration::from_mins(1);
/// How often entries of the history are looked for that are older than they are kept (H7).
const TRIM: Duration = Duration::from_hours(1);
/// How long that rests after the store could not be asked.
const RETIRE_AGAIN: Duration = Duration::from_secs(10);

/// Why the house cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Redis(#[from] RedisUrlError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the apps of the configuration could not be registered: {0}")]
    Apps(provision::Error),
    #[error("the failure counts on record could not be read: {0}")]
    Counts(Unavailable),
}

/// The rooms, open and connected.
#[derive(Debug)]
pub struct House {
    pub store: Store,
    pub lock: NodeLock,
    pub provision: Provision,
    pub authn: Authn,
    pub authz: Authz,
    pub in_flight: InFlight,
    pub lockout: Lockout,
    /// What answers the data plane, and writes what is left before it ends.
    answering: Vec<JoinHandle<()>>,
    /// What works by the clock, and can be stopped at any time.
    by_the_clock: Vec<AbortHandle>,
}

impl House {
    /// Reads the keys, opens the store, takes its lock, and starts what answers the data plane. What
    /// earlier processes left unfinished has been taken up when this returns.
    ///
    /// # Errors
    /// Each says what is wrong and what would be right.
    #[expect(clippy::similar_names, reason = "the two rooms are called so")]
    pub async fn open(settings: &Settings, holder: &str, clock: Arc<dyn Clock>) -> Result<Self, HouseError> {
        let secrets = secrets::read(&settings.secrets.pepper_file, &settings.secrets.tombstone_key_file)?;
        let (peppers, tombstones) = (Arc::new(secrets.peppers), Arc::new(secrets.tombstones));
        let keyring = secrets::keyring(&settings.secrets.master_key)?;
        let store = Store::open(&settings.store(), Arc::clone(&clock)).await?;
        sealing::demand_readable(&store, &keyring).await?;
        let lock = NodeLock::take(&store, holder).await?;
        let (subjects, in_flight) = (Subjects::new(), InFlight::new());
        let redis = match settings.redis_counts() {
            None => None,
            Some(redis) => Some(RedisCounts::open(&redis)?),
        };
        let provision = Provision::new(provision::Parts {
            store: store.clone(),
            subjects: subjects.clone(),
            in_flight: in_flight.clone(),
            counts: redis.clone().map(|redis| Arc::new(redis) as Arc<dyn FailureCounts>),
            peppers: Arc::clone(&peppers),
            tombstones,
            keyring: keyring.clone(),
            key_stores: secrets::key_stores_of(&settings.secrets),
            history_key: secrets::history_key_of(&settings.secrets),
            clock: Arc::clone(&clock),
            random: Arc::new(random),
            settings: settings.provision(),
        });
        let names: BTreeSet<_> = settings.apps.iter().map(|app| app.name().clone()).collect();
        provision::app::register(&provision, names).await.map_err(HouseError::Apps)?;
        provision.move_to_new_keys();

        let store_counts: Arc<dyn FailureCounts> = Arc::new(StoreCounts::new(&store));
        let carry_out = carry_out(provision.clone());
        let lockout = Lockout::new(redis, store_counts, subjects.clone(), settings.lockout(), carry_out);
        let loaded = lockout.load().await.map_err(HouseError::Counts)?;
        if loaded.open > 0 || loaded.tripped > 0 {
            tracing::info!(open = loaded.open, tripped = loaded.tripped, "failures are on record");
        }

        let parts = authn::Parts {
            store: store.clone(),
            peppers,
            subjects: subjects.clone(),
            lockout: lockout.clone(),
            clock: Arc::clone(&clock),
        };
        let (authn, authenticator) = authn::build(settings.authn(), parts, &mut random);
        let (authz, role_sets) = authz::build(authz::Settings::default(), store.clone(), subjects, keyring);
        let answering = vec![tokio::spawn(authenticator.run()), tokio::spawn(role_sets.run())];
        let by_the_clock = vec![
            tokio::spawn(sweep(in_flight.clone(), clock)).abort_handle(),
            tokio::spawn(end_retired(provision.clone())).abort_handle(),
            tokio::spawn(trim_by_age(provision.clone())).abort_handle(),
            tokio::spawn(warn_of_expiry(provision.clone())).abort_handle(),
            tokio::spawn(Jobs::new(provision.clone(), holder).run()).abort_handle(),
        ];
        Ok(Self { store, lock, provision, authn, authz, in_flight, lockout, answering, by_the_clock })
    }

    /// Writes what waits, closes the store, and only then gives its lock back: whoever takes it next is
    /// the only one who writes.
    pub async fn close(self) {
        let Self { store, lock, provision, authn, authz, lockout, answering, by_the_clock, .. } = self;
        by_the_clock.iter().for_each(AbortHandle::abort);
        // The questions end with the last handle; then the answering tasks write what is left.
        drop((authn, authz));
        for task in answering {
            if tokio::time::timeout(Duration::from_secs(5), task).await.is_err() {
                tracing::warn!("a task of the control runtime did not end in time");
            }
        }
        drop((lockout, provision));
        store.close().await;
        lock.release().await;
    }
}

/// What works by a second way, in words, for the health check.
pub fn notes(lockout: &Lockout) -> Vec<String> {
    let Health { redis, eviction, unfinished } = lockout.health();
    let mut notes = Vec::new();
    if redis == RedisHealth::Lost {
        notes.push(if lockout.is_closed() {
            "Redis cannot be reached: nobody is let in (`[redis] on_loss = \"closed\"`)".to_owned()
        } else {
            "Redis cannot be reached: the store counts failures".to_owned()
        });
    }
    if let Some(policy) = eviction {
        notes.push(format!(
            "Redis may drop failure counts when its memory runs out (`maxmemory-policy {policy}`): set `noeviction`"
        ));
    }
    if unfinished > 0 {
        notes.push(format!("{unfinished} shut accounts are not in the database yet"));
    }
    notes
}

/// Fills a buffer from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness: then no key and no token can be made safely.
#[expect(clippy::disallowed_methods, reason = "the one place from which randomness is handed to all others")]
pub fn random(buffer: &mut [u8]) {
    aws_lc_rs::rand::fill(buffer).expect("the operating system provides random bytes");
}

fn carry_out(provision: Provision) -> CarryOut {
    Arc::new(move |trip: Trip| -> BoxFuture<'static, Result<(), CarryOutError>> {
        let provision = provision.clone();
        Box::pin(async move {
            let done = provision::lockout::carry_out(&provision, trip.account, trip.life, trip.attempts).await?;
            if done {
                tracing::warn!(account = %trip.account, "too many failures in a row: the account was shut");
                metrics::counter!("locum_lockouts_total").increment(1);
            }
            Ok(())
        })
    })
}

/// What a change does runs in a task of its own, so that stopping this one never breaks one off.
async fn end_retired(provision: Provision) {
    let mut tick = tokio::time::interval(RETIRE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match provision::pat::end_retired(&provision).await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "tokens ended, for others have taken their place"),
            Err(error) => {
                tracing::warn!(%error, "tokens whose place others have taken could not be ended; they are refused all the same");
                tokio::time::sleep(RETIRE_AGAIN).await;
            }
        }
    }
}

/// Says which tokens expire soon.
async fn warn_of_expiry(provision: Provision) {
    let mut tick = tokio::time::interval(WARN);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match provision::expiry::warn(&provision).await {
            Ok(0) => {}
            Ok(warned) => tracing::warn!(warned, "tokens expire soon: `locum history --type pat_expiring` says which"),
            Err(error) => tracing::warn!(%error, "tokens that expire soon could not be looked for: it is tried again"),
        }
    }
}

/// Moves old entries of the history out. Stopping it in the midst loses nothing: the next run goes on.
async fn trim_by_age(provision: Provision) {
    let mut tick = tokio::time::interval(TRIM);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match provision::retention::trim_by_age(&provision).await {
            Ok(None) => {}
            Ok(Some(trimmed)) if trimmed.entries == 0 => {}
            Ok(Some(trimmed)) => {
                let (entries, from) = (trimmed.entries, trimmed.from);
                tracing::info!(entries, from, files = ?trimmed.files, "old entries of the history were moved out");
            }
            Err(error) => {
                metrics::counter!("locum_history_trim_failures_total").increment(1);
                tracing::error!(%error, "old entries of the history could not be moved out: they stay until they can");
            }
        }
    }
}

async fn sweep(in_flight: InFlight, clock: Arc<dyn Clock>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let cut = in_flight.cut_expired(clock.now());
        if cut > 0 {
            tracing::info!(cut, "what ran with expired tokens was cut");
        }
    }
}
