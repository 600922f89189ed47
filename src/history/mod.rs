//! What was done: actions, their types, and the chain that shows when one was changed or removed.
//!
//! ```text
//!   action       what an entry says     action_type  what kinds there are
//!   canonical    its versioned bytes    chain        how entries hold each other
//!   checkpoint   the signed word about where the chain stands
//!   export       entries as JSON Lines, and exported: verifying such a file without a gateway
//!   marks        by which apps an entry is found
//! ```
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
