//! What was done: actions, their types, and the chain that shows when one was changed or removed.
//!
//! Pure words, as the directory is. The store writes an entry in the transaction of its change
//! (H1); what an entry *is*, and how it is hashed, is decided here.

pub mod action;
pub mod action_type;
pub mod canonical;
pub mod chain;
pub mod checkpoint;
pub mod export;
pub mod exported;
pub mod marks;

pub use action::{Action, Actions, Detail, Entry, Value};
pub use action_type::ActionType;
pub use chain::{ChainHash, Link, Place};
