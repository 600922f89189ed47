//! Tombstones: the memory that a username was somebody's, without the username (P12).

use std::fmt;

use aws_lc_rs::hmac;

use super::Username;
use super::key_lines::hex_bytes;

/// The key under which deleted usernames are remembered. Never rotated: the names behind the old
/// digests are gone, so nothing could be hashed anew.
pub struct TombstoneKey(hmac::Key);

/// A deleted username, case-folded and keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone([u8; 32]);

impl TombstoneKey {
    /// Reads the text of the key file: at least 64 hexadecimal digits. `None` when it is not that.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = zeroize::Zeroizing::new(hex_bytes(text.trim()).filter(|bytes| bytes.len() >= 32)?);
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    pub fn tombstone_of(&self, username: &Username) -> Tombstone {
        let tag = hmac::sign(&self.0, username.folded().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Tombstone(bytes)
    }
}

impl Tombstone {
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TombstoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TombstoneKey(..)")
    }
}
