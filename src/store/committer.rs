//! The one task that writes: it takes what waits, runs it in one transaction, and commits once.
//!
//! A commit that survives the loss of power costs a flush of the disk, whatever is in it. So everything
//! that waits is written together: each job behind its own savepoint, so that one that fails takes
//! nothing else along. The order within a group:
//!
//! 1. lock the head row, which makes all writers of a database, on all nodes, one after another;
//! 2. run every job;
//! 3. append the actions to the chain, raise the epoch if something changed, commit;
//! 4. only then answer. A job whose rule said no waits too: it may have been refused because of what
//!    another one of its group wrote.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::append::append;
use super::connection::{Durability, Purpose, Source};
use super::error::StoreError;
use super::job::{Effect, Job, Message};
use super::session::{Head, Session};
use super::writer::Writer;
use crate::clock::Clock;
use crate::history::Action;

/// How many jobs are committed together at most: what bounds the wait of the first.
const LARGEST_GROUP: usize = 256;

/// What was written since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) commits: AtomicU64,
    /// Those that survive the loss of power.
    pub(crate) durable: AtomicU64,
    pub(crate) jobs: AtomicU64,
}

pub(crate) struct Committer {
    source: Source,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    written: Arc<Written>,
    /// Absent before the first group, and after a connection was given up.
    writer: Option<Writer>,
    /// The disk was full: before the next group, SQLite's log is worth emptying.
    full: bool,
}

/// What a group came to: for each job whether it changed something, or why it could not be kept.
struct Group {
    each: Vec<Result<bool, StoreError>>,
    epoch: u64,
}

/// What a group collects while its jobs run.
#[derive(Default)]
struct Collected {
    each: Vec<Result<bool, StoreError>>,
    /// In their order, with whether they tell of a change.
    actions: Vec<(Action, bool)>,
    changed: bool,
    booked: bool,
    tripped: bool,
}

impl Committer {
    pub(crate) fn new(source: Source, timeout: Duration, clock: Arc<dyn Clock>, written: Arc<Written>) -> Self {
        Self { source, timeout, clock, written, writer: None, full: false }
    }

