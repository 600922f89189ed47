//! The writer: what a change can do inside its transaction.
//!
//! Only [`Store::change`](super::Store::change) lends one, and it commits nothing without actions
//! (H1). Nothing here begins or ends a transaction: that is the business of `committer`.

#![expect(clippy::missing_errors_doc, reason = "every query fails in the ways of `StoreError`, which tells them")]

mod accounts;
mod administrators;
mod api_keys;
mod jobs;
mod legacy_names;
mod records;
mod sealed;
mod tokens;

use std::ops::{Deref, DerefMut};

pub use accounts::{Applied, ApplyContext};

use super::session::Session;

/// A transaction that writes. It reads with all the queries of [`Session`].
#[derive(Debug)]
pub struct Writer {
    session: Session,
}

impl Writer {
    pub(crate) const fn new(session: Session) -> Self {
        Self { session }
    }

    pub(crate) fn into_session(self) -> Session {
        self.session
    }
}

impl Deref for Writer {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Writer {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}
