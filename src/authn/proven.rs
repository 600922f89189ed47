//! A proven credential: who it is, and for how long and from where that holds.
//!
//! It is an answer that was right when it was given, and it carries what it takes to see, with a few
//! loads and no lock, whether it still is: expiry at the instant, the networks of both, the stamp of
//! its account and owner, and whether a failure is on record that a success has to clear first.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::cluster::Stamp;
use crate::directory::{AccountId, AppName, Kind, LastUse, Life, Networks, PublicId, Restrictions, Username};

/// An account that has authenticated with one of its tokens.
#[derive(Debug)]
pub struct Proven {
    pub account: AccountId,
    pub username: Username,
    pub kind: Kind,
    /// The person that the proxy user belongs to.
    pub owner: Option<(AccountId, Username)>,
    pub life: Life,
    /// Where the account may be used from; its token can only narrow that (L10).
    pub networks: Networks,
    pub pat: PublicId,
    /// The service or process that the token was made for.
    pub service: String,
    /// Invalid *at* this instant (T10).
    pub expires_at: Timestamp,
    pub restrictions: Restrictions,
    /// Holds as long as nothing changed for the account or its owner since they were read (R2).
    pub stamp: Stamp,
    pub(super) last_used: LastUsed,
}

impl Proven {
    /// Notes from where and for which app it is used: once for each use that is written down, so that a request costs
    /// the look at one flag (T8).
    #[inline]
    pub fn is_used(&self, address: Option<IpAddr>, app: &AppName) {
        if self.last_used.wants_whence.load(Ordering::Relaxed) {
            self.last_used.note(address, app);
        }
    }
}

impl Proven {
    /// Whether it still holds for a request from `address` at `now`, with nothing on record that a
    /// success would have to clear first (L3).
    #[inline]
    pub fn holds(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        self.stands(address, now) && self.stamp.subject().streak() == 0
    }

    /// Whether it was proven here and nothing has taken it back: [`Proven::holds`], whatever is on record.
    #[inline]
    pub fn stands(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        self.stamp.holds()
            && now < self.expires_at
            && self.networks.allow(address)
            && self.restrictions.networks.allow(address)
    }
}

/// When a credential was last used, to the half minute: exact enough for a list of tokens, and rare
/// enough that threads which serve do not write into each other's memory.
#[derive(Debug)]
pub(super) struct LastUsed {
    seen: AtomicI64,
    written: AtomicI64,
    /// Whether nobody has said yet where the use was that `seen` tells of.
    wants_whence: AtomicBool,
    whence: Mutex<(Option<IpAddr>, Option<AppName>)>,
}

impl LastUsed {
    const EXACTNESS: Duration = Duration::from_secs(30);

    pub(super) const fn at(now: Timestamp) -> Self {
        Self {
            seen: AtomicI64::new(now.as_millis()),
            written: AtomicI64::new(i64::MIN),
            wants_whence: AtomicBool::new(true),
            whence: Mutex::new((None, None)),
        }
    }

    #[inline]
    pub(super) fn touch(&self, now: Timestamp) {
        let seen = Timestamp::from_millis(self.seen.load(Ordering::Relaxed));
        if now.since(seen) >= Self::EXACTNESS {
            self.seen.store(now.as_millis(), Ordering::Relaxed);
            self.wants_whence.store(true, Ordering::Relaxed);
        }
    }

    #[cold]
    fn note(&self, address: Option<IpAddr>, app: &AppName) {
        if self.wants_whence.swap(false, Ordering::Relaxed) {
            *self.whence.lock().unwrap_or_else(PoisonError::into_inner) = (address, Some(app.clone()));
            // What was written of this use meanwhile did not say where it was.
            self.written.store(i64::MIN, Ordering::Relaxed);
        }
    }

    /// What has to be written down, once.
    pub(super) fn take(&self) -> Option<LastUse> {
        let seen = self.seen.load(Ordering::Relaxed);
        if self.written.swap(seen, Ordering::Relaxed) == seen {
            return None;
        }
        let at = Timestamp::from_millis(seen);
        if self.wants_whence.load(Ordering::Relaxed) {
            return Some(LastUse::at(at));
        }
        let (address, app) = self.whence.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(LastUse { at, address, app })
    }
}
