//! Signed statements about the history: where it stood at an instant, kept elsewhere (H5).
//!
//! A chain shows that one of its entries was changed. Whoever can write all of it leaves a chain that holds:
//! they cut its tail and set the head back, or write it anew from some entry on. Only what was kept somewhere
//! else before shows that. A statement is a few lines of text under an Ed25519 signature (RFC 8032); the
//! signature says that it is this installation's, its hash pins every entry up to it.
//!
//! ```text
//! locum history checkpoint 1
//! installation 0199c8f4-7a1e-7c3a-9d53-0f6c2a8b1e47
//! entry 42
//! hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! at 2026-11-22T08:00:00.000Z
//! ```

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ChainHash, Place};
use crate::clock::Timestamp;
use crate::directory::key_lines::hex_bytes;

/// What a statement says. The slug is part of what is signed, so that one can never stand for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The history stood here.
    Checkpoint,
    /// What is kept begins after this: the rest was moved to the archive (H7).
    Base,
}

/// A statement about the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub purpose: Purpose,
    /// Which installation's history.
    pub installation: Uuid,
    /// The entry that is spoken of; 0 before the first.
    pub sequence: u64,
    /// Its hash in the chain.
    pub hash: ChainHash,
    /// When this was said.
    pub at: Timestamp,
}

impl Purpose {
    const fn slug(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Base => "base",
        }
    }
}

impl Statement {
    /// The place of the chain that is spoken of.
    pub const fn place(&self) -> Place {
        Place { sequence: self.sequence, hash: self.hash }
    }

    /// The text that is signed.
    pub fn signed_text(&self) -> String {
        let Self { purpose, installation, sequence, hash, at } = self;
        format!(
            "locum history {} 1\ninstallation {installation}\nentry {sequence}\nhash {hash}\nat {at}\n",
            purpose.slug()
        )
    }
}

/// The key under which an installation signs.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads the text of the key file: 64 hexadecimal digits, the seed. `None` when it is not that.
    pub fn parse(text: &str) -> Option<Self> {
        let seed = zeroize::Zeroizing::new(hex_bytes(text.trim())?);
        Ed25519KeyPair::from_seed_unchecked(&seed).ok().map(Self)
    }

    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    pub fn sign(&self, statement: Statement) -> Signed {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(statement.signed_text().as_bytes()).as_ref());
        Signed { statement, public_key: self.public_key(), signature }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// What a signature is checked with: 32 bytes, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads 64 hexadecimal digits. `None` when it is not that.
    pub fn parse(text: &str) -> Option<Self> {
        hex_bytes(text.trim())?.try_into().ok().map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A statement with its signature. The key that it names proves nothing: whoever checks it brings the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub statement: Statement,
    pub public_key: PublicKey,
    signature: [u8; 64],
}

/// Why a statement is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("the signature of the {0} does not agree with what it says")]
    Signature(&'static str),
    #[error("the {purpose} is signed under the key {found}, and what it is checked with is {expected}")]
    OtherKey { purpose: &'static str, found: PublicKey, expected: PublicKey },
    #[error("the {purpose} speaks of the installation {found}, and this one is {expected}")]
    OtherInstallation { purpose: &'static str, found: Uuid, expected: Uuid },
    #[error("it is a {found}, and a {expected} has to stand there")]
    OtherPurpose { found: &'static str, expected: &'static str },
}

impl Signed {
    /// Whether the holder of `key` said this as a checkpoint of this installation.
    ///
    /// # Errors
    /// Says what does not agree.
    pub fn check(&self, key: &PublicKey, installation: Uuid) -> Result<(), Forged> {
        self.check_as(Purpose::Checkpoint, key, installation)
    }

    /// The same for any purpose.
    ///
    /// # Errors
    /// Says what does not agree.
    pub fn check_as(&self, expected: Purpose, key: &PublicKey, installation: Uuid) -> Result<(), Forged> {
        let (purpose, found) = (self.statement.purpose.slug(), self.statement.installation);
        if self.statement.purpose != expected {
            return Err(Forged::OtherPurpose { found: purpose, expected: expected.slug() });
        }
        if self.public_key != *key {
            return Err(Forged::OtherKey { purpose, found: self.public_key, expected: *key });
        }
        UnparsedPublicKey::new(&ED25519, &key.0)
            .verify(self.statement.signed_text().as_bytes(), &self.signature)
            .map_err(|_| Forged::Signature(purpose))?;
        if found == installation {
            Ok(())
        } else {
            Err(Forged::OtherInstallation { purpose, found, expected: installation })
        }
    }

    /// The statement as JSON, in one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Written::from(self)).expect("texts and numbers can always be written as JSON")
    }

    /// Reads what [`Signed::to_json`] wrote.
    ///
    /// # Errors
    /// Says what is not as it should be.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        written.try_into()
    }
}

