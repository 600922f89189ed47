//! Keyed hashes of tokens: HMAC-SHA-256 over the whole token under a versioned pepper (T4, T5).
//!
//! A token carries 238 random bits, so a fast keyed hash is enough, and a slow one would be a lever
//! for whoever sends junk. The pepper lives outside the database: a stolen database opens nothing.

use std::collections::BTreeMap;
use std::fmt;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use super::Token;
use super::key_lines::{self, KeyLinesError};

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
pub struct Peppers(ArcSwap<BTreeMap<PepperVersion, hmac::Key>>);

impl Peppers {
    /// Reads the text of a pepper file: one `VERSION HEX` a line, `#` for comments.
    ///
    /// # Errors
    /// Names the first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, KeyLinesError> {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let keys = key_lines::parse(text, 32..)?;
        let keys = keys.iter().map(|(version, bytes)| (PepperVersion(*version), key(bytes)));
        Ok(Self(ArcSwap::from_pointee(keys.collect())))
    }

    /// Goes by other peppers from now on.
    pub fn take_up(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// Whether there is a pepper of this version.
    pub fn has(&self, version: PepperVersion) -> bool {
        self.0.load().contains_key(&version)
    }

    /// The version under which new tokens are hashed.
    pub fn newest(&self) -> PepperVersion {
        *self.0.load().last_key_value().expect("`parse` refuses an empty set").0
    }

    /// Hashes a token under one pepper; `None` when that version is not in the file.
    pub fn hash(&self, version: PepperVersion, token: &Token) -> Option<TokenHash> {
        let tag = hmac::sign(self.0.load().get(&version)?, token.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Some(TokenHash(bytes))
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.load().keys()).finish()
    }
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
        assert_eq!(Peppers::parse("").unwrap_err(), KeyLinesError::Empty);
        assert_eq!(Peppers::parse("1 abcd").unwrap_err(), KeyLinesError::Line { line: 1, digits: "at least 64" });
        let doubled = format!("1 {0}\n1 {0}", "ab".repeat(32));
        assert_eq!(Peppers::parse(&doubled).unwrap_err(), KeyLinesError::Doubled { line: 2, version: 1 });
        assert!(!format!("{:?}", Peppers::parse(&format!("1 {}", "ab".repeat(32))).unwrap()).contains("ab"));
    }
}
