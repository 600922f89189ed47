//! New versions of the keys that can have some: the master key and the pepper (E2, T5).
//!
//! A new version is first on the disk, then on record, then in force; and what was made under the old one
//! is moved in the background: data keys are wrapped anew one by one, tokens are hashed anew as they are
//! used. How far that is stands in the rows themselves, so whoever is killed on the way goes on where it
//! was. An old version is needed until nothing is left under it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::operation::{Attempt, Effects, Hand};
use super::reading::refused_if_not_allowed;
use super::sealing::{self, Unreadable};
use super::{Error, Provision, Refusal, Request};
use crate::directory::pepper::{PepperVersion, Peppers};
use crate::directory::rights::Operation;
use crate::directory::{AccountId, Actor};
use crate::history::{Action, ActionType};
use crate::seal::{Keyring, MasterVersion, SealError};
use crate::store::{MasterUse, PepperUse, StoreError};

/// How many data keys are wrapped anew in one step.
const BATCH: u32 = 32;
/// How many accounts have their tokens judged anew at once, so that those in use move to the new pepper.
const ACCOUNTS: u32 = 256;
/// The pause after so many: each of them is one more judgement.
const PAUSE: Duration = Duration::from_millis(50);

/// The file, or whatever is in its place, that holds the versions of a key. What it says in errors is for whoever
/// rotates it.
pub trait KeyStorage: Send + Sync {
    /// What it holds now. May block.
    ///
    /// # Errors
    /// Says why it cannot be read.
    fn read(&self) -> Result<Zeroizing<String>, String>;

    /// Adds a version, with a key of its own making, to what it holds; on the disk when this returns. May block.
    ///
    /// # Errors
    /// Says why not, and what to do instead.
    fn add(&self, version: u32) -> Result<(), String>;
}

/// Where the keys that have versions are kept.
#[derive(Clone)]
pub struct KeyStores {
    pub master: Arc<dyn KeyStorage>,
    pub pepper: Arc<dyn KeyStorage>,
}

impl fmt::Debug for KeyStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyStores(..)")
    }
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionedKey {
    Master,
    Pepper,
}

impl VersionedKey {
    pub const ALL: [Self; 2] = [Self::Master, Self::Pepper];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Pepper => "pepper",
        }
    }

    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.slug() == slug)
    }
}

/// How far the moving is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// `None`: this installation has no master key.
    pub master: Option<MasterVersion>,
    /// Data keys by the version that they are wrapped under, the oldest first.
    pub data_keys: Vec<MasterUse>,
    pub pepper: PepperVersion,
    /// Tokens that are not revoked, by the version that they are hashed under.
    pub tokens: Vec<PepperUse>,
}

/// Which versions are in force, and how much is still under older ones.
///
/// # Errors
/// When the caller may not.
pub async fn progress(provision: &Provision, request: &Request) -> Result<Progress, Error> {
    let reading = async {
        request.demand(&Operation::ManageInstallation)?;
        let mut reader = provision.0.store.read().await?;
        Ok(Progress {
            master: provision.keyring().newest(),
            data_keys: reader.master_uses().await?,
            pepper: provision.peppers().newest(),
            tokens: reader.pepper_uses().await?,
        })
    };
    refused_if_not_allowed(provision, request, "keys_show", reading.await).await
}

/// Brings a new version of each of these keys into force: one that stands in its file already, or one that is made.
/// What was made under the old ones is moved in the background.
///
/// # Errors
/// When the caller may not, or a file cannot be read or written, or lacks a version that is still needed.
pub async fn rotate(provision: &Provision, request: &Request, keys: &[VersionedKey]) -> Result<(), Error> {
    // One at a time: two would make two versions of which one replaces the other's file.
    let _turn = provision.0.rotation.lock().await;
    let mut prepared = Vec::new();
    let prepare = async {
        request.demand(&Operation::ManageInstallation)?;
        if !matches!(keys, [_]) && keys != VersionedKey::ALL {
            return Err(Refusal::KeyStorage("name `master`, `pepper`, or both, in this order".to_owned()).into());
        }
        for key in keys {
            prepared.push(match key {
                VersionedKey::Master => master(provision).await?,
                VersionedKey::Pepper => pepper(provision).await?,
            });
        }
        Ok(())
    };
    if let Err(error) = prepare.await {
        if let Error::Refused(refusal) = &error {
            provision.record_refusal(request, Attempt::to("keys_rotate"), refusal).await?;
        }
        return Err(error);
    }
    for next in prepared {
        record(provision, request, &next).await?;
        match next.keys {
            Keys::Master(keyring) => provision.keyring().take_up(&keyring),
            Keys::Pepper(peppers) => provision.peppers().take_up(&peppers),
        }
    }
    provision.move_to_new_keys();
    Ok(())
}

/// A version that is on the disk and not yet in force.
struct Next {
    keys: Keys,
    from: u32,
    to: u32,
}

enum Keys {
    Master(Keyring),
    Pepper(Peppers),
}

impl Keys {
    const fn which(&self) -> VersionedKey {
        match self {
            Self::Master(_) => VersionedKey::Master,
            Self::Pepper(_) => VersionedKey::Pepper,
        }
    }
}

