//! The control side of authorisation: role sets, resolved on demand and kept in moka (R1).
//!
//! Whoever resolves takes the moment before it reads and the stamp after; a reading that raced with a
//! change is discarded and done again, so that an old answer is never kept as a new one. Several who
//! ask for one account share one reading, and each of them looks at the stamp by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::handle::{self, Authz, Question, Settings};
use super::in_force::{InForce, Resolution, Withdrawn};
use crate::cluster::{Stamp, Subjects};
use crate::directory::{Account, AccountId, LegacyName, RoleSet};
use crate::seal::{Keyring, SealError};
use crate::store::{Store, StoreError};

/// How often an account is read anew because it changed while it was read.
const READINGS: u32 = 4;

/// Makes both sides: the handle for the data plane, and what answers its questions.
pub fn build(settings: Settings, store: Store, subjects: Subjects, keyring: Keyring) -> (Authz, RoleSets) {
    let (parallel, remembered) = (settings.parallel, settings.remembered);
    let (authz, questions) = handle::open(settings);
    let known = moka::future::Cache::new(u64::try_from(remembered).unwrap_or(u64::MAX));
    let resolver = Arc::new(Resolver { store, subjects, keyring, known });
    (authz, RoleSets { resolver, questions, parallel })
}

/// Answers the questions of the data plane. Runs on the control runtime, where the store's sockets
/// belong.
#[derive(Debug)]
pub struct RoleSets {
    resolver: Arc<Resolver>,
    questions: mpsc::Receiver<Question>,
    parallel: usize,
}

impl RoleSets {
    /// Answers until every handle is gone, and finishes what is under way.
    pub async fn run(self) {
        let Self { resolver, mut questions, parallel } = self;
        let permits = Arc::new(Semaphore::new(parallel));
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                question = questions.recv() => {
                    let Some(Question { account, answer }) = question else { break };
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
                    let resolver = Arc::clone(&resolver);
                    under_way.spawn(async move {
                        // Whoever asked may have gone; then nobody needs the answer.
                        let _nobody_listens = answer.send(resolver.resolve(account).await);
                        drop(permit);
                    });
                }
                Some(done) = under_way.join_next() => report(done),
            }
        }
        while let Some(done) = under_way.join_next().await {
            report(done);
        }
    }
}

fn report(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "a resolution came to no end");
    }
}

#[derive(Debug)]
struct Resolver {
    store: Store,
    subjects: Subjects,
    keyring: Keyring,
    known: moka::future::Cache<AccountId, Arc<InForce>>,
}

/// Why there is nothing to keep.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the account may do nothing: {}", .0.slug())]
    Withdrawn(Withdrawn),
    #[error("the account changed while it was read")]
    Raced,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Resolver {
    async fn resolve(&self, account: AccountId) -> Resolution {
        for _ in 0..READINGS {
            if let Some(known) = self.known.get(&account).await {
                if known.stamp.holds() {
                    return Resolution::InForce(known);
                }
                self.known.invalidate(&account).await;
            }
            match self.known.try_get_with(account, self.read(account)).await {
                // A reading that was shared may have begun before a change that this one began after.
                Ok(read) if read.stamp.holds() => return Resolution::InForce(read),
                Ok(_) => {}
                Err(failure) => match &*failure {
                    Failure::Withdrawn(why) => return Resolution::Withdrawn(*why),
                    Failure::Raced => {}
                    fault @ (Failure::Store(_) | Failure::Seal(_)) => {
                        tracing::error!(error = %fault, "a role set could not be resolved");
                        return Resolution::Unavailable;
                    }
                },
            }
        }
        tracing::error!(%account, "the account changed {READINGS} times while it was read");
        Resolution::Unavailable
    }

    async fn read(&self, id: AccountId) -> Result<Arc<InForce>, Failure> {
        let moment = self.subjects.moment();
        let mut reader = self.store.read().await?;
        let found = reader.principal(id).await?;
        let found = found.ok_or(Failure::Withdrawn(Withdrawn::Gone))?;
        demand_active(&found.account, found.owner.as_ref())?;
        let owner = found.account.kind.owner();
        // Another picture than the one before, and the same answer all the same: a change between the two is a race.
        let sealed = reader.personal(owner.unwrap_or(id)).await?;
        let linked = reader.legacy_names(owner.unwrap_or(id)).await?;
        drop(reader);
        let mut person = sealed.map(|sealed| sealed.open(&self.keyring)).transpose()?.unwrap_or_default();
        person.phone = None;
        let mut legacy_names = BTreeMap::new();
        for linked in linked {
            let name = linked.open(&self.keyring)?;
            let name = LegacyName::parse(&name).map_err(|_| SealError::Damaged("legacy_names"))?;
            legacy_names.insert(linked.app, name);
        }
        let stamp = Stamp::since(&self.subjects, moment, id, owner).ok_or(Failure::Raced)?;
        // A proxy user without its owner's holdings is capped to nothing, never to everything (P5).
        let cap = owner.map(|_| found.owners.unwrap_or_default());
        let roles = RoleSet::resolve(&found.own, cap.as_ref(), &found.definitions);
        Ok(Arc::new(InForce { account: found.account, owner: found.owner, roles, person, legacy_names, stamp }))
    }
}

/// An inactive account, or one whose owner is inactive or missing, holds nothing (P10, P13).
fn demand_active(account: &Account, owner: Option<&Account>) -> Result<(), Failure> {
    if !account.state.is_active() {
        return Err(Failure::Withdrawn(Withdrawn::Inactive));
    }
    let is_proxy = account.kind.owner().is_some();
    if is_proxy && !owner.is_some_and(|owner| owner.state.is_active()) {
        return Err(Failure::Withdrawn(Withdrawn::OwnerInactive));
    }
    Ok(())
}