    /// Writes until the store is closed or nobody can send any more.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(first) = messages.recv().await {
            let mut jobs = Vec::new();
            let mut end = None;
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Message::Job(job) => jobs.push(job),
                    Message::Close(closed) => end = Some(closed),
                }
                if end.is_none() && jobs.len() < LARGEST_GROUP {
                    next = messages.try_recv().ok();
                }
            }
            if !jobs.is_empty() {
                self.write(jobs).await;
            }
            if let Some(closed) = end {
                messages.close();
                while let Some(message) = messages.recv().await {
                    if let Message::Job(job) = message {
                        job.answer(Err(StoreError::Closed));
                    }
                }
                self.end().await;
                // whoever closes may have gone away
                let _gone = closed.send(());
                return;
            }
        }
        self.end().await;
    }

    /// Writes one group, and answers everybody in it.
    async fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.transact(&mut jobs).await {
            Ok(group) => {
                self.written.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
                for (job, own) in jobs.into_iter().zip(group.each) {
                    job.answer(own.map(|changed| changed.then_some(group.epoch)));
                }
            }
            Err(error) => {
                // nobody knows where the transaction stands: the connection goes, and it with it
                self.writer = None;
                self.full = matches!(error, StoreError::Full { .. });
                tracing::warn!(%error, jobs = jobs.len(), "a group of operations was not written");
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    async fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Group, StoreError> {
        let mut durability =
            if jobs.iter().all(|job| job.is_booking()) { Durability::Process } else { Durability::Power };
        loop {
            let head = self.begin(durability).await?;
            let (timeout, clock) = (self.timeout, Arc::clone(&self.clock));
            let writer = self.writer.as_mut().ok_or(StoreError::Closed)?;
            let mut collected = Collected::default();
            for job in jobs.iter_mut() {
                run_in_savepoint(writer, job.as_mut(), timeout, &mut collected).await?;
            }
            if !collected.changed && !collected.booked && collected.actions.is_empty() {
                writer.script("ROLLBACK").await?;
                return Ok(Group { each: collected.each, epoch: head.epoch });
            }
            if collected.tripped && durability == Durability::Process {
                // only bookings are in such a group, and they can be run again
                writer.script("ROLLBACK").await?;
                durability = Durability::Power;
                continue;
            }
            let epoch = append(writer, head, collected.actions, collected.changed, clock.now()).await?;
            commit(writer).await?;
            self.written.commits.fetch_add(1, Ordering::Relaxed);
            self.written.durable.fetch_add(u64::from(durability == Durability::Power), Ordering::Relaxed);
            return Ok(Group { each: collected.each, epoch });
        }
    }

    /// Begins a transaction and locks the head row. A connection that broke while nobody used it is
    /// replaced once: nothing was done on it yet.
    async fn begin(&mut self, durability: Durability) -> Result<Head, StoreError> {
        self.source.place().still_there().await?;
        if let Some(writer) = self.writer.as_mut() {
            match begin_on(writer, durability).await {
                Err(_) if !writer.is_sound() => self.writer = None,
                answer => return answer,
            }
        }
        let connecting = tokio::time::timeout(self.timeout, self.source.connect(Purpose::Write));
        let place = self.source.place();
        let connection = match connecting.await {
            Err(_) => return Err(StoreError::TimedOut { place: place.name(), after: self.timeout }),
            Ok(Err(error)) => return Err(place.explain(&error)),
            Ok(Ok(connection)) => connection,
        };
        let mut writer = Writer::new(Session::new(connection, place.clone(), self.timeout));
        if std::mem::take(&mut self.full) && writer.is_sqlite() {
            // The log can be the larger part of what fills the disk. Where even this needs room, the
            // group that follows says so.
            if let Err(error) = writer.script("PRAGMA wal_checkpoint(TRUNCATE)").await {
                tracing::debug!(%error, "the log could not be emptied");
            }
        }
        begin_on(self.writer.insert(writer), durability).await
    }

    /// Closes the connection in order; SQLite's log is taken into the database by that.
    async fn end(&mut self) {
        let Some(writer) = self.writer.take() else { return };
        if let Err(error) = writer.into_session().into_connection().close(self.timeout).await {
            tracing::warn!(%error, "the writing connection did not close in order: what was committed is kept");
        }
    }
}

async fn begin_on(writer: &mut Writer, durability: Durability) -> Result<Head, StoreError> {
    writer.take_failure();
    writer.survive(durability).await?;
    writer.begin().await?;
    let head = writer.lock_head().await?;
    writer.script("SAVEPOINT job").await?;
    Ok(head)
}

/// Runs one job behind its savepoint, which is set already, and sets the next one's.
///
/// # Errors
/// Only when the whole group is lost: the connection broke, or the database ended the transaction.
async fn run_in_savepoint(
    writer: &mut Writer,
    job: &mut dyn Job,
    timeout: Duration,
    collected: &mut Collected,
) -> Result<(), StoreError> {
    let running = AssertUnwindSafe(job.run(writer)).catch_unwind();
    let ran = match tokio::time::timeout(timeout, running).await {
        Ok(Ok(ran)) => ran,
        Ok(Err(_panic)) => Err(StoreError::Panicked),
        Err(_) => Err(StoreError::TimedOut { place: writer.place().name(), after: timeout }),
    };
    // A statement that failed counts, even where the job went on: PostgreSQL has given up on the
    // transaction then, and SQLite has to behave alike.
    let failed = writer.take_failure();
    let refused = matches!(ran, Ok(Effect::Nothing));
    let effect = match (ran, failed) {
        (Err(error), _) => Err(error),
        // its own answer tells of the failure better
        (Ok(Effect::Nothing), _) => Ok(Effect::Nothing),
        (Ok(_), Some(failure)) => Err(failure),
        (Ok(effect), None) => demand_actors(effect),
    };
    if !writer.is_sound() {
        return Err(effect.err().unwrap_or(StoreError::Unreachable {
            place: writer.place().name(),
            why: "the connection broke".to_owned(),
        }));
    }
    if refused || effect.is_err() {
        if let Err(lost) = writer.script("ROLLBACK TO SAVEPOINT job").await {
            // the database ended the transaction by itself: a full disk does that
            return Err(effect.err().unwrap_or(lost));
        }
    } else {
        writer.script("RELEASE SAVEPOINT job; SAVEPOINT job").await?;
    }
    collected.add(effect);
    Ok(())
}

/// H4: who can be the actor of a type is fixed.
fn demand_actors(effect: Effect) -> Result<Effect, StoreError> {
    let actions = match &effect {
        Effect::Changed(actions) => actions.as_slice(),
        Effect::Recorded(actions) => actions.as_slice(),
        Effect::Booked { .. } | Effect::Nothing => &[],
    };
    match actions.iter().find(|action| !action.kind.allows(&action.actor)) {
        Some(wrong) => Err(StoreError::Actor { kind: wrong.kind.slug(), actor: wrong.actor.to_stored() }),
        None => Ok(effect),
    }
}

impl Collected {
    fn add(&mut self, effect: Result<Effect, StoreError>) {
        let own = effect.map(|effect| match effect {
            Effect::Changed(actions) => {
                self.actions.extend(actions.as_slice().iter().map(|action| (action.clone(), true)));
                self.changed = true;
                true
            }
            Effect::Recorded(actions) => {
                self.actions.extend(actions.into_iter().map(|action| (action, false)));
                false
            }
            Effect::Booked { trip } => {
                self.booked = true;
                self.tripped |= trip;
                false
            }
            Effect::Nothing => false,
        });
        self.each.push(own);
    }
}

/// Commits, and makes sure that what was committed can be found again.
async fn commit(writer: &mut Writer) -> Result<(), StoreError> {
    match writer.script("COMMIT").await {
        Ok(()) => writer.place().still_there().await,
        // the database said that it did not
        Err(error @ (StoreError::Full { .. } | StoreError::Locked { .. } | StoreError::Rule { .. })) => Err(error),
        Err(error) => {
            tracing::error!(%error, "a commit ended without an answer that can be trusted");
            Err(StoreError::InDoubt { place: writer.place().name() })
        }
    }
}
