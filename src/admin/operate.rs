//! What a running gateway can be asked to do with itself, and why it did not.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::provision::Request;

/// Takes up the configuration anew, for whoever asks.
pub type Reload = Arc<dyn Fn(Request) -> BoxFuture<'static, Result<(), NotTaken>> + Send + Sync>;

/// Lets a new process take the place of this one; answers when it was found to be able to.
pub type Restart = Arc<dyn Fn(Request) -> BoxFuture<'static, Result<(), NotTaken>> + Send + Sync>;

/// Why a configuration was not taken up: the one in force stays whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It cannot be read, or is wrong: each problem with its place, one a line.
    #[error("{0}")]
    Invalid(String),
    /// It is right, and changes what cannot change while the gateway runs.
    #[error("{0}")]
    NeedsRestart(String),
    /// It is right, and something else went wrong.
    #[error("{0}")]
    Failed(String),
}
