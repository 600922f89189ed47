//! Reasons: why a token was revoked or an account made inactive, from a code table (T6).

use std::fmt;

/// A code such as `no_longer_in_use`: 1–48 of `a–z 0–9 _`, starting with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReasonCode(Box<str>);

/// Why a text is not a reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason code: use a letter, then up to 47 of `a-z 0-9 _`, such as `no_longer_in_use`")]
pub struct ReasonCodeError(pub String);

impl ReasonCode {
    /// The only way to a code.
    ///
    /// # Errors
    /// When the text has another shape.
    pub fn parse(text: &str) -> Result<Self, ReasonCodeError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        if starts_well && text.len() <= 48 && text.chars().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(ReasonCodeError(text.chars().take(64).flat_map(char::escape_debug).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The code that Locum uses when an account's tokens go because the account does.
    pub fn account_inactivated() -> Self {
        Self("account_inactivated".into())
    }

    /// The code of an account that failed too often in a row (L1).
    pub fn failed_attempts() -> Self {
        Self("failed_attempts".into())
    }

    /// The code of a proxy user that went with its owner (P13).
    pub fn owner_inactivated() -> Self {
        Self("owner_inactivated".into())
    }

    /// The code of the keys of a person who does not run Locum any more (A6).
    pub fn administration_ended() -> Self {
        Self("administration_ended".into())
    }

    /// The code of a token whose place another took (T7).
    pub fn rotated() -> Self {
        Self("rotated".into())
    }

    /// The code of a token that had expired (T9).
    pub fn expired() -> Self {
        Self("expired".into())
    }

    /// The code of a token that nobody used for long (T9).
    pub fn no_longer_in_use() -> Self {
        Self("no_longer_in_use".into())
    }

    /// The code of a proxy user that did not authenticate for too long (T12).
    pub fn idle() -> Self {
        Self("idle".into())
    }

    /// The code of an account that an operator made inactive.
    pub fn marked_inactive() -> Self {
        Self("marked_inactive".into())
    }
}

/// What the code table holds from the first start on: code and its meaning (T6).
pub const SEEDED: [(&str, &str); 8] = [
    ("expired", "The token had expired"),
    ("no_longer_in_use", "The service no longer uses the token"),
    ("compromised", "The token was, or may have been, seen by others"),
    ("rotated", "A newer token took its place"),
    ("owner_left", "The owner of the proxy user left"),
    ("account_inactivated", "The account was made inactive"),
    ("administration_ended", "The person no longer runs Locum"),
    ("other", "Another reason"),
];

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
