//! The instances of one app, as one core sees them: the less loaded of two is asked, among those that stand
//! well with all cores.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::budget::{Budget, Retry};
use super::bulkhead::{Entered, NoRoom};
use super::connect::Way;
use super::endpoint::Endpoint;
use super::shared::{Sent, SharedApp};
use super::standing::{Access, Verdict, WHOLE};
use crate::gateway::settings::AppSettings;
use crate::gateway::slots::Caller;

/// One place where an app runs, and what this core has running there.
#[derive(Debug)]
pub(crate) struct Instance {
    /// Its place among all instances of all apps, for whoever keeps connections.
    pub(super) number: usize,
    endpoint: Arc<Endpoint>,
    way: Way,
    running: AtomicUsize,
}

impl Instance {
    pub(super) const fn new(number: usize, endpoint: Arc<Endpoint>, way: Way) -> Self {
        Self { number, endpoint, way, running: AtomicUsize::new(0) }
    }

    pub(super) const fn way(&self) -> &Way {
        &self.way
    }

    pub(crate) fn authority(&self) -> &Arc<str> {
        self.endpoint.authority()
    }

    /// A connection to one of its addresses. The caller bounds the time.
    pub(super) async fn reach(&self) -> io::Result<TcpStream> {
        self.endpoint.connect().await
    }

    pub(super) fn addresses(&self) -> Arc<Vec<SocketAddr>> {
        self.endpoint.addresses()
    }

    /// Counts what runs there until this is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }
}

