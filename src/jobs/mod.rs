//! Work by the clock: processes that are saved under a name and done on a schedule, by hand or by the API, once per
//! cluster and not once per node (T9, T12, H7).
//!
//! ```text
//!   process    what there is to do, and its options
//!   schedule   cron text: what it means in words, and when it is due
//!   runner     which run is done next, by whom, and what becomes of one whose node died
//! ```
//!
//! What a job changes is an operation of `provision`, with its actions, like everything else; who does a run is
//! decided by the store.

mod process;
mod runner;
mod schedule;

pub use process::{Process, ProcessError};
pub use runner::Jobs;
pub use schedule::{Schedule, ScheduleError};
