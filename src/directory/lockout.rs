//! Five failures in a row: the state machine that decides the trip (L1, L2, P11).
//!
//! A streak is a *set of attempts*, not a number: so a retry that repeats an attempt counts once, and
//! two halves that were counted in different places join by union. Every backend that counts has to
//! agree with this machine, step by step.

use std::net::IpAddr;

use super::Life;
use crate::clock::Timestamp;

/// The identity of one attempt, so that counting it again counts it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u128);

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub id: AttemptId,
    /// Where it came from; unknown only where the transport has no address.
    pub address: Option<IpAddr>,
    pub at: Timestamp,
}

/// The failures on record for one account in one of its lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streak {
    pub life: Life,
    /// In the order of counting; never more than the threshold.
    pub attempts: Vec<Attempt>,
    /// When the last of them tripped; from then on nothing is counted in this life.
    pub tripped_at: Option<Timestamp>,
}

/// What counting a failure came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// So many on record now.
    Counted(u32),
    /// This one tripped; answered exactly once in a life, with all attempts of the streak.
    Tripped(Vec<Attempt>),
    /// Tripped before; not counted.
    Locked,
    /// Belongs to an earlier life of the account; not counted.
    Stale,
    /// Counted before under the same id; so many on record.
    Repeated(u32),
}

/// What a success came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Nothing is on record any more.
    Cleared,
    /// The account had tripped: the success comes too late and is no success.
    Locked,
    /// Belongs to an earlier life of the account.
    Stale,
}

impl Streak {
    pub const fn new(life: Life) -> Self {
        Self { life, attempts: Vec::new(), tripped_at: None }
    }

    /// Counts one failure in `life` (L1).
    pub fn fail(&mut self, life: Life, threshold: u32, attempt: Attempt) -> Counted {
        if life < self.life {
            return Counted::Stale;
        }
        if life > self.life {
            *self = Self::new(life);
        }
        if self.tripped_at.is_some() {
            return Counted::Locked;
        }
        if self.attempts.iter().any(|counted| counted.id == attempt.id) {
            return Counted::Repeated(self.count());
        }
        let at = attempt.at;
        self.attempts.push(attempt);
        if self.count() < threshold {
            return Counted::Counted(self.count());
        }
        self.tripped_at = Some(at);
        Counted::Tripped(self.attempts.clone())
    }

    /// Takes note of a success in `life`: the count starts again, unless it came to the trip.
    pub fn succeed(&mut self, life: Life) -> Reset {
        if life < self.life {
            return Reset::Stale;
        }
        if life > self.life {
            *self = Self::new(life);
        }
        if self.tripped_at.is_some() {
            return Reset::Locked;
        }
        self.attempts.clear();
        Reset::Cleared
    }

    /// Joins what was counted elsewhere, by union. Answers `Tripped` when the union reaches the
    /// threshold and neither half had.
    pub fn join(&mut self, other: &Self, threshold: u32) -> Counted {
        if other.life < self.life {
            return Counted::Stale;
        }
        if other.life > self.life {
            *self = Self::new(other.life);
        }
        if self.tripped_at.is_some() {
            return Counted::Locked;
        }
        if other.tripped_at.is_some() {
            self.tripped_at = other.tripped_at;
            self.attempts.clone_from(&other.attempts);
            return Counted::Locked;
        }
        let mut last = Counted::Repeated(self.count());
        for attempt in &other.attempts {
            last = self.fail(other.life, threshold, attempt.clone());
            if matches!(last, Counted::Tripped(_)) {
                return last;
            }
        }
        last
    }

    /// How many failures are on record.
    pub fn count(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }
}
