//! The proven credentials of this node, in two storeys: a map of each thread, and one for all.
//!
//! A thread that serves finds what it knows in a map that no other thread touches: no lock, no shared
//! counter. What it does not know it asks of the node's map, because a credential proven anywhere on
//! this node is proven (L8), and keeps it. Both are bounded. An entry says by itself whether it still
//! holds, so that nobody has to be told when one stops holding.

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use thread_local::ThreadLocal;

use super::digest::Digest;
use super::proven::Proven;
use crate::clock::Timestamp;

type Mine = RefCell<quick_cache::unsync::Cache<Digest, Arc<Proven>>>;

/// The cache of proven credentials.
pub(super) struct Verified {
    mine: ThreadLocal<Mine>,
    all: quick_cache::sync::Cache<Digest, Arc<Proven>>,
    capacity: usize,
}

impl Verified {
    /// A cache of at most `capacity` credentials on each storey.
    pub(super) fn new(capacity: usize) -> Self {
        Self { mine: ThreadLocal::new(), all: quick_cache::sync::Cache::new(capacity), capacity }
    }

    /// The credential of this digest, if it is known and holds for a request from `address` at `now`.
    pub(super) fn recall(&self, digest: &Digest, address: Option<IpAddr>, now: Timestamp) -> Option<Arc<Proven>> {
        let mine = self.mine.get_or(|| RefCell::new(quick_cache::unsync::Cache::new(self.capacity)));
        if let Some(known) = mine.borrow().get(digest)
            && known.holds(address, now)
        {
            known.last_used.touch(now);
            return Some(Arc::clone(known));
        }
        let known = self.known(digest, address, now)?;
        mine.borrow_mut().insert(*digest, Arc::clone(&known));
        Some(known)
    }

    /// The same of the node's map alone, for those who do not serve.
    pub(super) fn known(&self, digest: &Digest, address: Option<IpAddr>, now: Timestamp) -> Option<Arc<Proven>> {
        let known = self.all.get(digest).filter(|known| known.holds(address, now))?;
        known.last_used.touch(now);
        Some(known)
    }

    /// Whether the credential of this digest is proven on this node, be it that a failure on record has to
    /// be cleared before it is recalled.
    pub(super) fn stands(&self, digest: &Digest, address: Option<IpAddr>, now: Timestamp) -> bool {
        self.all.peek(digest).is_some_and(|known| known.stands(address, now))
    }

    /// Remembers a credential that was just proven.
    pub(super) fn remember(&self, digest: Digest, proven: Arc<Proven>) {
        self.all.insert(digest, proven);
    }

    /// All that this node knows, for writing down when each was last used.
    pub(super) fn each(&self, mut look: impl FnMut(&Proven)) {
        for (_, proven) in self.all.iter() {
            look(&proven);
        }
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("known", &self.all.len()).finish_non_exhaustive()
    }
}
