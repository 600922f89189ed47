//! What one attacker costs us, against what it costs the attacker: time of the processor, and memory.
//!
//! The figures are printed, and stand in `docs/performance.md`. `LOCUM_TEST_SCALE` takes them for longer, and `LOCUM_BIN`
//! of another build of the gateway. The bounds are those of a debug build on a busy machine; what is shipped costs a
//! fraction of that in time, and the same in memory.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

mod memory;
mod time;

#[path = "../harness/attacks.rs"]
mod attacks;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/authority.rs"]
mod authority;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/frames.rs"]
mod frames;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/h2_app.rs"]
mod h2_app;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/locum.rs"]
mod locum;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/upstream.rs"]
mod upstream;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One is measured at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
