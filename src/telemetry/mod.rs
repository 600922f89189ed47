//! Log, metrics and traces: how Locum says what it does.
//!
//! Every room may write here; none reads from here. Secrets never arrive: the types that hold them
//! have no content in `Debug` and no way to be serialised.

pub mod log;
pub mod metrics;
pub mod trace;
