//! What waits to be written: jobs, each with its way to run and its way to be answered.
//!
//! Three kinds: a change (a closure with a transaction in its hand), a record (actions without a
//! change), a booking (counts). Whoever asked may go away: the job runs to its end all the same.

use std::fmt;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::bookkeeping::{Booked, Booking, book};
use super::error::{ChangeError, StoreError};
use super::writer::Writer;
use crate::history::{Action, Actions};

/// What a change came to.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Something changed, and these actions tell of it: one cannot be said without the other (H1).
    Changed(T, Actions),
    /// Nothing is to be kept, whatever was written meanwhile.
    Unchanged(T),
}

/// The answer to a change that is in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed<T> {
    pub value: T,
    /// The epoch of the commit that it came with; `None` when nothing changed.
    pub epoch: Option<u64>,
}

/// What a job did inside its savepoint.
#[derive(Debug)]
pub(crate) enum Effect {
    Changed(Actions),
    Recorded(Vec<Action>),
    Booked {
        /// Has to survive the loss of power.
        trip: bool,
    },
    /// Nothing is kept of it: it was unchanged, or its own rule said no.
    Nothing,
}

/// How a job ended: the epoch, where it changed something.
pub(crate) type End = Result<Option<u64>, StoreError>;

pub(crate) trait Job: Send {
    /// Runs inside a savepoint. Only a booking may be run again, when its group is.
    fn run<'w>(&'w mut self, writer: &'w mut Writer) -> BoxFuture<'w, Result<Effect, StoreError>>;

    fn is_booking(&self) -> bool;

    fn answer(self: Box<Self>, end: End);
}

/// What goes through the queue.
pub(crate) enum Message {
    Job(Box<dyn Job>),
    /// The last one: what waits before it is written, what comes after is refused.
    Close(oneshot::Sender<()>),
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Job(_) => "Message::Job",
            Self::Close(_) => "Message::Close",
        })
    }
}

/// A change, before and after it ran.
pub(crate) struct Change<F, T, E> {
    operation: Option<F>,
    result: Option<Result<T, E>>,
    asker: oneshot::Sender<Result<Committed<T>, ChangeError<E>>>,
}

type Answer<T, E> = oneshot::Receiver<Result<Committed<T>, ChangeError<E>>>;

impl<F, T, E> Change<F, T, E> {
    pub(crate) fn new(operation: F) -> (Self, Answer<T, E>) {
        let (asker, answer) = oneshot::channel();
        (Self { operation: Some(operation), result: None, asker }, answer)
    }
}

impl<F, T, E> Job for Change<F, T, E>
where
    F: for<'w> FnOnce(&'w mut Writer) -> BoxFuture<'w, Result<Outcome<T>, E>> + Send,
    T: Send,
    E: Send,
{
    fn run<'w>(&'w mut self, writer: &'w mut Writer) -> BoxFuture<'w, Result<Effect, StoreError>> {
        Box::pin(async move {
            let Some(operation) = self.operation.take() else { return Ok(Effect::Nothing) };
            let (result, effect) = match operation(writer).await {
                Ok(Outcome::Changed(value, actions)) => (Ok(value), Effect::Changed(actions)),
                Ok(Outcome::Unchanged(value)) => (Ok(value), Effect::Nothing),
                Err(refusal) => (Err(refusal), Effect::Nothing),
            };
            self.result = Some(result);
            Ok(effect)
        })
    }

    fn is_booking(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, end: End) {
        let answer = match (end, self.result) {
            // a refusal too: what it was based on may be what was not committed
            (Err(error), _) => Err(ChangeError::Store(error)),
            (Ok(_), Some(Err(refusal))) => Err(ChangeError::Rule(refusal)),
            (Ok(epoch), Some(Ok(value))) => Ok(Committed { value, epoch }),
            (Ok(_), None) => Err(ChangeError::Store(StoreError::Panicked)),
        };
        // whoever asked may have gone away
        let _gone = self.asker.send(answer);
    }
}

/// Actions without a change, such as a refused operation (H1).
pub(crate) struct Record {
    pub(crate) actions: Vec<Action>,
    pub(crate) asker: oneshot::Sender<Result<(), StoreError>>,
}

impl Job for Record {
    fn run<'w>(&'w mut self, _writer: &'w mut Writer) -> BoxFuture<'w, Result<Effect, StoreError>> {
        let actions = std::mem::take(&mut self.actions);
        Box::pin(async move { Ok(Effect::Recorded(actions)) })
    }

    fn is_booking(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, end: End) {
        let _gone = self.asker.send(end.map(|_| ()));
    }
}

pub(crate) struct Book {
    pub(crate) booking: Booking,
    pub(crate) booked: Option<Booked>,
    pub(crate) asker: oneshot::Sender<Result<Booked, StoreError>>,
}

impl Job for Book {
    fn run<'w>(&'w mut self, writer: &'w mut Writer) -> BoxFuture<'w, Result<Effect, StoreError>> {
        Box::pin(async move {
            let booked = book(writer, &self.booking).await?;
            let trip = booked.is_trip();
            self.booked = Some(booked);
            Ok(Effect::Booked { trip })
        })
    }

    fn is_booking(&self) -> bool {
        true
    }

    fn answer(self: Box<Self>, end: End) {
        let Self { booked, asker, .. } = *self;
        let _gone = asker.send(end.and_then(|_| booked.ok_or(StoreError::Panicked)));
    }
}
