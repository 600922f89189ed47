//! What refusals leave behind, written off the response's path: counted failures as actions, in
//! batches; what an owner has to be told, once an hour; and the rest summed per source and minute, so
//! that junk cannot fill the database (L4, L6).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::judgement::Told;
use super::sources::Prefix;
use super::verdict::RefusalReason;
use crate::clock::{Clock, Timestamp};
use crate::directory::{AccountId, Actor, PublicId};
use crate::history::{Action, ActionType};
use crate::store::Store;

const QUEUE: usize = 1024;
const BATCH: usize = 1024;
/// When batches are written: on ticks of the process's own, not so long after an attempt. A commit that
/// waits for the disk delays what is counted meanwhile, and when it does must tell nothing about whose
/// failure is being written.
const WRITTEN: Duration = Duration::from_millis(250);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const SUMMED: Duration = Duration::from_mins(1);
/// Sources and reasons that are summed apart; what comes on top is summed together.
const SUMS: usize = 1024;
/// How often one token's owner is told of one thing.
const TOLD_EVERY: Duration = Duration::from_hours(1);
const TOLD_REMEMBERED: usize = 16 * 1024;
const TRIES: u32 = 5;

/// One thing to be written down.
#[derive(Debug)]
pub(super) enum Note {
    /// A counted failure: the account, how many are on record with it, and from where.
    Counted {
        account: AccountId,
        reason: RefusalReason,
        pat: Option<PublicId>,
        on_record: u32,
        address: Option<IpAddr>,
    },
    Told {
        told: Told,
        pat: PublicId,
        address: Option<IpAddr>,
    },
    /// A failure of a source that is nobody's attempt.
    Aside {
        reason: RefusalReason,
        address: Option<IpAddr>,
    },
}

/// Where notes are handed in.
#[derive(Debug, Clone)]
pub(super) struct Journal(mpsc::Sender<Note>);

/// Writes the notes down.
#[derive(Debug)]
pub(super) struct Writer {
    notes: mpsc::Receiver<Note>,
    store: Store,
    clock: Arc<dyn Clock>,
    actions: Vec<Action>,
    sums: HashMap<(Option<Prefix>, &'static str), u64>,
    told: quick_cache::unsync::Cache<(Told, PublicId), Timestamp>,
}

pub(super) fn open(store: Store, clock: Arc<dyn Clock>) -> (Journal, Writer) {
    let (hand_in, notes) = mpsc::channel(QUEUE);
    let told = quick_cache::unsync::Cache::new(TOLD_REMEMBERED);
    let writer = Writer { notes, store, clock, actions: Vec::new(), sums: HashMap::new(), told };
    (Journal(hand_in), writer)
}

impl Journal {
    /// Hands a note in; waits while the queue is full, so it is called after the answer was given. What
    /// is only summed does not wait: its metric has counted it already.
    pub(super) async fn note(&self, note: Note) {
        let handed_in = match note {
            Note::Aside { .. } => self.0.try_send(note).is_ok(),
            Note::Counted { .. } | Note::Told { .. } => self.0.send(note).await.is_ok(),
        };
        if !handed_in {
            metrics::counter!("locum_refusal_notes_dropped_total").increment(1);
        }
    }
}

impl Writer {
    /// Writes until everybody who hands notes in is gone, and then what is left.
    pub(super) async fn run(mut self) {
        let mut minute = interval(SUMMED);
        let mut tick = interval(WRITTEN);
        minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Purposefully not read while a batch is full: then whoever hands in waits for the tick.
            let room = self.actions.len() < BATCH;
            tokio::select! {
                note = self.notes.recv(), if room => match note {
                    None => break,
                    Some(note) => self.take(&note),
                },
                _ = tick.tick() => self.write().await,
                _ = minute.tick() => self.sum_up(),
            }
        }
        self.write().await;
        self.sum_up();
    }

    fn take(&mut self, note: &Note) {
        match *note {
            Note::Counted { account, reason, pat, on_record, address } => {
                let mut action = Action::new(ActionType::AttemptFailed, Actor::Locum)
                    .to(account)
                    .because("L1")
                    .from_address(address)
                    .detail("reason", None, Some(reason.slug()))
                    .detail("failures", None, Some(&on_record.to_string()));
                if let Some(pat) = pat {
                    action = action.object(pat.as_str());
                }
                self.actions.push(action);
            }
            Note::Told { told, pat, address } => self.tell(told, pat, address),
            Note::Aside { reason, address } => {
                let key = (Some(Prefix::of(address)), reason.slug());
                let room = self.sums.len() < SUMS || self.sums.contains_key(&key);
                *self.sums.entry(if room { key } else { (None, reason.slug()) }).or_default() += 1;
            }
        }
    }

    fn tell(&mut self, told: Told, pat: PublicId, address: Option<IpAddr>) {
        let now = self.clock.now();
        if self.told.get(&(told, pat)).is_some_and(|last| now.since(*last) < TOLD_EVERY) {
            return;
        }
        self.told.insert((told, pat), now);
        let (kind, cause, account) = match told {
            Told::Stale(account) => (ActionType::StaleCredential, "L6", account),
            Told::OutsideNetworks(account) => (ActionType::OutsideNetworks, "L10", account),
        };
        let action = Action::new(kind, Actor::Locum).to(account).because(cause);
        self.actions.push(action.object(pat.as_str()).from_address(address));
    }

    /// Writes the batch, trying again while the store is away; what cannot be written stands in the log.
    async fn write(&mut self) {
        if self.actions.is_empty() {
            return;
        }
        let actions = std::mem::take(&mut self.actions);
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            match self.store.record(actions.clone()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, attempt, actions = actions.len(), "counted failures could not be written");
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
            }
        }
        metrics::counter!("locum_refusal_notes_dropped_total")
            .increment(u64::try_from(actions.len()).unwrap_or(u64::MAX));
        for action in actions {
            tracing::error!(?action, "an action is missing from the history");
        }
    }

    fn sum_up(&mut self) {
        for ((source, reason), attempts) in self.sums.drain() {
            let source = source.map_or_else(|| "others".to_owned(), |source| source.to_string());
            tracing::info!(source, reason, attempts, "refused attempts of the last minute");
        }
    }
}
