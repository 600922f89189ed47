//! Subjects: one small block of atomics per account, shared by everything that caches an answer
//! about it.
//!
//! A cache entry carries a [`Stamp`], and the entry is good as long as the stamp holds: two atomic
//! loads, no message, no sweep through caches. A change bumps the generation of the accounts it
//! touches and of nobody else, so one account's change never empties a cache (R2: "holds before the
//! call returns" means that the bump was done).
//!
//! Generations are drawn from one clock of changes. That lets somebody who has to read the database
//! before it knows *whose* answer it reads take a [`Moment`] first and its stamp afterwards, without
//! a window in which a change is missed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering, fence};
use crate::directory::{AccountId, Life};

const SHARDS: usize = 64;
/// A shard looks for blocks that nobody needs any more when it has grown to this many, then at each
/// doubling.
const FIRST_SWEEP: usize = 64;

/// What the node remembers of one account.
#[derive(Debug)]
pub struct Subject {
    generation: AtomicU64,
    /// The mark of the newest failure that may be on record; 0 when none is.
    streak: AtomicU64,
    /// The last life of the account in which it tripped; 0 when it never did.
    tripped_life: AtomicU64,
}

impl Subject {
    const fn new(generation: u64) -> Self {
        Self { generation: AtomicU64::new(generation), streak: AtomicU64::new(0), tripped_life: AtomicU64::new(0) }
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The mark of the newest failure that may be on record; 0 when none is, and a good credential
    /// needs no look at the counts (L3).
    pub fn streak(&self) -> u64 {
        self.streak.load(Ordering::Acquire)
    }

    /// Removes the mark that [`Subject::streak`] answered, unless a newer failure has set another.
    pub fn clear_mark(&self, seen: u64) {
        // Losing this race is the point of it: the newer failure stays marked.
        let _kept = self.streak.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether too many failures shut the account in `life` or a later one (L2).
    pub fn tripped_in(&self, life: Life) -> bool {
        self.tripped_life.load(Ordering::Acquire) >= life.0
    }

    /// Whether somebody who drops this block and makes it anew would forget something.
    fn remembers(&self) -> bool {
        self.streak() != 0 || self.tripped_life.load(Ordering::Acquire) != 0
    }
}

/// The blocks of all accounts that this node has dealt with. A handle: clones share the blocks.
#[derive(Clone, Default)]
pub struct Subjects(Arc<Shared>);

struct Shared {
    /// Counts changes, and hands out generations.
    changes: AtomicU64,
    /// Hands out marks, so that no two failures share one and a cleared mark is never mistaken for a
    /// newer one.
    marks: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

struct Shard {
    blocks: HashMap<AccountId, Arc<Subject>>,
    sweep_at: usize,
}

impl Default for Shared {
    fn default() -> Self {
        let shard = |_| Mutex::new(Shard { blocks: HashMap::new(), sweep_at: FIRST_SWEEP });
        Self { changes: AtomicU64::new(0), marks: AtomicU64::new(0), shards: std::array::from_fn(shard) }
    }
}

impl Subjects {
    pub fn new() -> Self {
        Self::default()
    }

    /// The account's block; made when there is none.
    pub fn subject(&self, account: AccountId) -> Arc<Subject> {
        let mut shard = self.shard(account);
        if let Some(subject) = shard.blocks.get(&account) {
            return Arc::clone(subject);
        }
        shard.sweep();
        // A block that was dropped and is made again counts as changed just now: a reader that began
        // before cannot have seen what was bumped on the dropped one.
        let subject = Arc::new(Subject::new(self.0.changes.load(Ordering::Acquire)));
        shard.blocks.insert(account, Arc::clone(&subject));
        subject
    }

    /// Takes note of a change that takes something away. Called after the commit and before the
    /// operation returns; what runs is ended by [`super::InFlight::cut`].
    pub fn narrow(&self, account: AccountId) {
        self.bump(&self.subject(account));
    }

    /// Takes note of a change that gives something, so that no cache goes on refusing it.
    pub fn widen(&self, account: AccountId) {
        self.bump(&self.subject(account));
    }

    /// Marks a failure that is about to be counted, and once more when what this answers is dropped: to be
    /// held while it is counted. A success that starts afterwards sees the first mark and resets the count;
    /// and one that came between the mark and the count, and took the mark along, leaves the second.
    #[must_use = "it is to be held while the failure is counted"]
    pub fn failing<'a>(&'a self, subject: &'a Subject) -> Failing<'a> {
        self.mark(subject);
        Failing { subjects: self, subject }
    }

    /// Marks that a failure is, or may be, on record.
    pub fn mark(&self, subject: &Subject) {
        let mark = self.0.marks.fetch_add(1, Ordering::Relaxed) + 1;
        subject.streak.store(mark, Ordering::Release);
    }

    /// Marks that the account tripped in `life`, and ends every cached answer about it. True when
    /// this node did not know yet.
    pub fn trip(&self, subject: &Subject, life: Life) -> bool {
        let before = subject.tripped_life.fetch_max(life.0, Ordering::AcqRel);
        self.bump(subject);
        before < life.0
    }

    /// Now, in changes: to be taken before reading what a stamp is later taken for.
    pub fn moment(&self) -> Moment {
        Moment(self.0.changes.load(Ordering::Acquire))
    }

    /// How many blocks are kept; for the metric.
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).blocks.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bump(&self, subject: &Subject) {
        let generation = self.0.changes.fetch_add(1, Ordering::AcqRel) + 1;
        subject.generation.fetch_max(generation, Ordering::AcqRel);
    }

    fn shard(&self, account: AccountId) -> MutexGuard<'_, Shard> {
        // The last byte of an account's id is random (RFC 9562, version 7).
        lock(&self.0.shards[usize::from(account.as_bytes()[15]) % SHARDS])
    }
}

/// A failure that is being counted.
#[derive(Debug)]
pub struct Failing<'a> {
    subjects: &'a Subjects,
    subject: &'a Subject,
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.subjects.mark(self.subject);
    }
}

