//! The same work on several threads at once, as a gateway's cores do it: what threads share is what costs.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Runs `work` so many times on each thread, all starting together, and answers how long the slowest of
/// them took. `prepare` runs on each thread first, untimed; `work` gets the number of its round.
pub(crate) fn together<T>(
    threads: usize,
    rounds: u64,
    prepare: impl Fn() + Sync,
    work: impl Fn(usize) -> T + Sync,
) -> Duration {
    let rounds = usize::try_from(rounds).expect("a bench runs for seconds");
    let start = Barrier::new(threads);
    let run = || {
        prepare();
        start.wait();
        let started = Instant::now();
        for round in 0..rounds {
            black_box(work(round));
        }
        started.elapsed()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().expect("what is measured does not panic")).max()
    })
    .unwrap_or_default()
}
