//! The blind index: a sealed value is found by what it is exactly, and by nothing less (E1).

use std::fmt;

use aws_lc_rs::hmac;

use super::{KeyId, Keyring, SealError, WrappedKey};

/// The key of the blind index. It encrypts nothing, and no key that does is used for it.
pub struct IndexKey(hmac::Key);

/// The keyed digest of a value (HMAC-SHA-256, whole, because two that are equal are taken for one value).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlindIndex([u8; 32]);

impl IndexKey {
    /// Makes the key from the data key that is kept for it.
    ///
    /// # Errors
    /// When that cannot be unwrapped.
    pub fn unwrap(wrapped: &WrappedKey, keyring: &Keyring) -> Result<Self, SealError> {
        let bytes = keyring.unwrap(KeyId::INDEX, wrapped)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice())))
    }

    /// The digest of `text`, which the caller has brought to the one form in which it is compared, as what `kind`
    /// says: equal texts of two kinds have different digests.
    pub fn digest(&self, kind: &str, text: &str) -> BlindIndex {
        let mut context = hmac::Context::with_key(&self.0);
        let length = u32::try_from(kind.len()).expect("kinds are short");
        context.update(&length.to_be_bytes());
        context.update(kind.as_bytes());
        context.update(text.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        BlindIndex(bytes)
    }
}

impl BlindIndex {
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(..)")
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindIndex(..)")
    }
}
