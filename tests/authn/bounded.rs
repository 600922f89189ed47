//! What is bounded: the queue of questions, and the time an answer may take.

use std::sync::Arc;

use locum::authn::Verdict;

use super::house::{House, Plan, basic};

/// L4, PT-002: more questions than fit are answered at once that nobody can judge, and nothing hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_names_is_answered_to_the_last() {
    let house = Arc::new(House::with(Plan::default()).await);
    let asked: Vec<_> = (0..6000)
        .map(|index| {
            let house = Arc::clone(&house);
            tokio::spawn(async move { house.ask(&basic(&format!("nobody-{index}"), "x")).await })
        })
        .collect();
    let (mut refused, mut unavailable) = (0, 0);
    for verdict in asked {
        match verdict.await.unwrap() {
            Verdict::Refused(_) => refused += 1,
            Verdict::Unavailable => unavailable += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused + unavailable, 6000);
    assert!(refused > 0);
    assert!(house.store.bookkeeping().streaks().await.unwrap().is_empty());
    assert_eq!(house.store.read().await.unwrap().head().await.unwrap().sequence, 0, "nothing was written");
}
