//! Personal access tokens: their life, what they are restricted to, and how one takes the place of another
//! (T1–T3, T6, T7, T10).

use std::net::IpAddr;
use std::time::Duration;

use super::{AccountId, Actor, AppName, Networks, PublicId, ReasonCode};
use crate::clock::Timestamp;

/// The longest life of a token, whatever is asked for: 365 × 24 hours (T2).
pub const LONGEST_LIFE: Duration = Duration::from_hours(365 * 24);
/// The shortest silence by which a token may end before its overlap does (T7): when a token was last used is written
/// down every half minute, and by each node for itself.
pub const SHORTEST_SILENCE: Duration = Duration::from_mins(5);

/// One token as it is kept: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pat {
    pub public_id: PublicId,
    pub account: AccountId,
    /// The service or process that uses it, 1–200 characters.
    pub service: String,
    pub state: PatState,
    pub created_at: Timestamp,
    pub created_by: Actor,
    /// Invalid *at* this instant.
    pub expires_at: Timestamp,
    pub restrictions: Restrictions,
    pub last_used: Option<LastUse>,
    /// Which token it takes the place of, and how (T7).
    pub succession: Option<Succession>,
    /// Invalid *at* this instant too: its successor was confirmed (T7).
    pub retires_at: Option<Timestamp>,
}

/// When a token was last used, from where and for which app, where that is known (T8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    pub at: Timestamp,
    pub address: Option<IpAddr>,
    pub app: Option<AppName>,
}

impl LastUse {
    /// At this instant; nothing else is known.
    pub const fn at(at: Timestamp) -> Self {
        Self { at, address: None, app: None }
    }
}

/// How a token takes the place of another (T7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// The token before.
    pub of: PublicId,
    pub terms: Terms,
}

/// For how long both tokens of a rotation are valid (T7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// For at most so long after the new one was confirmed.
    pub overlap: Duration,
    /// Or until the new one is in use and the old one was not for so long.
    pub silence: Option<Duration>,
}

/// Where a token stands in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatState {
    /// Made, not yet confirmed as copied; lapses at `until` (T3).
    Pending {
        until: Timestamp,
    },
    Confirmed {
        at: Timestamp,
    },
    Revoked {
        at: Timestamp,
        by: Actor,
        reason: ReasonCode,
    },
}

/// What a token says of itself at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Usable,
    Pending,
    /// Was never confirmed in time.
    Lapsed,
    Expired,
    Revoked,
}

impl Standing {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Pending => "pending",
            Self::Lapsed => "lapsed",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// Why a token's state cannot change as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatRefusal {
    #[error("the token was already confirmed")]
    AlreadyConfirmed,
    #[error("the token was not confirmed in time and lapsed: make a new one")]
    Lapsed,
    #[error("the token is revoked")]
    Revoked,
    #[error("the token has expired: make a new one")]
    Expired,
    #[error("the name of the service has to have 1 to 200 characters, this one has {0}")]
    Service(usize),
    #[error("a token cannot live for {asked}: the longest life here is {longest}", asked = days(*.asked), longest = days(*.longest))]
    TooLong { asked: Duration, longest: Duration },
    #[error("a token has to live for at least a minute")]
    TooShort,
    #[error("only a token that can be used is rotated, this one is {}: make a new one", .0.slug())]
    NotUsable(Standing),
    #[error("another token takes its place already")]
    AlreadyRotated,
    #[error("the overlap cannot be {asked}: the longest life of a token here is {longest}", asked = days(*.asked), longest = days(*.longest))]
    OverlapTooLong { asked: Duration, longest: Duration },
    #[error("the silence after which the old token ends has to be {} minutes at least, and shorter than the overlap", SHORTEST_SILENCE.as_secs() / 60)]
    Silence,
}

fn days(life: Duration) -> String {
    let hours = life.as_secs() / 3600;
    if hours.is_multiple_of(24) { format!("{} days", hours / 24) } else { format!("{hours} hours") }
}