/// One exchange that runs at an instance.
#[derive(Debug)]
pub(super) struct Running(Arc<Instance>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All instances of one app, as one core sees them.
#[derive(Debug)]
pub(crate) struct Instances {
    all: Vec<Arc<Instance>>,
    turn: AtomicUsize,
    retry: Retry,
    budget: Mutex<Budget>,
    shared: Arc<SharedApp>,
}

/// The instances that one request was sent to.
#[derive(Debug, Default)]
pub(crate) struct Tried(Vec<usize>);

impl Instances {
    /// `numbers` hands out the places among all instances of all apps.
    pub(crate) fn new(app: &AppSettings, shared: &Arc<SharedApp>, numbers: &mut impl Iterator<Item = usize>) -> Self {
        let retry = app.resilience.retry;
        let all = shared.endpoints.iter().zip(app.transport.ways(&app.upstreams)).zip(numbers);
        let all = all.map(|((endpoint, way), number)| Arc::new(Instance::new(number, Arc::clone(endpoint), way)));
        Self {
            all: all.collect(),
            turn: AtomicUsize::new(0),
            retry,
            budget: Mutex::new(Budget::new(retry.budget_percent)),
            shared: Arc::clone(shared),
        }
    }

    /// In the order of the settings.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.all.iter()
    }

    /// Lets one request to the app.
    ///
    /// # Errors
    /// When as many run as may.
    pub(crate) async fn enter(&self, caller: Caller, longest: Duration) -> Result<Entered, NoRoom> {
        let entered = self.shared.bulkhead.enter(caller, longest).await?;
        if self.all.len() > 1 {
            self.budget().request();
        }
        Ok(entered)
    }

    /// Whether another instance may be asked after these.
    pub(crate) fn may_go_on(&self, tried: &Tried) -> bool {
        tried.0.len() < self.all.len() && tried.0.len() <= self.retry.attempts as usize
    }

    /// Another instance for what may have been sent already: there has to be one, and the budget has to allow it.
    pub(crate) fn another(&self, tried: &mut Tried) -> Option<Attempt> {
        let next = self.next(tried, true)?;
        self.may_repeat().then_some(next)
    }

    fn may_repeat(&self) -> bool {
        let may = self.budget().repeat(Instant::now());
        let outcome = if may { "sent" } else { "over_budget" };
        metrics::counter!("locum_retries_total", "app" => self.shared.name().to_owned(), "outcome" => outcome)
            .increment(1);
        may
    }

    pub(crate) const fn repeats_on_503(&self) -> bool {
        self.retry.on_503
    }

    pub(crate) fn try_again_after(&self) -> Duration {
        self.shared.try_again_after()
    }

    /// The instance to ask next, none twice: the less loaded of two (two in turn, so that all are compared).
    /// `None` when there is none that may be asked.
    pub(crate) fn next(&self, tried: &mut Tried, repeatable: bool) -> Option<Attempt> {
        self.next_at(tried, repeatable, Instant::now)
    }

    fn next_at(&self, tried: &mut Tried, repeatable: bool, now: impl FnOnce() -> Instant) -> Option<Attempt> {
        if !tried.0.is_empty() && !self.may_go_on(tried) {
            return None;
        }
        let (at, trial) = self.choose(tried, repeatable, now)?;
        tried.0.push(at);
        // It weighs from here on, so that one to which nobody can connect is not taken for idle.
        let running = self.all[at].enter();
        let sent = self.shared.send(at, trial);
        Some(Attempt { running, shared: Arc::clone(&self.shared), at, sent, told: false })
    }

    /// Its place, and whether the request is to find out how it is.
    fn choose(&self, tried: &Tried, repeatable: bool, now: impl FnOnce() -> Instant) -> Option<(usize, bool)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let untried = || (0..self.all.len()).filter(|at| !tried.0.contains(at));
        let Some(mut standings) = self.shared.trouble() else {
            if tried.0.is_empty() {
                return less_loaded(self.all.len(), turn, |at| self.load(at)).map(|at| (at, false));
            }
            let rest: Vec<usize> = untried().collect();
            return less_loaded(rest.len(), turn, |at| self.load(rest[at])).map(|at| (rest[at], false));
        };
        let now = now();
        let accessible: Vec<(usize, Access)> = untried().map(|at| (at, standings.access(at, now))).collect();
        let trial = accessible.iter().find(|(_, access)| *access == Access::Trial);
        // What cannot be sent to another instance afterwards finds nothing out, as long as there are others.
        let others = accessible.iter().any(|(_, access)| matches!(access, Access::Open(_) | Access::Suspect));
        if let Some((at, _)) = trial.filter(|_| repeatable || !others) {
            standings.begin_trial(*at, now);
            return Some((*at, true));
        }
        drop(standings);
        let with = |wanted: fn(&Access) -> bool| -> Vec<(usize, Access)> {
            accessible.iter().filter(|(_, access)| wanted(access)).copied().collect()
        };
        // One that is just back has its share; what is over goes to those that have theirs whole.
        let lot = u32::try_from(turn % WHOLE as usize).unwrap_or(WHOLE);
        let open = with(|access| matches!(access, Access::Open(_)));
        let in_share: Vec<(usize, Access)> =
            open.iter().filter(|(_, access)| matches!(access, Access::Open(share) if lot < *share)).copied().collect();
        let suspect = with(|access| *access == Access::Suspect);
        let candidates = [in_share, open, suspect].into_iter().find(|candidates| !candidates.is_empty())?;
        // The lot of a turn is not to choose the two that are compared.
        let turn = turn / WHOLE as usize + turn;
        less_loaded(candidates.len(), turn, |at| self.load(candidates[at].0)).map(|at| (candidates[at].0, false))
    }

    fn load(&self, at: usize) -> usize {
        self.all[at].running.load(Ordering::Relaxed)
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        // It is whole after every step, so a panic elsewhere leaves nothing half done.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The less loaded of two, chosen in turn among so many.
fn less_loaded(count: usize, turn: usize, load: impl Fn(usize) -> usize) -> Option<usize> {
    match count {
        0 => None,
        1 => Some(0),
        _ => {
            let (a, b) = (turn % count, (turn + 1 + (turn / count) % (count - 1)) % count);
            Some(if load(b) < load(a) { b } else { a })
        }
    }
}

/// One request on its way to one instance. Dropped before it was told how that ended, it tells nothing of it.
#[derive(Debug)]
pub(crate) struct Attempt {
    running: Running,
    shared: Arc<SharedApp>,
    at: usize,
    sent: Sent,
    told: bool,
}

impl Attempt {
    pub(crate) fn instance(&self) -> &Arc<Instance> {
        &self.running.0
    }

    /// An answer came.
    pub(crate) fn answered(mut self, status: http::StatusCode) {
        let unwell = matches!(status.as_u16(), 502..=504);
        self.tell(if unwell { Verdict::Failing } else { Verdict::Well });
    }

    /// It was asked, and no answer came.
    pub(crate) fn unanswered(mut self) {
        self.tell(Verdict::Unanswered);
    }

    pub(crate) fn unreachable(mut self) {
        self.tell(Verdict::Unreachable);
    }

    fn tell(&mut self, verdict: Verdict) {
        self.told = true;
        self.shared.record(self.at, verdict, self.sent);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.sent.is_trial() && !self.told {
            self.shared.abandon_trial(self.at);
        }
    }
}

#[cfg(test)]
#[path = "instances/tests.rs"]
mod tests;
