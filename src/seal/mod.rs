//! Personal data at rest (E1): each value sealed for its place, under a key of the person that it is about.
//!
//! ```text
//!   Keyring    the versions of the master key, which never stand in the store
//!     └─ wraps DataKey    one a person, an app or an invitation; in the store, wrapped
//!          └─ seals a value at its Place: table, column, row
//!   IndexKey   one an installation: finds a value that is named exactly, without opening any
//! ```
//!
//! AES-256-GCM-SIV (RFC 8452): a nonce that were drawn twice would tell that two values are equal, and
//! nothing else. Destroying a data key destroys whatever was sealed under it, wherever it stands, in the
//! history too (U7); changing the master key wraps the data keys anew and touches no value (E2).
//!
//! Architecture invariant: nothing here reads a file, waits, or draws a random byte; those who call bring
//! what is needed of the world.

mod data_key;
mod index;
mod keyring;
mod place;

use std::fmt;

pub use data_key::{DataKey, KeyId, WrappedKey};
pub use index::{BlindIndex, IndexKey};
pub use keyring::{Keyring, MasterVersion};
pub use place::Place;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// What is sealed says first how it was.
const FORM: u8 = 1;
/// The length of every key, in bytes.
const KEY: usize = 32;

/// Where random bytes come from.
pub type Random<'a> = &'a dyn Fn(&mut [u8]);

/// Why something cannot be sealed or opened. Never says what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(
        "there is no master key, and personal data cannot be kept or read without it: `locum init` makes one beside the \
         other keys; then restart"
    )]
    NoMasterKey,
    #[error(
        "what is sealed under version {0} of the master key cannot be opened, for the master key has no such version: \
         put it back"
    )]
    NoVersion(u32),
    #[error(
        "version {0} of the master key is another key than the one that the data were sealed under: put the right one back"
    )]
    WrongKey(u32),
    #[error("a sealed value in `{0}` is damaged, or stands where it was not written")]
    Damaged(&'static str),
}

/// A key that encrypts.
struct Cipher(LessSafeKey);

impl Cipher {
    fn new(bytes: &[u8; KEY]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, bytes).expect("the key of this cipher has 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// `FORM ‖ nonce ‖ ciphertext ‖ tag`.
    fn seal(&self, bound_to: &[u8], clear: &[u8], random: Random<'_>) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce);
        let mut body = clear.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut body)
            .expect("no value comes near the 64 GiB that this cipher takes");
        let mut sealed = Vec::with_capacity(1 + nonce.len() + body.len());
        sealed.push(FORM);
        sealed.extend(nonce);
        sealed.append(&mut body);
        sealed
    }

    /// `None` when this is not what was sealed under this key and bound to this.
    fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (form, rest) = sealed.split_first()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *form != FORM {
            return None;
        }
        let mut body = Zeroizing::new(body.to_vec());
        let clear = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound_to), &mut body);
        let length = clear.ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

#[cfg(test)]
mod tests;