impl Pat {
    /// What the token is at `now`, on its own (its account is judged apart). Expiry is *at* the
    /// instant (T2, T10), and so is the end of an overlap (T7); a revoked token stays revoked for ever.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match &self.state {
            PatState::Revoked { .. } => Standing::Revoked,
            _ if now >= self.expires_at => Standing::Expired,
            _ if self.retires_at.is_some_and(|retires_at| now >= retires_at) => Standing::Revoked,
            PatState::Pending { until } if now >= *until => Standing::Lapsed,
            PatState::Pending { .. } => Standing::Pending,
            PatState::Confirmed { .. } => Standing::Usable,
        }
    }

    /// The instant *at* which it is invalid, whether or not anybody does anything about it (T7, T10).
    pub fn ends_at(&self) -> Timestamp {
        self.retires_at.map_or(self.expires_at, |retires_at| retires_at.min(self.expires_at))
    }

    /// Whether another token can take its place (T7).
    ///
    /// # Errors
    /// When it cannot be used at `now`, or another takes its place already.
    pub fn may_be_rotated(&self, now: Timestamp) -> Result<(), PatRefusal> {
        match self.standing(now) {
            Standing::Usable if self.retires_at.is_some() => Err(PatRefusal::AlreadyRotated),
            Standing::Usable => Ok(()),
            standing => Err(PatRefusal::NotUsable(standing)),
        }
    }

    /// Sets its end, now that its successor was confirmed at `now` (T7). Answers whether anything changed: what has
    /// ended, or ends no later by an earlier rotation, stays as it is.
    pub fn retire(&mut self, now: Timestamp, terms: &Terms) -> bool {
        let retires_at = now.plus(terms.overlap);
        let sooner = self.standing(now) == Standing::Usable && retires_at < self.ends_at();
        if sooner {
            self.retires_at = Some(retires_at);
        }
        sooner
    }

    /// Confirms that the secret was copied (T3).
    ///
    /// # Errors
    /// When the token is not pending any more.
    pub fn confirm(&mut self, now: Timestamp) -> Result<(), PatRefusal> {
        match self.standing(now) {
            Standing::Pending => {
                self.state = PatState::Confirmed { at: now };
                Ok(())
            }
            Standing::Usable => Err(PatRefusal::AlreadyConfirmed),
            Standing::Lapsed => Err(PatRefusal::Lapsed),
            Standing::Expired => Err(PatRefusal::Expired),
            Standing::Revoked => Err(PatRefusal::Revoked),
        }
    }

    /// Revokes the token, also an expired or a pending one (T6).
    ///
    /// # Errors
    /// [`PatRefusal::Revoked`] when it already is: the first reason stands.
    pub fn revoke(&mut self, now: Timestamp, by: Actor, reason: ReasonCode) -> Result<(), PatRefusal> {
        if matches!(self.state, PatState::Revoked { .. }) {
            return Err(PatRefusal::Revoked);
        }
        self.state = PatState::Revoked { at: now, by, reason };
        Ok(())
    }
}

/// The life that a token gets: what was asked for, or the longest that the operator allows (T2).
///
/// # Errors
/// When more is asked for than is allowed, or less than a minute.
pub fn life(asked: Option<Duration>, operators_ceiling: Duration) -> Result<Duration, PatRefusal> {
    let longest = operators_ceiling.min(LONGEST_LIFE);
    match asked {
        None => Ok(longest),
        Some(asked) if asked > longest => Err(PatRefusal::TooLong { asked, longest }),
        Some(asked) if asked < Duration::from_mins(1) => Err(PatRefusal::TooShort),
        Some(asked) => Ok(asked),
    }
}

impl Terms {
    /// The terms of a rotation, if they can be kept (T7).
    ///
    /// # Errors
    /// When the overlap is longer than a token lives, or the silence shorter than it can be seen or not shorter than the
    /// overlap.
    pub fn new(overlap: Duration, silence: Option<Duration>, operators_ceiling: Duration) -> Result<Self, PatRefusal> {
        let longest = operators_ceiling.min(LONGEST_LIFE);
        if overlap > longest {
            return Err(PatRefusal::OverlapTooLong { asked: overlap, longest });
        }
        if silence.is_some_and(|silence| silence < SHORTEST_SILENCE || silence >= overlap) {
            return Err(PatRefusal::Silence);
        }
        Ok(Self { overlap, silence })
    }
}

/// Checks the name of the service that will use a token (T1).
///
/// # Errors
/// [`PatRefusal::Service`] with the number of characters it has.
pub fn service_name(text: &str) -> Result<String, PatRefusal> {
    let trimmed = text.trim();
    match trimmed.chars().count() {
        length @ 1..=200 if !trimmed.chars().any(char::is_control) && length > 0 => Ok(trimmed.to_owned()),
        length => Err(PatRefusal::Service(length)),
    }
}

/// What narrows a token beyond its account (T1). Empty lists mean "not narrowed".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restrictions {
    pub networks: Networks,
    pub apps: Vec<AppName>,
    /// Only safe methods (RFC 9110 §9.2.1).
    pub read_only: bool,
}

impl Restrictions {
    pub fn allow_app(&self, app: &AppName) -> bool {
        self.apps.is_empty() || self.apps.contains(app)
    }
}
