//! People who run Locum: their level, whether it is in force, and who may act on whom (A1, A4, A5, R5).
//!
//! What somebody has of this is its *administration*, and it is no part of the account: deactivating an
//! administrator takes its rights over Locum and leaves the account as it is, with its roles in the apps.
//! An account that is made inactive takes its administration along; made active again, it is a plain
//! person's until somebody who may reactivates the administration.

use std::collections::BTreeSet;

use super::rights::{Caller, Grade, Right};
use super::{AccountId, Actor, AppName};
use crate::clock::Timestamp;

/// The two levels (A1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Administrator,
    SuperAdministrator,
}

impl Level {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::SuperAdministrator => "super_administrator",
        }
    }

    pub fn from_slug(slug: &str) -> Option<Self> {
        [Self::Administrator, Self::SuperAdministrator].into_iter().find(|level| level.slug() == slug)
    }
}

/// Whether a level is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdministrationState {
    Active,
    /// Kept, but none of its rights, nor the right to administer single apps.
    Inactive {
        at: Timestamp,
        by: Actor,
    },
}

impl AdministrationState {
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive { .. } => "inactive",
        }
    }

    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Active)
    }
}

/// The level of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administration {
    pub level: Level,
    pub state: AdministrationState,
}

/// Everything that one person holds over Locum itself, as it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    pub administration: Option<Administration>,
    /// The apps that it administers (R5).
    pub apps: BTreeSet<AppName>,
    pub granted: BTreeSet<Right>,
}

impl Held {
    pub fn level(&self) -> Option<Level> {
        self.administration.as_ref().map(|held| held.level)
    }

    /// The grade that is in force, given that the account is active.
    pub fn grade(&self) -> Grade {
        match &self.administration {
            Some(held) if !held.state.is_active() => Grade::None,
            Some(held) => match held.level {
                Level::Administrator => Grade::Administrator,
                Level::SuperAdministrator => Grade::SuperAdministrator,
            },
            None if self.apps.is_empty() => Grade::None,
            None => Grade::OfApps(self.apps.clone()),
        }
    }
}

/// Whether `caller` may act on `whose` account, which has this level: on oneself, and on nobody of a higher
/// level (A1). A level that is not in force protects as much as one that is.
pub fn may_act_on(caller: &Caller, whose: AccountId, level: Option<Level>) -> bool {
    let (account, grade) = match caller {
        Caller::HostShell { .. } => return true,
        Caller::ProxyUser { .. } | Caller::StandIn { .. } => return level.is_none(),
        Caller::Person { account, grade, .. } | Caller::ApiKey { account, grade, .. } => (account, grade),
    };
    *account == whose
        || match level {
            None => true,
            Some(Level::Administrator) => matches!(grade, Grade::Administrator | Grade::SuperAdministrator),
            Some(Level::SuperAdministrator) => *grade == Grade::SuperAdministrator,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(grade: Grade) -> Caller {
        Caller::Person { account: AccountId::from_bytes([1; 16]), grade, granted: BTreeSet::new() }
    }

    /// A1: nobody acts on a higher level, everybody on oneself.
    #[test]
    fn nobody_acts_on_a_higher_level() {
        let levels = [None, Some(Level::Administrator), Some(Level::SuperAdministrator)];
        let of_crm = Grade::OfApps([AppName::parse("crm").unwrap()].into());
        let grades = [Grade::None, of_crm, Grade::Administrator, Grade::SuperAdministrator];
        let reached = grades.map(|grade| {
            let caller = by(grade);
            levels.map(|level| may_act_on(&caller, AccountId::from_bytes([2; 16]), level))
        });
        assert_eq!(
            reached,
            [[true, false, false], [true, false, false], [true, true, false], [true, true, true]],
            "by grade, on nobody of note, an administrator, a super administrator"
        );
        assert!(may_act_on(&by(Grade::None), AccountId::from_bytes([1; 16]), Some(Level::SuperAdministrator)));
    }

    /// A5: while a level is not in force, nothing of the administration is.
    #[test]
    fn an_inactive_administration_has_no_rights_not_even_over_single_apps() {
        let state = AdministrationState::Inactive { at: Timestamp::from_millis(0), by: Actor::Locum };
        let apps = BTreeSet::from([AppName::parse("crm").unwrap()]);
        let mut held = Held { apps: apps.clone(), ..Held::default() };
        assert_eq!(held.grade(), Grade::OfApps(apps));
        held.administration = Some(Administration { level: Level::Administrator, state });
        assert_eq!(held.grade(), Grade::None);
    }
}
