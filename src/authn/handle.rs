//! What the data plane holds of authentication: it reads, remembers, asks, and never touches a store.
//!
//! A refusal leaves on a fixed grid counted from the moment its request was taken up (L4, decision 21):
//! the work behind it is the same for every class, and what little differs vanishes between two ticks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderMap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backlog::{Backlog, Waiting};
use super::digest::{Digest, DigestKey};
use super::lockout::Lockout;
use super::presented::{Accepts, Presentation, Presented, present};
use super::proven::Proven;
use super::sources::{Sources, ThrottleSettings};
use super::verdict::{RefusalReason, Source, Verdict};
use super::verified::Verified;
use crate::clock::Timestamp;

/// How this room behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What stands before the marker in this installation's tokens; empty for nothing.
    pub token_prefix: String,
    /// How many proven credentials are remembered at most.
    pub remembered: usize,
    /// How many questions may wait for the control runtime; one more is answered `Unavailable`. Strangers leave an eighth
    /// of it to others.
    pub queue: usize,
    /// How long a stranger's question may wait before somebody judges it; after that it is `Late`.
    pub judgement_wait: Duration,
    /// How many credentials are judged at the same time.
    pub parallel: usize,
    /// How long an answer may take; after that it is `Unavailable`.
    pub timeout: Duration,
    /// The grid on which refusals leave, counted from the start of their request.
    pub refusal_quantum: Duration,
    /// The budget of failures at first.
    pub throttle: ThrottleSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_prefix: String::new(),
            remembered: 100_000,
            queue: 4096,
            judgement_wait: Duration::from_millis(500),
            parallel: 64,
            timeout: Duration::from_secs(2),
            refusal_quantum: Duration::from_millis(5),
            throttle: ThrottleSettings::default(),
        }
    }
}

/// The handle of the data plane. Cheap to clone; all clones share one memory.
#[derive(Debug, Clone)]
pub struct Authn {
    shared: Arc<Shared>,
    /// Only handles hold this: when the last one is gone, the other side has nobody left to answer.
    questions: mpsc::Sender<Queued>,
}

/// What both sides share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) key: DigestKey,
    pub(super) verified: Verified,
    /// Exchanged by [`Authn::take_up`].
    pub(super) budget: ArcSwap<Budget>,
    backlog: Arc<Backlog>,
    lockout: Lockout,
}

/// What each source may fail, by the settings in force.
#[derive(Debug)]
pub(super) struct Budget {
    throttle: ThrottleSettings,
    pub(super) sources: Sources,
}

impl Budget {
    fn of(throttle: ThrottleSettings) -> Self {
        Self { throttle, sources: Sources::new(throttle) }
    }
}

/// One credential to be judged.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) presented: Presented,
    /// `None` for what can never be proven.
    pub(super) digest: Option<Digest>,
    pub(super) source: Source,
    pub(super) answer: oneshot::Sender<Verdict>,
}

/// A question that waits to be taken up.
#[derive(Debug)]
pub(super) struct Queued {
    question: Question,
    waiting: Waiting,
    /// Whether its credential is proven on this node, and only has to be judged again.
    is_proven: bool,
}

impl Queued {
    /// The question, to be judged now; nothing when it was a stranger's and has waited too long, and has its answer.
    pub(super) fn take_up(self) -> Option<Question> {
        let Self { question, waiting, is_proven } = self;
        if waiting.ends_too_late(Instant::now()) && !is_proven {
            let _nobody_listens = question.answer.send(Verdict::Late);
            return None;
        }
        Some(question)
    }
}

/// Makes the handle and the end at which its questions arrive. `random` is drawn from once, for the key
/// under which proven credentials are remembered.
pub(super) fn open(
    settings: Settings,
    lockout: Lockout,
    random: &mut dyn FnMut(&mut [u8]),
) -> (Authn, mpsc::Receiver<Queued>) {
    let (questions, arriving) = mpsc::channel(settings.queue);
    let shared = Shared {
        key: DigestKey::generate(random),
        verified: Verified::new(settings.remembered),
        budget: ArcSwap::from_pointee(Budget::of(settings.throttle)),
        backlog: Arc::new(Backlog::new(settings.judgement_wait)),
        lockout,
        settings,
    };
    (Authn { shared: Arc::new(shared), questions }, arriving)
}

impl Authn {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Goes by another budget of failures from now on, which every source begins anew, and by another patience.
    pub fn take_up(&self, throttle: ThrottleSettings, judgement_wait: Duration) {
        self.shared.backlog.take_up(judgement_wait);
        if self.shared.budget.load().throttle != throttle {
            self.shared.budget.store(Arc::new(Budget::of(throttle)));
        }
    }

    /// Reads what the head of a request presents for the schemes that its route accepts.
    pub fn identify(&self, headers: &HeaderMap, accepts: &Accepts<'_>) -> Presentation {
        present(headers, accepts, &self.shared.settings.token_prefix)
    }

