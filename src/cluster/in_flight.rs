//! What runs on this node on somebody's behalf, and the way to end it (R2, R3).
//!
//! Whoever forwards enters with a [`Ticket`] and holds the [`Guard`] for as long as bodies or tunnels
//! run. A change that withdraws access bumps the account's generation first and cuts afterwards;
//! [`InFlight::enter`] puts the ticket on the register first and looks at the generation afterwards.
//! So one of the two always sees the other, and nothing slips between.
//!
//! Each thread has a shard of its own, so that entering costs one allocation and one lock that nobody
//! else wants, except while something is cut.

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::clock::Timestamp;
use crate::directory::{AccountId, Networks, PublicId};

const SHARDS: usize = 64;
/// How many tasks wait on one guard at most (request body, response body, tunnel); whoever is crowded
/// out is woken and registers again.
const MOST_WAITING: usize = 8;

/// On whose behalf something runs, and until when it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub account: AccountId,
    pub owner: Option<AccountId>,
    pub pat: PublicId,
    /// Where the client is.
    pub source: Option<IpAddr>,
    /// The end of the credential; cut *at* this instant (T2, R3).
    pub expires_at: Timestamp,
}

/// What is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Everything of an account, and everything of the proxy users that it owns.
    Account(AccountId),
    /// Everything that came in with one token.
    Pat(PublicId),
}

impl Cut {
    fn reaches(self, ticket: &Ticket) -> bool {
        match self {
            Self::Account(id) => ticket.account == id || ticket.owner == Some(id),
            Self::Pat(id) => ticket.pat == id,
        }
    }
}

/// The register of what runs. A handle: clones share the register.
#[derive(Clone)]
pub struct InFlight(Arc<Register>);

struct Register {
    /// How many are entered, all shards together; kept apart so that asking costs no lock.
    entered: AtomicUsize,
    shards: [Mutex<Slab<Entry>>; SHARDS],
}

struct Entry {
    ticket: Ticket,
    signal: Arc<Signal>,
}

impl Default for InFlight {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Slab::new()));
        Self(Arc::new(Register { entered: AtomicUsize::new(0), shards }))
    }
}

impl InFlight {
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters what is about to run, and asks `still_good` once it can be cut: whether every stamp
    /// that the decision stood on still holds. `None` when not; the request is to be judged anew.
    #[must_use = "what runs can only be cut while its guard is held"]
    pub fn enter(&self, ticket: Ticket, still_good: impl FnOnce() -> bool) -> Option<Guard> {
        let shard = own_shard();
        let signal = Arc::new(Signal::default());
        let key = lock(&self.0.shards[shard]).insert(Entry { ticket, signal: Arc::clone(&signal) });
        self.0.entered.fetch_add(1, Ordering::Relaxed);
        let guard = Guard { register: Arc::clone(&self.0), shard, key, signal };
        still_good().then_some(guard)
    }

    /// Ends everything that `cut` reaches, and answers how many there were.
    pub fn cut(&self, cut: Cut) -> usize {
        self.cut_where(|ticket| cut.reaches(ticket))
    }

    /// Ends everything of an account that came from outside of these networks (L10). What came from inside
    /// would be let in again at once, and runs on.
    pub fn cut_outside(&self, account: AccountId, networks: &Networks) -> usize {
        self.cut_where(|ticket| ticket.account == account && !networks.allow(ticket.source))
    }

    /// Lets nothing that came in with one token run past `ends_at`; [`InFlight::cut_expired`] cuts it then.
    pub fn shorten(&self, pat: PublicId, ends_at: Timestamp) {
        for shard in &self.0.shards {
            for (_, entry) in lock(shard).iter_mut().filter(|(_, entry)| entry.ticket.pat == pat) {
                entry.ticket.expires_at = entry.ticket.expires_at.min(ends_at);
            }
        }
    }

    /// Ends everything whose credential has run out at `now`.
    pub fn cut_expired(&self, now: Timestamp) -> usize {
        self.cut_where(|ticket| now >= ticket.expires_at)
    }

    /// Ends everything: the node may not go on serving.
    pub fn cut_all(&self) -> usize {
        self.cut_where(|_| true)
    }

    /// How many run now.
    pub fn len(&self) -> usize {
        self.0.entered.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cut_where(&self, reached: impl Fn(&Ticket) -> bool) -> usize {
        let mut count = 0;
        for shard in &self.0.shards {
            let signals: Vec<_> = lock(shard)
                .iter()
                .filter(|(_, entry)| reached(&entry.ticket))
                .map(|(_, entry)| Arc::clone(&entry.signal))
                .collect();
            // Woken without the shard's lock: a waker may run code that enters or leaves.
            count += signals.into_iter().filter(|signal| signal.fire()).count();
        }
        count
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("entered", &self.len()).finish_non_exhaustive()
    }
}

/// Held by what runs; leaves the register when it is dropped.
///
/// Purposefully not `Clone`: one entry, one holder. What several tasks have to watch is shared behind
/// an `Arc`.
#[must_use = "what runs can only be cut while its guard is held"]
pub struct Guard {
    register: Arc<Register>,
    shard: usize,
    key: usize,
    signal: Arc<Signal>,
}

impl Guard {
    /// Ready once what runs has to end. Wakes every task that polled it, up to eight at a time.
    pub fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.signal.poll_fired(cx)
    }

    /// Whether what runs has to end.
    pub fn is_cancelled(&self) -> bool {
        self.signal.fired.load(Ordering::Acquire)
    }

    /// Waits until what runs has to end.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|cx| self.poll_cancelled(cx)).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let entry = lock(&self.register.shards[self.shard]).try_remove(self.key);
        debug_assert!(entry.is_some(), "a guard is the only one that removes its entry");
        self.register.entered.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// One word from whoever cuts to whatever runs.
#[derive(Default)]
struct Signal {
    fired: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// The first waiter costs no allocation; most have no second.
#[derive(Default)]
struct Waiting {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Signal {
    /// True the first time.
    fn fire(&self) -> bool {
        if self.fired.swap(true, Ordering::AcqRel) {
            return false;
        }
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.first.into_iter().chain(waiting.others).for_each(Waker::wake);
        true
    }

    fn poll_fired(&self, cx: &Context<'_>) -> Poll<()> {
        if self.fired.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let crowded_out = lock(&self.waiting).register(cx.waker());
        if let Some(waker) = crowded_out {
            waker.wake();
        }
        // It may have fired between the first look and the registration.
        if self.fired.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Waiting {
    fn register(&mut self, waker: &Waker) -> Option<Waker> {
        if self.first.iter().chain(&self.others).any(|known| known.will_wake(waker)) {
            return None;
        }
        if self.first.is_none() {
            self.first = Some(waker.clone());
            return None;
        }
        self.others.push(waker.clone());
        (self.others.len() >= MOST_WAITING).then(|| self.others.remove(0))
    }
}

/// The shard of this thread; threads take the shards in turn.
fn own_shard() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    }
    OWN.with(Cell::get)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves a half-done change behind when it panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
