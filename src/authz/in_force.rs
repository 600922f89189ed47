//! What is in force for an account at one moment, stamped so that it can be seen to be out of date.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::Stamp;
use crate::directory::{Account, AppName, LegacyName, Personal, RoleSet};

/// An active account with the roles, apps and permissions that it holds, capped by its owner (P5).
#[derive(Debug)]
pub struct InForce {
    pub account: Account,
    /// The person that a proxy user belongs to.
    pub owner: Option<Account>,
    pub roles: RoleSet,
    /// What is known of the person: the account itself, or the owner of a proxy user. Without the phone number, which
    /// no app is told (A2).
    pub person: Personal,
    /// What that person is called in apps (U5).
    pub legacy_names: BTreeMap<AppName, LegacyName>,
    /// Holds as long as nothing changed for the account or its owner since they were read (R2).
    pub stamp: Stamp,
}

/// The outcome of resolving an account.
#[derive(Debug, Clone)]
pub enum Resolution {
    InForce(Arc<InForce>),
    /// The account may do nothing any more; to be answered like a refused credential.
    Withdrawn(Withdrawn),
    /// Nobody could say: no store, or no room. Refused without an opinion (503).
    Unavailable,
}

/// Why an account may do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Withdrawn {
    /// It was deleted.
    Gone,
    /// It is inactive (P10).
    Inactive,
    /// Its owner is inactive (P13).
    OwnerInactive,
}

impl Withdrawn {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Gone => "account_gone",
            Self::Inactive => "account_inactive",
            Self::OwnerInactive => "owner_inactive",
        }
    }
}
