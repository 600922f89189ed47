//! Legacy names: what a person was called in an app before there was a gate (U5).

use std::fmt;

use zeroize::Zeroizing;

/// The user name of a person in one app: 1 to 200 characters, compared exactly. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyName(Zeroizing<String>);

/// Why a text is no legacy name. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a legacy name has 1 to {} characters, none of them a control character, and does not begin or end with a space",
    LegacyName::LONGEST
)]
pub struct LegacyNameError;

impl LegacyName {
    /// In characters.
    pub const LONGEST: usize = 200;

    /// # Errors
    /// [`LegacyNameError`].
    pub fn parse(text: &str) -> Result<Self, LegacyNameError> {
        let good = (1..=Self::LONGEST).contains(&text.chars().count())
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if good { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(LegacyNameError) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LegacyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyName(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// U5
    #[test]
    fn a_legacy_name_is_taken_as_it_is() {
        for good in ["asmith", "DOMAIN\\a.smith", "Smith, Ann", "安"] {
            assert_eq!(LegacyName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " a", "a ", "a\r\nX: y", &"a".repeat(201)] {
            assert_eq!(LegacyName::parse(bad), Err(LegacyNameError), "{bad:?}");
        }
        assert_eq!(format!("{:?}", LegacyName::parse("asmith").unwrap()), "LegacyName(..)");
    }
}
