//! Keys of the admin API: whose they are, what they may reach, and how they end (A6).
//!
//! A key acts as the person who holds it, with the grade that this person has now, and within the key's scopes:
//! it can never do more than either allows.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::{AccountId, Actor, PublicId, ReasonCode, pat};
use crate::clock::Timestamp;

/// One part of the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    People,
    Tokens,
    Roles,
    History,
    Administrators,
    Keys,
    Jobs,
    Gateway,
}

impl Area {
    pub const ALL: [Self; 8] = [
        Self::People,
        Self::Tokens,
        Self::Roles,
        Self::History,
        Self::Administrators,
        Self::Keys,
        Self::Jobs,
        Self::Gateway,
    ];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Tokens => "tokens",
            Self::Roles => "roles",
            Self::History => "history",
            Self::Administrators => "administrators",
            Self::Keys => "keys",
            Self::Jobs => "jobs",
            Self::Gateway => "gateway",
        }
    }
}

/// Whether a part of the API is looked at, or changed too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    Read,
    /// And read: a change answers with what it made.
    Write,
}

impl Access {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// One thing that a key may do: `AREA:read` or `AREA:write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub area: Area,
    pub access: Access,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area.slug(), self.access.slug())
    }
}

/// Everything that a key may do; at least one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("a key needs at least one scope, such as `people:read`")]
    None,
    #[error("`{0}` is no scope: write `AREA:read` or `AREA:write`, the areas being {areas}, or `all`", areas = areas())]
    Unknown(String),
}

fn areas() -> String {
    Area::ALL.map(|area| format!("`{}`", area.slug())).join(", ")
}

impl Scopes {
    /// Reads scopes. `all:read` and `all:write` stand for those of every area that there is now.
    ///
    /// # Errors
    /// When there is none, or one of them cannot be read.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut scopes = BTreeSet::new();
        for text in texts {
            let refuse = || ScopeError::Unknown(text.chars().take(64).flat_map(char::escape_debug).collect());
            let (area, access) = text.split_once(':').ok_or_else(refuse)?;
            let known = [Access::Read, Access::Write].into_iter().find(|known| known.slug() == access);
            let access = known.ok_or_else(refuse)?;
            let meant: Vec<_> = Area::ALL.into_iter().filter(|known| area == "all" || known.slug() == area).collect();
            if meant.is_empty() {
                return Err(refuse());
            }
            scopes.extend(meant.into_iter().map(|area| Scope { area, access }));
        }
        if scopes.is_empty() { Err(ScopeError::None) } else { Ok(Self(scopes)) }
    }

    /// Whether they reach so far; what may write may read.
    pub fn allow(&self, wanted: Scope) -> bool {
        self.0.iter().any(|scope| scope.area == wanted.area && scope.access >= wanted.access)
    }

    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

/// Separated by spaces, as they are stored.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(Scope::to_string).collect();
        f.write_str(&texts.join(" "))
    }
}

/// One key as it is kept: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub public_id: PublicId,
    /// The person that it acts as.
    pub account: AccountId,
    /// The service or process that uses it, 1–200 characters.
    pub name: String,
    pub scopes: Scopes,
    pub state: KeyState,
    pub created_at: Timestamp,
    pub created_by: Actor,
    /// Invalid *at* this instant.
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// Whether a key was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    Active,
    Revoked { at: Timestamp, by: Actor, reason: ReasonCode },
}

/// What a key says of itself at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStanding {
    Usable,
    Expired,
    Revoked,
}

impl KeyStanding {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    pub fn standing(&self, now: Timestamp) -> KeyStanding {
        match &self.state {
            KeyState::Revoked { .. } => KeyStanding::Revoked,
            KeyState::Active if self.expires_at <= now => KeyStanding::Expired,
            KeyState::Active => KeyStanding::Usable,
        }
    }

    /// How long it was meant to live.
    pub fn life(&self) -> Duration {
        self.expires_at.since(self.created_at)
    }
}

/// The longest life of a key, whatever is asked for: as a token's (T2).
pub const LONGEST_LIFE: Duration = pat::LONGEST_LIFE;

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(area: Area, access: Access) -> Scope {
        Scope { area, access }
    }

    /// A6: what may write may read, and nothing reaches another area.
    #[test]
    fn scopes_read_back_and_reach_no_further() {
        let scopes = Scopes::parse(["roles:write", "history:read"]).unwrap();
        assert_eq!(scopes.to_string(), "roles:write history:read");
        assert_eq!(Scopes::parse(scopes.to_string().split(' ')).unwrap(), scopes);
        assert!(scopes.allow(scope(Area::Roles, Access::Read)) && scopes.allow(scope(Area::Roles, Access::Write)));
        assert!(scopes.allow(scope(Area::History, Access::Read)));
        assert!(!scopes.allow(scope(Area::History, Access::Write)));
        assert!(!scopes.allow(scope(Area::People, Access::Read)));
        let all = Scopes::parse(["all:read"]).unwrap();
        assert!(Area::ALL.into_iter().all(|area| all.allow(scope(area, Access::Read))));
        assert!(!Area::ALL.into_iter().any(|area| all.allow(scope(area, Access::Write))));
    }

    #[test]
    fn what_is_no_scope_is_refused_in_words() {
        assert_eq!(Scopes::parse([]).unwrap_err(), ScopeError::None);
        for text in ["people", "people:", "people:admin", "nothing:read", ":read", "", "People:read"] {
            assert!(matches!(Scopes::parse([text]), Err(ScopeError::Unknown(_))), "{text}");
        }
        assert!(Scopes::parse(["x"]).unwrap_err().to_string().contains("`people`, `tokens`"));
    }
}
