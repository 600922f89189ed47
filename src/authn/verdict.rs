//! What authentication answers: proven, refused for a reason that stays inside, throttled, or not now.
//!
//! Every refusal looks the same from outside (L4); the reason is for the log, the metric and the
//! history. So [`RefusalReason`] has a slug and nothing that a client could be shown.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::presented::Fault;
use super::proven::Proven;

/// Where an attempt came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The client's address; unknown only where the transport has none.
    pub address: Option<IpAddr>,
}

/// The outcome of judging one presented credential.
#[derive(Debug, Clone)]
pub enum Verdict {
    Proven(Arc<Proven>),
    Refused(RefusalReason),
    /// The source has failed too often; not judged and not counted. Try again after so long (L8).
    Throttled(Duration),
    /// Too many wait to be judged; not judged and not counted.
    Late,
    /// Nobody could judge: no store, no counter, no room. Refused without an opinion (503).
    Unavailable,
}

/// Why a credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// It holds no token that could be looked up.
    Malformed(Fault),
    /// The username is no proxy user's: unknown, impossible, or a person's (L9).
    UnknownUser,
    /// No token has this public id.
    UnknownToken,
    /// The public id exists, the secret is another.
    WrongSecret,
    /// A right token under another username than its own proxy user's (G2).
    WrongUsername,
    /// A right token without the username that the route requires beside it (G2).
    UsernameMissing,
    /// From outside the networks that the account or its token names (L10).
    OutsideNetworks,
    /// The proxy user is inactive (P10).
    AccountInactive,
    /// Its owner is inactive (P13).
    OwnerInactive,
    /// Too many failures in a row; the account is being shut (L1).
    Locked,
    Revoked,
    Expired,
    /// Right, but not confirmed yet (T3).
    Pending,
    /// Never confirmed in time (T3).
    Lapsed,
}

impl RefusalReason {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Malformed(fault) => fault.slug(),
            Self::UnknownUser => "unknown_user",
            Self::UnknownToken => "unknown_token",
            Self::WrongSecret => "wrong_secret",
            Self::WrongUsername => "wrong_username",
            Self::UsernameMissing => "username_missing",
            Self::OutsideNetworks => "outside_networks",
            Self::AccountInactive => "account_inactive",
            Self::OwnerInactive => "owner_inactive",
            Self::Locked => "locked",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Lapsed => "lapsed",
        }
    }
}
