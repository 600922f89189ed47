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
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// Marks that a failure is about to be counted. Done *before* counting: a success that starts
    /// afterwards sees the mark and resets the count.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u16) -> AccountId {
        let mut bytes = [0; 16];
        bytes[14..].copy_from_slice(&number.to_be_bytes());
        AccountId::from_bytes(bytes)
    }

    /// R2: a change ends the answers about its own account and those of its proxy users, and no other.
    #[test]
    fn a_change_ends_the_stamps_of_its_account_only() {
        let subjects = Subjects::new();
        let (person, proxy, stranger) = (id(1), id(2), id(3));
        let stamps = || {
            let of_proxy = Stamp::take(&subjects, proxy, Some(person));
            (Stamp::take(&subjects, person, None), of_proxy, Stamp::take(&subjects, stranger, None))
        };
        let (of_person, of_proxy, of_stranger) = stamps();
        assert!(of_person.holds() && of_proxy.holds() && of_stranger.holds());
        subjects.narrow(proxy);
        assert!(of_person.holds() && !of_proxy.holds() && of_stranger.holds());
        let (of_person, of_proxy, of_stranger) = stamps();
        subjects.narrow(person);
        assert!(!of_person.holds() && !of_proxy.holds() && of_stranger.holds());
    }

    /// R2: a reader that began before a change never gets a stamp that outlives it.
    #[test]
    fn what_was_read_before_a_change_is_not_stamped_after_it() {
        let subjects = Subjects::new();
        let before = subjects.moment();
        subjects.narrow(id(1));
        assert!(Stamp::since(&subjects, before, id(1), None).is_none());
        assert!(Stamp::since(&subjects, before, id(2), Some(id(1))).is_none());
        let after = subjects.moment();
        assert!(Stamp::since(&subjects, after, id(1), None).unwrap().holds());
        assert!(Stamp::since(&subjects, after, id(2), Some(id(1))).unwrap().holds());
    }

    #[test]
    fn a_block_that_is_made_again_counts_as_changed() {
        let subjects = Subjects::new();
        let before = subjects.moment();
        subjects.narrow(id(256));
        // 256, 512, … share a shard: enough of them make it drop the first block.
        (2..=u16::try_from(FIRST_SWEEP).unwrap() + 2).for_each(|n| drop(subjects.subject(id(n * 256))));
        assert!(subjects.len() <= FIRST_SWEEP, "the shard was never swept");
        assert!(Stamp::since(&subjects, before, id(256), None).is_none());
    }

    #[test]
    fn blocks_that_remember_or_are_held_survive_the_sweep() {
        let subjects = Subjects::new();
        let (marked, tripped) = (id(256), id(512));
        subjects.mark(&subjects.subject(marked));
        subjects.trip(&subjects.subject(tripped), Life::FIRST);
        let held = Stamp::take(&subjects, id(768), None);
        (4..200).for_each(|n| drop(subjects.subject(id(n * 256))));
        assert_ne!(subjects.subject(marked).streak(), 0);
        assert!(subjects.subject(tripped).tripped_in(Life::FIRST));
        subjects.narrow(id(768));
        assert!(!held.holds());
    }

    /// L3: the mark goes with the success that saw it, and stays when a newer failure came.
    #[test]
    fn a_newer_failure_keeps_its_mark() {
        let subjects = Subjects::new();
        let subject = subjects.subject(id(1));
        assert_eq!(subject.streak(), 0);
        subjects.mark(&subject);
        let seen = subject.streak();
        subject.clear_mark(seen);
        assert_eq!(subject.streak(), 0);
        subjects.mark(&subject);
        assert_ne!(subject.streak(), seen);
        subject.clear_mark(seen);
        assert_ne!(subject.streak(), 0);
    }

    /// P11: a trip holds for its life and the ones before, not for the next.
    #[test]
    fn a_trip_belongs_to_its_life() {
        let subjects = Subjects::new();
        let subject = subjects.subject(id(1));
        let stamp = Stamp::take(&subjects, id(1), None);
        assert!(subjects.trip(&subject, Life(2)));
        assert!(!subjects.trip(&subject, Life(2)));
        assert!(!stamp.holds());
        assert!(subject.tripped_in(Life(1)) && subject.tripped_in(Life(2)) && !subject.tripped_in(Life(3)));
    }
}
