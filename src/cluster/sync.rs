//! What threads share here, from one place: `tests/interleavings` builds the files of this room that decide
//! what a thread sees once more, with a scheduler of its own in this module's place (CC-001).

pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
pub(super) use std::sync::{Mutex, MutexGuard};
