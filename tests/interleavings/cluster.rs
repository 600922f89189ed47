//! The files of the program, over the locks and atomics of `shuttle`.

mod sync {
    pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
    pub(super) use shuttle::sync::{Mutex, MutexGuard};
}

#[path = "../../src/cluster/in_flight.rs"]
pub mod in_flight;
#[path = "../../src/cluster/subjects.rs"]
pub mod subjects;

pub use in_flight::{Cut, InFlight, Ticket};
pub use subjects::{Stamp, Subject, Subjects};