/// The form of a signed statement in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub statement: Purpose,
    pub installation: Uuid,
    pub sequence: u64,
    pub hash: String,
    pub at: String,
    pub public_key: String,
    pub signature: String,
}

impl From<&Signed> for Written {
    fn from(signed: &Signed) -> Self {
        let Statement { purpose, installation, sequence, hash, at } = &signed.statement;
        Self {
            statement: *purpose,
            installation: *installation,
            sequence: *sequence,
            hash: hash.to_string(),
            at: at.to_string(),
            public_key: signed.public_key.to_string(),
            signature: hex(&signed.signature),
        }
    }
}

impl TryFrom<Written> for Signed {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { statement: purpose, installation, sequence, hash, at, public_key, signature } = written;
        let hash = ChainHash::parse(&hash).ok_or("`hash` has to be 64 hexadecimal digits")?;
        let public_key = PublicKey::parse(&public_key).ok_or("`public_key` has to be 64 hexadecimal digits")?;
        let signature = hex_bytes(&signature).and_then(|bytes| bytes.try_into().ok());
        let signature = signature.ok_or("`signature` has to be 128 hexadecimal digits")?;
        let at = Timestamp::parse(&at)?;
        Ok(Self { statement: Statement { purpose, installation, sequence, hash, at }, public_key, signature })
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> SigningKey {
        SigningKey::parse(&digit.to_string().repeat(64)).unwrap()
    }

    fn statement() -> Statement {
        Statement {
            purpose: Purpose::Checkpoint,
            installation: Uuid::from_u128(7),
            sequence: 42,
            hash: ChainHash::from_bytes([9; 32]),
            at: Timestamp::from_millis(1_795_000_000_123),
        }
    }

    /// H5
    #[test]
    fn a_signed_statement_reads_back_and_is_believed() {
        let signed = key('a').sign(statement());
        assert_eq!(Signed::from_json(&signed.to_json()).unwrap(), signed);
        assert_eq!(signed.check(&key('a').public_key(), Uuid::from_u128(7)), Ok(()));
    }

    /// H5: whatever is changed in it, it is not believed any more.
    #[test]
    fn a_statement_that_was_changed_is_not_believed() {
        let signed = key('a').sign(statement());
        let (key_a, key_b, here) = (key('a').public_key(), key('b').public_key(), Uuid::from_u128(7));
        let as_base = Signed { statement: Statement { purpose: Purpose::Base, ..statement() }, ..signed.clone() };
        assert_eq!(as_base.check_as(Purpose::Base, &key_a, here), Err(Forged::Signature("base")));
        let other = Forged::OtherPurpose { found: "base", expected: "checkpoint" };
        assert_eq!(as_base.check(&key_a, here), Err(other));
        let forgeries: [fn(&mut Signed); 5] = [
            |signed| signed.statement.sequence -= 1,
            |signed| signed.statement.hash = ChainHash::GENESIS,
            |signed| signed.statement.at = Timestamp::from_millis(0),
            |signed| signed.statement.installation = Uuid::from_u128(8),
            |signed| signed.signature[17] ^= 1,
        ];
        for forge in forgeries {
            let mut changed = signed.clone();
            forge(&mut changed);
            assert_eq!(changed.check(&key_a, here), Err(Forged::Signature("checkpoint")), "{changed:?}");
        }
        assert!(matches!(signed.check(&key_b, here), Err(Forged::OtherKey { .. })));
        assert!(matches!(signed.check(&key_a, Uuid::nil()), Err(Forged::OtherInstallation { .. })));
        let by_b = Signed { public_key: key_b, ..signed };
        assert_eq!(by_b.check(&key_b, here), Err(Forged::Signature("checkpoint")));
    }

    /// H5: what is signed can be checked by other programs, so its form never changes (RFC 8032 §7.1, test 1).
    #[test]
    fn the_signed_text_and_the_keys_are_as_they_are_written_down() {
        assert_eq!(
            statement().signed_text(),
            "locum history checkpoint 1\ninstallation 00000000-0000-0000-0000-000000000007\nentry 42\n\
             hash 0909090909090909090909090909090909090909090909090909090909090909\nat 2026-11-18T11:06:40.123Z\n"
        );
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(SigningKey::parse(seed).unwrap().public_key().to_string(), public);
        for wrong in ["", "ab", &"ab".repeat(33), &"xy".repeat(32)] {
            assert!(SigningKey::parse(wrong).is_none() && PublicKey::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{:?}", key('a')), "SigningKey(..)");
    }
}