async fn master(provision: &Provision) -> Result<Next, Error> {
    let MasterVersion(in_force) = provision.keyring().newest().ok_or(SealError::NoMasterKey)?;
    let parse = |text: &str| {
        let keyring = Keyring::parse(text).map_err(|error| error.to_string())?;
        let newest = keyring.newest().ok_or("it holds no key")?;
        Ok((keyring, newest.0))
    };
    let storage = Arc::clone(&provision.0.key_stores.master);
    let (keyring, version) = next(storage, VersionedKey::Master, in_force, parse).await?;
    sealing::demand_readable(&provision.0.store, &keyring).await.map_err(|error| match error {
        Unreadable::Seal(error) => Error::Refused(Refusal::KeyStorage(error.to_string())),
        Unreadable::Store(error) => Error::Store(error),
    })?;
    Ok(Next { keys: Keys::Master(keyring), from: in_force, to: version })
}

async fn pepper(provision: &Provision) -> Result<Next, Error> {
    let PepperVersion(in_force) = provision.peppers().newest();
    let parse = |text: &str| {
        let peppers = Peppers::parse(text).map_err(|error| error.to_string())?;
        let newest = peppers.newest();
        Ok((peppers, newest.0))
    };
    let storage = Arc::clone(&provision.0.key_stores.pepper);
    let (peppers, version) = next(storage, VersionedKey::Pepper, in_force, parse).await?;
    let mut reader = provision.0.store.read().await?;
    if let Some(missing) = reader.pepper_uses().await?.into_iter().find(|used| !peppers.has(used.version)) {
        let PepperUse { version: PepperVersion(version), tokens } = missing;
        let why =
            format!("the pepper file has no version {version}, and {tokens} tokens are hashed under it: put it back");
        return Err(Refusal::KeyStorage(why).into());
    }
    Ok(Next { keys: Keys::Pepper(peppers), from: in_force, to: version })
}

/// A newer version than the one in force: the one that is there already, as where an operator has put it or an earlier
/// rotation broke off; else one that is made.
async fn next<T: Send + 'static>(
    storage: Arc<dyn KeyStorage>,
    key: VersionedKey,
    in_force: u32,
    parse: impl Fn(&str) -> Result<(T, u32), String> + Send + 'static,
) -> Result<(T, u32), Error> {
    let work = move || {
        let (keys, newest) = parse(&storage.read()?)?;
        if newest > in_force {
            return Ok((keys, newest));
        }
        storage.add(in_force + 1)?;
        let (keys, newest) = parse(&storage.read()?)?;
        if newest > in_force { Ok((keys, newest)) } else { Err("a version was added, and is not there".to_owned()) }
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?;
    done.map_err(|why| Refusal::KeyStorage(format!("the {} key was not rotated: {why}", key.slug())).into())
}

async fn record(provision: &Provision, request: &Request, next: &Next) -> Result<(), Error> {
    let (key, from, to) = (next.keys.which(), next.from.to_string(), next.to.to_string());
    let attempt = Attempt::to("keys_rotate").with_object(&key.slug());
    provision
        .change(request, attempt, move |hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::ManageInstallation)?;
                let rotated = hand.action(ActionType::KeyRotated).object(key.slug());
                Hand::done((), rotated.detail("version", Some(&from), Some(&to)), Effects::default())
            })
        })
        .await
}

impl Provision {
    /// Moves what is under older versions of the keys, in the background, until nothing is left to move. To be called
    /// at the start too: an earlier process may have been ended on the way.
    pub fn move_to_new_keys(&self) {
        let provision = self.clone();
        tokio::spawn(async move {
            // After whoever moves already, for that one may be past what is to be moved now.
            let _turn = provision.0.moving.lock().await;
            if let Err(error) = provision.wrap_anew().await {
                tracing::error!(%error, "data keys stay under an old version of the master key until the next start or rotation");
            }
            if let Err(error) = provision.judge_anew().await {
                tracing::warn!(%error, "tokens stay under an old pepper until they are judged again");
            }
        });
    }

    async fn wrap_anew(&self) -> Result<(), Error> {
        let parts = &self.0;
        let mut moved = 0_u64;
        loop {
            let Some(newest) = parts.keyring.newest() else { return Ok(()) };
            let mut reader = parts.store.read().await?;
            let older = reader.master_uses().await?.into_iter().find(|used| used.version < newest);
            let Some(older) = older else {
                drop(reader);
                if moved > 0 {
                    let action = Action::new(ActionType::KeyRotationCompleted, Actor::Locum).because("E2");
                    let action = action.object(VersionedKey::Master.slug());
                    parts.store.record(vec![action.detail("version", None, Some(&newest.0.to_string()))]).await?;
                    tracing::info!(moved, version = newest.0, "every data key is wrapped under the new master key");
                }
                return Ok(());
            };
            let batch = reader.data_keys_under(older.version, BATCH).await?;
            drop(reader);
            let mut wrapped = Vec::with_capacity(batch.len());
            for (id, key) in batch {
                wrapped.push((id, older.version, parts.keyring.rewrap(id, &key, &*parts.random)?));
            }
            moved += wrapped.len() as u64;
            parts.store.bookkeeping().rewrap(wrapped).await?;
            #[cfg(feature = "failpoints")]
            tokio::task::spawn_blocking(|| fail::fail_point!("keys::rewrapped"))
                .await
                .map_err(|_| Error::Interrupted)?;
        }
    }

    /// Lets the tokens that are under an older pepper be judged again when they are used next, though they are known:
    /// whoever judges one moves it.
    async fn judge_anew(&self) -> Result<(), StoreError> {
        let newest = self.0.peppers.newest();
        let mut after = AccountId::from_bytes([0; 16]);
        loop {
            let accounts = self.0.store.read().await?.accounts_under_older(newest, after, ACCOUNTS).await?;
            let Some(last) = accounts.last() else { return Ok(()) };
            after = *last;
            for account in accounts {
                self.0.subjects.widen(account);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