    /// The account behind a credential that this node has proven before and that still holds, at once:
    /// no lock, no message, nothing allocated.
    pub fn recall(&self, presented: &Presented, address: Option<IpAddr>, now: Timestamp) -> Option<Arc<Proven>> {
        if self.shared.lockout.is_closed() {
            return None;
        }
        let digest = self.shared.key.digest(presented)?;
        self.shared.verified.recall(&digest, address, now)
    }

    /// How long a source has to wait, when it has failed too often and what it presents is not proven on
    /// this node (L8). For a layer of its own; [`Authn::judge`] asks it too.
    pub fn throttled(&self, presented: &Presented, address: Option<IpAddr>, now: Timestamp) -> Option<Duration> {
        let digest = self.shared.key.digest(presented);
        self.shared.throttled(digest.as_ref(), address, now)
    }

    /// Whether so many wait to be judged that a stranger need not ask.
    pub fn is_behind(&self) -> bool {
        self.shared.backlog.is_long(Instant::now())
    }

    /// Whether a credential was proven on this node and nothing has taken that back, be it that a failure on record is to
    /// be cleared before it is recalled.
    pub fn has_proven(&self, presented: &Presented, address: Option<IpAddr>, now: Timestamp) -> bool {
        let digest = self.shared.key.digest(presented);
        digest.is_some_and(|digest| self.shared.verified.stands(&digest, address, now))
    }

    /// Judges a credential on the control runtime. The future may be dropped; the judgement then goes on,
    /// so that hanging up does not undo a failure.
    pub fn judge(
        &self,
        presented: Presented,
        source: Source,
        now: Timestamp,
    ) -> impl Future<Output = Verdict> + Send + 'static {
        let Self { shared, questions } = self.clone();
        async move {
            let started = Instant::now();
            let digest = shared.key.digest(&presented);
            if let Some(wait) = shared.throttled(digest.as_ref(), source.address, now) {
                return Verdict::Throttled(wait);
            }
            if let Some(reason) = ends_at_the_checksum(&presented) {
                shared.budget.load().sources.charge(source.address);
                metrics::counter!("locum_refusals_total", "reason" => reason.slug()).increment(1);
                return Verdict::Refused(reason);
            }
            let is_proven = digest.is_some_and(|digest| shared.verified.stands(&digest, source.address, now));
            let question = |answer| Question { presented, digest, source, answer };
            let verdict = shared.ask(&questions, question, is_proven).await;
            if let Verdict::Refused(_) = verdict {
                tokio::time::sleep_until(next_tick(started, Instant::now(), shared.settings.refusal_quantum)).await;
            }
            verdict
        }
    }
}

impl Shared {
    pub(super) fn throttled(
        &self,
        digest: Option<&Digest>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Duration> {
        let wait = self.budget.load().sources.exhausted(address)?;
        let proven = digest.is_some_and(|digest| self.verified.stands(digest, address, now));
        if proven { None } else { Some(wait) }
    }

    async fn ask(
        &self,
        questions: &mpsc::Sender<Queued>,
        question: impl FnOnce(oneshot::Sender<Verdict>) -> Question,
        is_proven: bool,
    ) -> Verdict {
        let (answer, answered) = oneshot::channel();
        let reserved = if is_proven { 0 } else { self.settings.queue / 8 };
        let queued = || Queued { question: question(answer), waiting: self.backlog.join(Instant::now()), is_proven };
        if questions.capacity() <= reserved || questions.try_send(queued()).is_err() {
            metrics::counter!("locum_judgements_unavailable_total", "why" => "queue").increment(1);
            return Verdict::Unavailable;
        }
        if let Ok(Ok(verdict)) = tokio::time::timeout(self.settings.timeout, answered).await {
            return verdict;
        }
        metrics::counter!("locum_judgements_unavailable_total", "why" => "timeout").increment(1);
        Verdict::Unavailable
    }
}

/// What names nobody is refused without a look-up: its checksum told enough (T5, decision 21).
fn ends_at_the_checksum(presented: &Presented) -> Option<RefusalReason> {
    if presented.names_somebody() { None } else { presented.public_id().err().map(RefusalReason::Malformed) }
}

/// The first tick of the grid after `now`, counted from `started`.
fn next_tick(started: Instant, now: Instant, quantum: Duration) -> Instant {
    let quantum_nanos = quantum.as_nanos().max(1);
    let ticks = now.duration_since(started).as_nanos() / quantum_nanos + 1;
    let nanos = u64::try_from(ticks.saturating_mul(quantum_nanos)).unwrap_or(u64::MAX);
    started + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L4: whatever the work took, within one tick all leave together.
    #[test]
    fn refusals_leave_at_the_next_tick_of_their_own_grid() {
        let (started, quantum) = (Instant::now(), Duration::from_millis(5));
        let leaves = |took: Duration| next_tick(started, started + took, quantum) - started;
        for micros in [0, 1, 300, 2_000, 4_999] {
            assert_eq!(leaves(Duration::from_micros(micros)), quantum, "after {micros} µs");
        }
        assert_eq!(leaves(quantum), 2 * quantum);
        assert_eq!(leaves(Duration::from_millis(12)), 3 * quantum);
        assert!(next_tick(started, started, Duration::ZERO) > started, "no grid is no wait, and no division by zero");
    }
}
