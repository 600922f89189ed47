//! Usernames: compared exactly, and never two that differ only in case (P2).

use std::fmt;

/// The name of an account: 1–64 of `A–Z a–z 0–9 . _ - @ +`, compared byte by byte (P2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(Box<str>);

/// Why a text is not a username.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    #[error("a username cannot be empty: use 1 to 64 of `A-Z a-z 0-9 . _ - @ +`")]
    Empty,
    #[error("a username has at most 64 characters, this one has {0}")]
    TooLong(usize),
    #[error("`{0}` cannot stand in a username: use `A-Z a-z 0-9 . _ - @ +`")]
    Character(String),
}

impl Username {
    pub const MAX_LENGTH: usize = 64;

    /// The only way to a username.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        if text.is_empty() {
            return Err(UsernameError::Empty);
        }
        if let Some(stranger) = text.chars().find(|c| !is_allowed(*c)) {
            return Err(UsernameError::Character(stranger.escape_debug().to_string()));
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(UsernameError::TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which no second account can exist: ASCII lower case (P2).
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

const fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+')
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_character_is_accepted_and_kept_as_written() {
        let text = "Ann.O_Neill-2+ci@example.org";
        assert_eq!(Username::parse(text).unwrap().as_str(), text);
    }

    #[test]
    fn what_applications_could_misread_is_refused() {
        for text in ["", " ann", "ann ", "a/b", "a:b", "a,b", "ännä", "a\0b", "ann\u{200d}", "ａnn"] {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
        assert!(Username::parse(&"a".repeat(64)).is_ok());
        assert_eq!(Username::parse(&"a".repeat(65)), Err(UsernameError::TooLong(65)));
    }
}
