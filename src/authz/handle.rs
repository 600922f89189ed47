//! What the data plane holds of authorisation: role sets by account, and the way to ask for one.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thread_local::ThreadLocal;
use tokio::sync::{mpsc, oneshot};

use super::in_force::{InForce, Resolution};
use crate::directory::AccountId;

/// How this room behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many role sets are remembered at most.
    pub remembered: usize,
    /// How many questions may wait for the control runtime; one more is answered `Unavailable`.
    pub queue: usize,
    /// How many accounts are resolved at the same time.
    pub parallel: usize,
    /// How long an answer may take; after that it is `Unavailable`.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { remembered: 100_000, queue: 4096, parallel: 64, timeout: Duration::from_secs(2) }
    }
}

/// The handle of the data plane. Cheap to clone; all clones share one memory.
#[derive(Debug, Clone)]
pub struct Authz(Arc<Shared>);

struct Shared {
    settings: Settings,
    /// What each thread knows by itself: no lock, no shared counter.
    mine: ThreadLocal<RefCell<quick_cache::unsync::Cache<AccountId, Arc<InForce>>>>,
    questions: mpsc::Sender<Question>,
}

/// One account to be resolved.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) account: AccountId,
    pub(super) answer: oneshot::Sender<Resolution>,
}

/// Makes the handle and the end at which its questions arrive.
pub(super) fn open(settings: Settings) -> (Authz, mpsc::Receiver<Question>) {
    let (questions, arriving) = mpsc::channel(settings.queue);
    (Authz(Arc::new(Shared { settings, mine: ThreadLocal::new(), questions })), arriving)
}

impl Authz {
    /// What is in force for an account, if this thread knows it and it still holds: no lock, no message,
    /// nothing allocated.
    pub fn recall(&self, account: AccountId) -> Option<Arc<InForce>> {
        let mine = self.0.mine().borrow();
        mine.get(&account).filter(|known| known.stamp.holds()).cloned()
    }

    /// Asks the control runtime what is in force for an account, and keeps the answer beside this thread.
    pub fn resolve(&self, account: AccountId) -> impl Future<Output = Resolution> + Send + 'static {
        let shared = Arc::clone(&self.0);
        async move {
            let resolution = shared.ask(account).await;
            if let Resolution::InForce(in_force) = &resolution {
                shared.mine().borrow_mut().insert(account, Arc::clone(in_force));
            }
            resolution
        }
    }
}

impl Shared {
    fn mine(&self) -> &RefCell<quick_cache::unsync::Cache<AccountId, Arc<InForce>>> {
        self.mine.get_or(|| RefCell::new(quick_cache::unsync::Cache::new(self.settings.remembered)))
    }

    async fn ask(&self, account: AccountId) -> Resolution {
        let (answer, answered) = oneshot::channel();
        if self.questions.try_send(Question { account, answer }).is_err() {
            metrics::counter!("locum_resolutions_unavailable_total", "why" => "queue").increment(1);
            return Resolution::Unavailable;
        }
        if let Ok(Ok(resolution)) = tokio::time::timeout(self.settings.timeout, answered).await {
            return resolution;
        }
        metrics::counter!("locum_resolutions_unavailable_total", "why" => "timeout").increment(1);
        Resolution::Unavailable
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}
