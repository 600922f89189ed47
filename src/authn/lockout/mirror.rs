//! The store's copy of what Redis counts, a moment behind.
//!
//! Redis forgets: at a failover, a flush, a restart without its file. The copy is what the store
//! counts on from (L7), and what Redis is filled from again (L2). For each step the *current* streak is
//! copied, not the step: so it does not matter that steps arrive here in another order than Redis took
//! them, and a hundred failures of one account are one write. Only when Redis cannot be asked any more
//! are the steps themselves replayed, in the order of their answers.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::books::within_patience;
use super::{Parts, Trip};
use crate::cluster::Unavailable;
use crate::directory::lockout::{Attempt, Counted, Streak};
use crate::directory::{AccountId, Life};

/// How many steps are copied together.
const BATCH: usize = 512;

/// A step that Redis took.
pub(super) enum Copy {
    Failed {
        account: AccountId,
        life: Life,
        attempt: Attempt,
    },
    Cleared {
        account: AccountId,
        life: Life,
        done: oneshot::Sender<()>,
    },
    /// No step: the copy is in doubt, and Redis is right.
    Again {
        account: AccountId,
        life: Life,
    },
    /// No step; answered when everything before it is copied.
    Flush(oneshot::Sender<()>),
}

/// The steps of one account, in the order of their answers.
#[derive(Default)]
struct Steps(Vec<Step>);

enum Step {
    Failed(Life, Attempt),
    Cleared(Life),
    Again(Life),
}

/// Copies for as long as the lockout lives.
pub(super) async fn run(parts: Arc<Parts>, mut copies: mpsc::Receiver<Copy>) {
    let mut batch = Vec::with_capacity(BATCH);
    while copies.recv_many(&mut batch, BATCH).await > 0 {
        let mut accounts: HashMap<AccountId, Steps> = HashMap::new();
        let mut waiting = Vec::new();
        for copy in batch.drain(..) {
            match copy {
                Copy::Failed { account, life, attempt } => {
                    accounts.entry(account).or_default().0.push(Step::Failed(life, attempt));
                }
                Copy::Cleared { account, life, done } => {
                    accounts.entry(account).or_default().0.push(Step::Cleared(life));
                    waiting.push(done);
                }
                Copy::Again { account, life } => {
                    accounts.entry(account).or_default().0.push(Step::Again(life));
                }
                Copy::Flush(done) => waiting.push(done),
            }
        }
        for (account, steps) in accounts {
            if let Err(error) = copy_one(&parts, account, steps).await {
                tracing::warn!(%account, %error, "the store has no copy of this account's failures");
            }
        }
        for done in waiting {
            // Whoever waits no longer has no need of the answer.
            let _gone = done.send(());
        }
    }
}

async fn copy_one(parts: &Parts, account: AccountId, steps: Steps) -> Result<(), Unavailable> {
    let current = match parts.books.counting_redis() {
        Some(redis) => redis.streak(account).await,
        None => Err(Unavailable::Broken),
    };
    match current {
        Ok(current) => copy_current(parts, account, steps, current).await,
        Err(_) => replay(parts, account, steps).await,
    }
}

/// Makes the copy what Redis has now.
async fn copy_current(
    parts: &Parts,
    account: AccountId,
    steps: Steps,
    current: Option<Streak>,
) -> Result<(), Unavailable> {
    let cleared = steps.0.iter().rev().find_map(|step| match step {
        Step::Cleared(life) | Step::Again(life) => Some(*life),
        Step::Failed(..) => None,
    });
    if let Some(life) = cleared {
        within_patience(parts.books.store().succeed(account, life)).await?;
    }
    match current {
        Some(streak) => join(parts, account, &streak).await,
        None => Ok(()),
    }
}

async fn replay(parts: &Parts, account: AccountId, steps: Steps) -> Result<(), Unavailable> {
    for step in steps.0 {
        match step {
            Step::Failed(life, attempt) => {
                let one = Streak { life, attempts: vec![attempt], tripped_at: None };
                join(parts, account, &one).await?;
            }
            Step::Cleared(life) => {
                within_patience(parts.books.store().succeed(account, life)).await?;
            }
            // Redis cannot be asked: what the store has is the best that there is.
            Step::Again(_) => {}
        }
    }
    Ok(())
}

/// Joins into the store. Where Redis had forgotten something, the union may be what trips.
async fn join(parts: &Parts, account: AccountId, streak: &Streak) -> Result<(), Unavailable> {
    let threshold = parts.settings().threshold;
    let joined = within_patience(parts.books.store().join(account, streak, threshold)).await?;
    if let Counted::Tripped(attempts) = joined {
        parts.shut(Trip { account, life: streak.life, attempts });
    }
    Ok(())
}
