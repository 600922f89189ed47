//! Accounts: anything that can authenticate, as a person or as a person's proxy user.

use std::fmt;

use uuid::Uuid;

use super::{Actor, Networks, ReasonCode, Username};
use crate::clock::Timestamp;

/// The immutable name of an account inside Locum. Counters, caches and the history use it, never the
/// username that somebody typed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Uuid);

impl AccountId {
    /// A new id (UUID version 7, RFC 9562) from an instant and ten random bytes.
    pub fn new(now: Timestamp, random: &[u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which kind of account, with what only that kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Person,
    /// A non-interactive account that belongs to exactly one person.
    Proxy {
        owner: AccountId,
    },
}

impl Kind {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Proxy { .. } => "proxy",
        }
    }

    pub const fn owner(self) -> Option<AccountId> {
        match self {
            Self::Person => None,
            Self::Proxy { owner } => Some(owner),
        }
    }
}

/// Whether an account may authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Active,
    Inactive { at: Timestamp, by: Actor, reason: ReasonCode },
}

impl State {
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

/// How often an account has been made active: failures counted in one life do not count in the next
/// (P11). The first life is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(pub u64);

impl Life {
    pub const FIRST: Self = Self(1);

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One account as the directory knows it. Holds no personal data: names and addresses arrive with
/// their sealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub username: Username,
    pub kind: Kind,
    pub state: State,
    pub life: Life,
    /// Where it may be used from; its tokens can only narrow that (L10).
    pub networks: Networks,
    pub created_at: Timestamp,
}
