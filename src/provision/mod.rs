//! Operations: one function is one operation, with one set of rules, one transaction, and its actions.
//!
//! Every function takes who asks ([`Request`]) and asks the table of rights first. What follows is
//! decided by the pure rules of `directory`; the store writes exactly that, together with the actions,
//! and commits. Before the function returns, every account that was touched has been narrowed or
//! widened in this node's caches, and what runs without its right any more has been cut (R2, R3).
//!
//! Architecture invariant: nothing here decides what a rule of the directory decides, and nothing
//! writes to the store but through [`operation`], so that no change goes unrecorded and no refused
//! change of an identified caller either (H1).

pub mod administrator;
pub mod api_key;
pub mod app;
pub mod backup;
pub mod caller;
mod demands;
pub mod expiry;
pub mod holding;
mod household;
pub mod job;
pub mod keys;
pub mod legacy_name;
pub mod lockout;
pub mod manage_pats;
pub mod name;
mod nearest;
mod operation;
pub mod pat;
pub mod person;
pub mod proxy_user;
pub mod reading;
pub mod reason;
mod refusal;
mod request;
pub mod retention;
pub mod role;
pub mod sealing;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use keys::KeyStores;
pub use refusal::{Error, Refusal, Wanted};
pub use request::{Caller, Request};
pub use retention::RetentionSettings;

use crate::clock::Clock;
use crate::cluster::{FailureCounts, InFlight, Subjects};
use crate::directory::AppName;
use crate::directory::pepper::Peppers;
use crate::directory::tombstone::TombstoneKey;
use crate::history::checkpoint::SigningKey;
use crate::seal::Keyring;
use crate::store::Store;

/// Fills a buffer with random bytes of the operating system.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Reads the key under which this installation signs what it says of its history; else says what is wrong with
/// its file.
pub type HistoryKey = Arc<dyn Fn() -> Result<SigningKey, String> + Send + Sync>;

/// What an operator decides about operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What stands before `locum_pat_` in this installation's tokens; empty for nothing (T5).
    pub prefix: String,
    /// The longest life of a token; [`crate::directory::pat::LONGEST_LIFE`] holds beside it (T2).
    pub longest_life: Duration,
    /// How long a token waits for its confirmation (T3).
    pub confirm_within: Duration,
    /// Apps that every person added has access to (R8).
    pub default_apps: BTreeSet<AppName>,
    /// What becomes of old entries of the history (H7).
    pub retention: RetentionSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            longest_life: crate::directory::pat::LONGEST_LIFE,
            confirm_within: Duration::from_mins(15),
            default_apps: BTreeSet::new(),
            retention: RetentionSettings::default(),
        }
    }
}

/// What operations work with. A handle: clones share everything.
#[derive(Clone)]
pub struct Provision(Arc<Inner>);

struct Inner {
    store: Store,
    subjects: Subjects,
    in_flight: InFlight,
    counts: Option<Arc<dyn FailureCounts>>,
    peppers: Arc<Peppers>,
    tombstones: Arc<TombstoneKey>,
    keyring: Keyring,
    key_stores: KeyStores,
    /// Held while a key gets a new version.
    rotation: tokio::sync::Mutex<()>,
    /// Held while what is under older versions is moved.
    moving: tokio::sync::Mutex<()>,
    history_key: HistoryKey,
    clock: Arc<dyn Clock>,
    random: Random,
    settings: ArcSwap<Settings>,
    /// Held while old entries of the history are moved out: one at a time.
    trimming: tokio::sync::Mutex<()>,
}

/// The parts of a [`Provision`], for whoever puts it together.
pub struct Parts {
    pub store: Store,
    pub subjects: Subjects,
    pub in_flight: InFlight,
    /// Where failures are counted outside of the store, if anywhere: told to forget who was deleted.
    pub counts: Option<Arc<dyn FailureCounts>>,
    pub peppers: Arc<Peppers>,
    pub tombstones: Arc<TombstoneKey>,
    /// The master key that data keys are wrapped under.
    pub keyring: Keyring,
    /// Where the master key and the peppers come from, and get new versions.
    pub key_stores: KeyStores,
    pub history_key: HistoryKey,
    pub clock: Arc<dyn Clock>,
    pub random: Random,
    pub settings: Settings,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Provision {
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            subjects,
            in_flight,
            counts,
            peppers,
            tombstones,
            keyring,
            key_stores,
            history_key,
            clock,
            random,
            settings,
        } = parts;
        let settings = ArcSwap::from_pointee(settings);
        Self(Arc::new(Inner {
            store,
            subjects,
            in_flight,
            counts,
            peppers,
            tombstones,
            keyring,
            key_stores,
            rotation: tokio::sync::Mutex::new(()),
            moving: tokio::sync::Mutex::new(()),
            history_key,
            clock,
            random,
            settings,
            trimming: tokio::sync::Mutex::default(),
        }))
    }

    /// Goes by other settings from now on.
    pub fn take_up(&self, settings: Settings) {
        self.0.settings.store(Arc::new(settings));
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub fn peppers(&self) -> &Peppers {
        &self.0.peppers
    }

    pub fn settings(&self) -> Arc<Settings> {
        self.0.settings.load_full()
    }

    /// A new id for a request that came without one, so that all actions of one request can be found
    /// together (H3). UUID version 7.
    pub fn new_request_id(&self) -> String {
        let mut random = [0; 10];
        (self.0.random)(&mut random);
        let millis = u64::try_from(self.0.clock.now().as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
    }
}

impl fmt::Debug for Provision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provision").field("settings", &self.settings()).finish_non_exhaustive()
    }
}