impl Shard {
    /// Drops blocks that nobody holds and that remember nothing, once the shard has doubled.
    fn sweep(&mut self) {
        if self.blocks.len() < self.sweep_at {
            return;
        }
        // Handles are only made under this lock, so a count of one means: nobody but the map.
        self.blocks.retain(|_, subject| Arc::strong_count(subject) > 1 || subject.remembers());
        // Whoever let go of a dropped block may have bumped it first; what it drew from the clock of
        // changes is seen from here on, so that the block made next is not younger than the bump.
        fence(Ordering::Acquire);
        self.sweep_at = FIRST_SWEEP.max(self.blocks.len() * 2);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic under this lock can only have come from allocation; the map is whole.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subjects").field("blocks", &self.len()).finish_non_exhaustive()
    }
}

/// A point in the order of changes on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The proof that an answer about an account, and about its owner, is as fresh as when it was read.
///
/// Taken before the database is read. Where the accounts are known only after reading,
/// [`Subjects::moment`] is taken before and [`Stamp::since`] after.
#[derive(Debug, Clone)]
pub struct Stamp {
    account: (Arc<Subject>, u64),
    owner: Option<(Arc<Subject>, u64)>,
}

impl Stamp {
    /// A stamp for what is going to be read now.
    pub fn take(subjects: &Subjects, account: AccountId, owner: Option<AccountId>) -> Self {
        let take = |id| {
            let subject = subjects.subject(id);
            let generation = subject.generation();
            (subject, generation)
        };
        Self { account: take(account), owner: owner.map(take) }
    }

    /// A stamp for what was read after `moment`; `None` when one of the two has changed since, and
    /// what was read may be old: take a new moment and read again.
    pub fn since(subjects: &Subjects, moment: Moment, account: AccountId, owner: Option<AccountId>) -> Option<Self> {
        let stamp = Self::take(subjects, account, owner);
        let fresh = stamp.account.1 <= moment.0 && stamp.owner.as_ref().is_none_or(|(_, of)| *of <= moment.0);
        fresh.then_some(stamp)
    }

    /// Whether nothing has changed since: two atomic loads.
    #[inline]
    pub fn holds(&self) -> bool {
        let unchanged = |(subject, generation): &(Arc<Subject>, u64)| subject.generation() == *generation;
        unchanged(&self.account) && self.owner.as_ref().is_none_or(unchanged)
    }

    /// The account's block: whether failures are on record, whether it tripped.
    #[inline]
    pub fn subject(&self) -> &Subject {
        &self.account.0
    }
}
