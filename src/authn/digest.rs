//! The key under which a proven credential is remembered: a keyed digest, never the credential.
//!
//! HMAC-SHA-256 under a key that is drawn when the process starts and never leaves it, over scheme,
//! username and token with their lengths: whole, and not by concatenation, so that no two credentials
//! share an entry and nobody outside can aim at one.

use std::fmt;

use aws_lc_rs::hmac;

use super::presented::Presented;

/// The digest of one credential, under this process's key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The process's own key.
pub(super) struct DigestKey(hmac::Key);

impl DigestKey {
    /// Draws a key.
    pub(super) fn generate(random: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        random(bytes.as_mut_slice());
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice()))
    }

    /// The digest of a well-formed credential; `None` for what can never be proven.
    pub(super) fn digest(&self, presented: &Presented) -> Option<Digest> {
        let tag = hmac::sign(&self.0, presented.canonical()?.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Some(Digest(bytes))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(..)")
    }
}
