//! CC-001: what threads of one node share, in thousands of schedules of each story.
//!
//! The files of `cluster` that decide what a thread sees are built here once more, over the locks and
//! atomics of `shuttle`, which chooses at each of their steps who goes on. It knows sequentially consistent
//! memory only: which orderings are weak enough is argued where they stand. A story that ends wrong in any
//! schedule fails, and prints the schedule.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(unreachable_pub, dead_code, reason = "the files are those of the program, of which this needs a part")]

mod cluster;
mod registry;
mod streaks;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

mod clock {
    pub use locum::clock::Timestamp;
}

mod directory {
    pub use locum::directory::{AccountId, Life, Networks, PublicId};
}

/// Runs a story in many schedules: drawn at random, and with few but nasty changes of who runs.
fn in_many_orders(story: impl Fn() + Send + Sync + 'static) {
    let scale = std::env::var_os("LOCUM_TEST_SCALE").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1);
    let story = std::sync::Arc::new(story);
    let again = std::sync::Arc::clone(&story);
    Runner::new(RandomScheduler::new(2_000 * scale), config()).run(move || story());
    Runner::new(PctScheduler::new(3, 2_000 * scale), config()).run(move || again());
}

/// With room on the stack for a register that is made there.
fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1024 * 1024;
    config
}

/// What a story says that ends wrong in some schedule, so that no other panic is taken for it.
fn said_in_some_order(story: impl Fn() + Send + Sync + std::panic::UnwindSafe + 'static) -> Option<String> {
    let ended = std::panic::catch_unwind(|| Runner::new(RandomScheduler::new(20_000), config()).run(story));
    let payload = ended.err()?;
    match payload.downcast::<String>() {
        Ok(said) => Some(*said),
        Err(payload) => match payload.downcast::<&str>() {
            Ok(said) => Some((*said).to_owned()),
            Err(payload) => std::panic::resume_unwind(payload),
        },
    }
}

fn account(number: u8) -> directory::AccountId {
    directory::AccountId::from_bytes([number; 16])
}
