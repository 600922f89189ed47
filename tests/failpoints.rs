//! The points at which fault tests stop the program, each held for a moment: alone in its process,
//! because a point is one for all of it. Compiled with the feature `failpoints` only.

#![cfg(feature = "failpoints")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

#[expect(dead_code, reason = "the harness is shared, and not all of it is needed here")]
#[path = "harness/key_files.rs"]
mod key_files;
#[path = "harness/postgres.rs"]
#[expect(dead_code, reason = "the harness is shared, and not all of it is needed here")]
mod postgres;
#[path = "failpoints/trim.rs"]
mod trim;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use locum::authn::lockout::{CarryOutError, Counts, Lockout, LockoutSettings, OnLoss, Trip};
use locum::clock::Timestamp;
use locum::cluster::{FailureCounts, Subjects, Unavailable};
use locum::directory::lockout::{Attempt, AttemptId, Counted, Reset, Streak};
use locum::directory::{AccountId, Life};

/// The state machine itself, for one account.
struct InMemory(Mutex<Streak>);

impl FailureCounts for InMemory {
    fn fail(
        &self,
        _account: AccountId,
        life: Life,
        threshold: u32,
        attempt: Attempt,
    ) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        let counted = self.0.lock().unwrap().fail(life, threshold, attempt);
        Box::pin(async { Ok(counted) })
    }

    fn succeed(&self, _account: AccountId, life: Life) -> BoxFuture<'_, Result<Reset, Unavailable>> {
        let reset = self.0.lock().unwrap().succeed(life);
        Box::pin(async move { Ok(reset) })
    }

    fn sink(&self, _slot: u8, _attempt: Attempt) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }

    fn join(&self, _: AccountId, streak: &Streak, threshold: u32) -> BoxFuture<'_, Result<Counted, Unavailable>> {
        let counted = self.0.lock().unwrap().join(streak, threshold);
        Box::pin(async { Ok(counted) })
    }

    fn streaks(&self) -> BoxFuture<'_, Result<Vec<(AccountId, Streak)>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn forget(&self, _account: AccountId) -> BoxFuture<'_, Result<(), Unavailable>> {
        Box::pin(async { Ok(()) })
    }
}

/// AU-040: `lockout::tripped` lies between the trip and the directory, and off the response's path:
/// while it holds, the fifth failure is answered, the account is shut on this node, and nothing is
/// written yet.
#[tokio::test]
async fn the_trip_is_answered_before_it_is_written() {
    let scenario = fail::FailScenario::setup();
    fail::cfg("lockout::tripped", "pause").unwrap();
    let written = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&written);
    let carry_out = Arc::new(move |trip: Trip| -> BoxFuture<'static, Result<(), CarryOutError>> {
        book.lock().unwrap().push(trip);
        Box::pin(async { Ok(()) })
    });
    let subjects = Subjects::new();
    let settings = LockoutSettings { threshold: 5, counts: Counts::EveryFailure, on_loss: OnLoss::Count };
    let counts = Arc::new(InMemory(Mutex::new(Streak::new(Life::FIRST))));
    let lockout = Lockout::new(None, counts, subjects.clone(), settings, carry_out);
    let account = AccountId::from_bytes([7; 16]);
    let mut last = None;
    for number in 0..5 {
        let attempt = Attempt { id: AttemptId(number), address: None, at: Timestamp::from_millis(0) };
        last = Some(lockout.fail(account, Life::FIRST, attempt).await.unwrap());
    }
    assert!(matches!(last, Some(Counted::Tripped(_))));
    assert!(subjects.subject(account).tripped_in(Life::FIRST));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(written.lock().unwrap().len(), 0, "the point does not lie before the directory");
    assert_eq!(lockout.health().unfinished, 1);
    fail::remove("lockout::tripped");
    for _moment in 0..400 {
        if lockout.health().unfinished == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(written.lock().unwrap().len(), 1);
    scenario.teardown();
}
