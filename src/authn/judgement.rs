//! The judgement itself, as a function: what was presented beside what is known, and what follows.
//!
//! Pure: no wait, no clock, no counter. So the whole table of L6, L9, L10 and T3 (who is charged, who is
//! told, and for what) can be read and tested here, apart from the machinery that carries it out.

use std::net::IpAddr;

use super::lockout::Counts;
use super::presented::Presented;
use super::verdict::RefusalReason;
use crate::clock::Timestamp;
use crate::directory::pat::Standing;
use crate::directory::{Account, AccountId, Kind, Life};
use crate::store::{KeptPat, LookUp};

/// Everything that a judgement stands on.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) presented: &'a Presented,
    pub(super) found: &'a LookUp,
    /// Whether the presented token is, to the bit, the one that is kept under its public id.
    pub(super) secret_agrees: bool,
    pub(super) address: Option<IpAddr>,
    pub(super) now: Timestamp,
}

/// What a case comes to.
#[derive(Debug)]
pub(super) enum Judgement<'a> {
    Good(&'a KeptPat),
    Bad(Refusal),
}

/// A refusal and what it leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: RefusalReason,
    pub(super) charged: Charged,
    /// What the owner of the account has to be told.
    pub(super) told: Option<Told>,
}

/// To whom a failure is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charged {
    /// An attempt on this account, and a failure of the source.
    Account(AccountId, Life),
    /// A failure of the source alone.
    Source,
    /// No failure at all (T3).
    Nobody,
}

/// What an owner is told of, because the secret was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Told {
    /// An expired or revoked token is still in use (L6).
    Stale(AccountId),
    /// A right token came from outside its networks (L10).
    OutsideNetworks(AccountId),
}

impl<'a> Case<'a> {
    /// Judges the case, under the mode that says what counts (L6).
    pub(super) fn judge(&self, counts: Counts) -> Judgement<'a> {
        let kept = self.kept();
        match (self.reason(kept), kept) {
            (None, Some(kept)) => Judgement::Good(kept),
            (Some(reason), kept) => Judgement::Bad(Refusal {
                reason,
                charged: self.charged(reason, kept, counts),
                told: self.told(reason, kept, counts),
            }),
            (None, None) => {
                Judgement::Bad(Refusal { reason: RefusalReason::UnknownToken, charged: Charged::Source, told: None })
            }
        }
    }

    /// The proxy user that is named. A person's username is as good as unknown here: people do not
    /// authenticate with tokens, and are never shut by failures (L9).
    fn named(&self) -> Option<&'a Account> {
        self.found.named.as_ref().filter(|account| is_proxy(account))
    }

    fn kept(&self) -> Option<&'a KeptPat> {
        self.found.pat.as_ref().filter(|kept| is_proxy(&kept.account))
    }

    /// The one account that an attempt is on: the one that it names, else the one whose token it carries
    /// (L10).
    fn attempted(&self, kept: Option<&'a KeptPat>) -> Option<&'a Account> {
        self.named().or(kept.map(|kept| &kept.account))
    }

    /// Whether the attempt comes from outside of where the account that it is on may be used from, or of
    /// where its own token may. Asked first, so that nobody outside can do anything to the account.
    fn is_outside(&self, kept: Option<&'a KeptPat>) -> bool {
        let Some(attempted) = self.attempted(kept) else { return false };
        let its_token = kept.filter(|kept| kept.account.id == attempted.id);
        !attempted.networks.allow(self.address)
            || its_token.is_some_and(|kept| !kept.pat.restrictions.networks.allow(self.address))
    }

    fn reason(&self, kept: Option<&'a KeptPat>) -> Option<RefusalReason> {
        if self.is_outside(kept) {
            return Some(RefusalReason::OutsideNetworks);
        }
        let Some(kept) = kept else { return Some(self.reason_without_token()) };
        let account = &kept.account;
        let its_own = !self.presented.gives_username() || self.presented.username() == Some(account.username.as_str());
        let owner_active = kept.owner.as_ref().is_some_and(|owner| owner.state.is_active());
        let standing = kept.pat.standing(self.now);
        if !self.secret_agrees {
            Some(RefusalReason::WrongSecret)
        } else if standing == Standing::Pending {
            Some(RefusalReason::Pending)
        } else if self.presented.lacks_its_username() {
            Some(RefusalReason::UsernameMissing)
        } else if !its_own {
            Some(RefusalReason::WrongUsername)
        } else if !account.state.is_active() {
            Some(RefusalReason::AccountInactive)
        } else if !owner_active {
            Some(RefusalReason::OwnerInactive)
        } else {
            match standing {
                Standing::Usable => None,
                Standing::Pending => Some(RefusalReason::Pending),
                Standing::Lapsed => Some(RefusalReason::Lapsed),
                Standing::Expired => Some(RefusalReason::Expired),
                Standing::Revoked => Some(RefusalReason::Revoked),
            }
        }
    }

    fn reason_without_token(&self) -> RefusalReason {
        if self.presented.gives_username() && self.named().is_none() {
            return RefusalReason::UnknownUser;
        }
        match self.presented.public_id() {
            Ok(_) => RefusalReason::UnknownToken,
            Err(fault) => RefusalReason::Malformed(fault),
        }
    }

    fn charged(&self, reason: RefusalReason, kept: Option<&'a KeptPat>, counts: Counts) -> Charged {
        if reason == RefusalReason::Pending {
            return Charged::Nobody;
        }
        // An account that is shut already cannot be shut by failures, and its next life begins at none.
        let Some(attempted) = self.attempted(kept).filter(|account| account.state.is_active()) else {
            return Charged::Source;
        };
        let counted = match (reason, counts) {
            (RefusalReason::OutsideNetworks, _) => false,
            (_, Counts::EveryFailure) => true,
            (RefusalReason::WrongSecret, Counts::Guesses) => kept.is_some_and(|kept| kept.account.id == attempted.id),
            (_, Counts::Guesses) => false,
        };
        if counted { Charged::Account(attempted.id, attempted.life) } else { Charged::Source }
    }

    fn told(&self, reason: RefusalReason, kept: Option<&'a KeptPat>, counts: Counts) -> Option<Told> {
        let kept = kept.filter(|_| self.secret_agrees)?;
        let stale = matches!(kept.pat.standing(self.now), Standing::Expired | Standing::Revoked);
        match (reason, counts) {
            (RefusalReason::OutsideNetworks, _) => {
                // Under another's name it is that one's networks that were in the way, and not its own.
                let its_own = self.attempted(Some(kept)).is_some_and(|attempted| attempted.id == kept.account.id);
                its_own.then_some(Told::OutsideNetworks(kept.account.id))
            }
            (_, Counts::Guesses) if stale => Some(Told::Stale(kept.account.id)),
            (_, Counts::Guesses | Counts::EveryFailure) => None,
        }
    }
}

const fn is_proxy(account: &Account) -> bool {
    matches!(account.kind, Kind::Proxy { .. })
}

#[cfg(test)]
mod tests;
