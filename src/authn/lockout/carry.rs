//! Carries trips into the directory: one after another, again and again until each is committed.
//!
//! The counts know of the trip already, and this node refuses already; what is missing is the truth.
//! So a trip that cannot be written now is tried again, and one that was lost with a process is found
//! in the counts by the next.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::Parts;
use crate::directory::lockout::Attempt;
use crate::directory::{AccountId, Life};

/// An account that failed too often in a row in one of its lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    pub account: AccountId,
    pub life: Life,
    /// The attempts of the streak, in their order; their addresses go into the history (L1).
    pub attempts: Vec<Attempt>,
}

pub type CarryOutError = Box<dyn Error + Send + Sync>;

/// Writes a trip into the directory. Has to be repeatable: for a trip of an earlier life, or of an
/// account that is inactive or gone, it does nothing and succeeds.
pub type CarryOut = Arc<dyn Fn(Trip) -> BoxFuture<'static, Result<(), CarryOutError>> + Send + Sync>;

/// How long one try may take.
const TRY: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What is to be done.
pub(super) enum Errand {
    Trip(Trip),
    /// The counts say that the account tripped in this life; by what, they have to be asked.
    Recover(AccountId, Life),
}

/// How much is not in the directory yet.
#[derive(Default)]
pub(super) struct Unfinished {
    waiting: AtomicUsize,
    lost_sight: AtomicBool,
}

impl Unfinished {
    pub(super) fn count(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Some trip found no place in the queue: the counts have to be looked through.
    pub(super) fn look_again(&self) {
        self.lost_sight.store(true, Ordering::Release);
    }

    pub(super) fn take_lost_sight(&self) -> bool {
        self.lost_sight.swap(false, Ordering::AcqRel)
    }

    pub(super) fn began(&self) {
        Self::note(self.waiting.fetch_add(1, Ordering::Relaxed) + 1);
    }

    fn done(&self) {
        Self::note(self.waiting.fetch_sub(1, Ordering::Relaxed) - 1);
    }

    fn note(waiting: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge; the queue is bounded far below 2^52")]
        metrics::gauge!("locum_lockouts_unfinished").set(waiting as f64);
    }
}

/// Works through the errands for as long as the lockout lives.
pub(super) async fn run(parts: Arc<Parts>, mut errands: mpsc::Receiver<Errand>, carry_out: CarryOut) {
    let mut waiting = VecDeque::new();
    // In which life an account was last shut from here: one trip may come by several ways.
    let mut carried = HashMap::new();
    let mut pause = FIRST_PAUSE;
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            biased;
            // New errands join the round, so that one that cannot be done holds up nobody; as many
            // as the queue takes.
            errand = errands.recv(), if waiting.len() < super::TRIPS_WAITING => match errand {
                Some(errand) => waiting.push_back(errand),
                None => return,
            },
            () = sleep_until(not_before), if !waiting.is_empty() => {
                let Some(errand) = waiting.pop_front() else { continue };
                let (account, life) = errand.names();
                let done = carried.get(&account).is_some_and(|last| *last >= life);
                match if done { Ok(()) } else { one(&parts, &carry_out, &errand).await } {
                    Ok(()) => {
                        parts.unfinished.done();
                        carried.entry(account).and_modify(|last| *last = life.max(*last)).or_insert(life);
                        (pause, not_before) = (FIRST_PAUSE, Instant::now());
                    }
                    Err(error) => {
                        tracing::error!(%account, %error, "a lockout is not in the directory yet; trying again");
                        waiting.push_back(errand);
                        not_before = Instant::now() + pause;
                        pause = LONGEST_PAUSE.min(pause * 2);
                    }
                }
            }
        }
    }
}

async fn one(parts: &Parts, carry_out: &CarryOut, errand: &Errand) -> Result<(), CarryOutError> {
    let trip = match errand {
        Errand::Trip(trip) => trip.clone(),
        Errand::Recover(account, life) => {
            // Where neither book knows the attempts any more, the account is shut without them.
            let attempts = parts.books.tripped(*account, *life).await?.unwrap_or_default();
            Trip { account: *account, life: *life, attempts }
        }
    };
    // The point between the trip and the database at which a fault test stops the program (AU-040).
    // Off the async threads, so that a test that holds it there holds nothing else.
    #[cfg(feature = "failpoints")]
    tokio::task::spawn_blocking(|| fail::fail_point!("lockout::tripped")).await?;
    timeout(TRY, carry_out(trip)).await.map_err(|_| "it took too long")?
}

impl Errand {
    /// Whom it is about, and in which life.
    const fn names(&self) -> (AccountId, Life) {
        match self {
            Self::Trip(trip) => (trip.account, trip.life),
            Self::Recover(account, life) => (*account, *life),
        }
    }
}
