//! Limits of rate: how many requests one caller, or all of them together, may make (G4).

use std::num::NonZeroU32;
use std::time::Duration;

/// So many requests at once, and so many more in a time, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    pub per: Per,
    /// How many come back in the time of `every`.
    pub requests: NonZeroU32,
    /// Never nothing.
    pub every: Duration,
    /// How many may come at once.
    pub burst: NonZeroU32,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// Those from one IPv4 address or IPv6 /64, before anything is judged.
    Source,
    /// Those that one account may make; of nobody's, those from one source.
    Account,
    /// All that may be made.
    All,
}

impl Per {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Account => "account",
            Self::All => "all",
        }
    }
}
