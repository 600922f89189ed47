//! The two sides of authentication, made together: the handle for the data plane, and what answers its
//! questions on the control runtime.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::handle::{self, Authn, Queued, Settings};
use super::journal;
use super::judge::Judge;
use super::lockout::Lockout;
use crate::clock::Clock;
use crate::cluster::Subjects;
use crate::directory::pepper::Peppers;
use crate::store::Store;

/// How often it is written down which tokens were used (T8).
const USES_WRITTEN: Duration = Duration::from_secs(30);

/// What authentication needs of the rest of the house.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub peppers: Arc<Peppers>,
    pub subjects: Subjects,
    pub lockout: Lockout,
    pub clock: Arc<dyn Clock>,
}

/// Makes both sides. `random` is drawn from here and kept nowhere.
pub fn build(settings: Settings, parts: Parts, random: &mut dyn FnMut(&mut [u8])) -> (Authn, Authenticator) {
    let (authn, questions) = handle::open(settings, parts.lockout.clone(), random);
    let (journal, writer) = journal::open(parts.store.clone(), Arc::clone(&parts.clock));
    let judge = Judge::new(Arc::clone(authn.shared()), parts, journal, random);
    (authn, Authenticator { judge: Arc::new(judge), questions, writer })
}

/// Answers the questions of the data plane. Runs on the control runtime, where the store's and Redis's
/// sockets belong.
#[derive(Debug)]
pub struct Authenticator {
    judge: Arc<Judge>,
    questions: mpsc::Receiver<Queued>,
    writer: journal::Writer,
}

impl Authenticator {
    /// Answers until every handle is gone; then finishes what is under way and writes what is left.
    pub async fn run(self) {
        let Self { judge, mut questions, writer } = self;
        let writer = tokio::spawn(writer.run());
        let permits = Arc::new(Semaphore::new(judge.parallel()));
        let mut under_way = JoinSet::new();
        let mut uses = interval(USES_WRITTEN);
        uses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                queued = questions.recv() => {
                    let Some(queued) = queued else { break };
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
                    let Some(question) = queued.take_up() else { continue };
                    let judge = Arc::clone(&judge);
                    under_way.spawn(async move {
                        judge.answer(question).await;
                        drop(permit);
                    });
                }
                Some(done) = under_way.join_next() => report(done),
                _ = uses.tick() => {
                    // Beside the questions, which do not wait for a store that is slow to write.
                    let judge = Arc::clone(&judge);
                    under_way.spawn(async move { judge.write_uses().await });
                }
            }
        }
        while let Some(done) = under_way.join_next().await {
            report(done);
        }
        judge.write_uses().await;
        drop(judge);
        report(writer.await);
    }
}

fn report(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        tracing::error!(%error, "a judgement came to no end");
    }
}
