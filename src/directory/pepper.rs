//! Keyed hashes of tokens: HMAC-SHA-256 over the whole token under a versioned pepper (T4, T5).
//!
//! A token carries 238 random bits, so a fast keyed hash is enough, and a slow one would be a lever
//! for whoever sends junk. The pepper lives outside the database: a stolen database opens nothing.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::Token;

/// The stored form of a token.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// The number of a pepper; tokens say under which one they were hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepperVersion(pub u32);

/// All peppers in use. New tokens are hashed under the one with the highest version.
pub struct Peppers(BTreeMap<PepperVersion, hmac::Key>);

/// Why a pepper file cannot be used. Says nothing of the peppers themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PepperError {
    #[error("line {line}: expected `VERSION HEX`, a number from 1 and at least 64 hexadecimal digits")]
    Line { line: usize },
    #[error("line {line}: version {version} stands there twice")]
    Doubled { line: usize, version: u32 },
    #[error("it holds no pepper: write `1 HEX`, HEX being 64 random hexadecimal digits")]
    Empty,
}

impl Peppers {
    /// Reads the text of a pepper file: one `VERSION HEX` a line, `#` for comments.
    ///
    /// # Errors
    /// Names the first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, PepperError> {
        let mut peppers = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let (line_number, line) = (index + 1, line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = || PepperError::Line { line: line_number };
            let (version, hex) = line.split_once(' ').ok_or_else(refuse)?;
            let version: u32 = version.parse().ok().filter(|v| *v > 0).ok_or_else(refuse)?;
            let bytes = zeroize::Zeroizing::new(hex_bytes(hex.trim()).filter(|b| b.len() >= 32).ok_or_else(refuse)?);
            let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
            if peppers.insert(PepperVersion(version), key).is_some() {
                return Err(PepperError::Doubled { line: line_number, version });
            }
        }
        if peppers.is_empty() { Err(PepperError::Empty) } else { Ok(Self(peppers)) }
    }

    /// The version under which new tokens are hashed.
    pub fn newest(&self) -> PepperVersion {
        *self.0.last_key_value().expect("`parse` refuses an empty set").0
    }

    /// Hashes a token under one pepper; `None` when that version is not in the file.
    pub fn hash(&self, version: PepperVersion, token: &Token) -> Option<TokenHash> {
        let tag = hmac::sign(self.0.get(&version)?, token.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Some(TokenHash(bytes))
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads hexadecimal digits, two a byte.
pub(crate) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::TokenKind;

    /// T5
    #[test]
    fn new_tokens_use_the_newest_pepper_and_old_ones_still_agree() {
        let text = format!("# ours\n1 {}\n2 {}\n", "ab".repeat(32), "cd".repeat(32));
        let peppers = Peppers::parse(&text).unwrap();
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let old = peppers.hash(PepperVersion(1), &token).unwrap();
        let new = peppers.hash(peppers.newest(), &token).unwrap();
        assert_eq!(peppers.newest(), PepperVersion(2));
        assert!(!old.agrees_with(&new));
        assert!(old.agrees_with(&peppers.hash(PepperVersion(1), &token).unwrap()));
        assert!(peppers.hash(PepperVersion(3), &token).is_none());
    }

    #[test]
    fn a_bad_pepper_file_is_refused_with_its_line_and_never_shown() {
        assert_eq!(Peppers::parse("").unwrap_err(), PepperError::Empty);
        assert_eq!(Peppers::parse("1 abcd").unwrap_err(), PepperError::Line { line: 1 });
        let doubled = format!("1 {0}\n1 {0}", "ab".repeat(32));
        assert_eq!(Peppers::parse(&doubled).unwrap_err(), PepperError::Doubled { line: 2, version: 1 });
        assert!(!format!("{:?}", Peppers::parse(&format!("1 {}", "ab".repeat(32))).unwrap()).contains("ab"));
    }
}
