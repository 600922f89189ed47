//! Data keys: what is about one person is sealed under the key of that person, and gone with it (U7).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Cipher, KEY, Keyring, MasterVersion, Place, Random, SealError};
use crate::directory::{AccountId, AppName};

/// Which data key. A person's has the id of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Uuid);

impl KeyId {
    /// The key from which that of the blind index is made.
    pub const INDEX: Self = Self(Uuid::from_bytes(*b"locum\0\x80\0\x80\0\0\0\0idx"));

    pub const fn of_person(person: AccountId) -> Self {
        Self(Uuid::from_bytes(*person.as_bytes()))
    }

    /// The key for what an app names and nobody is linked to yet (U5). Made from the name, so that it needs no place
    /// of its own (UUID version 8, RFC 9562).
    pub fn of_app(app: &AppName) -> Self {
        let digest = digest(&SHA256, format!("locum:app:{app}").as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A data key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    pub master: MasterVersion,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey").field("master", &self.master).finish_non_exhaustive()
    }
}

/// A data key that can be used.
pub struct DataKey {
    id: KeyId,
    cipher: Cipher,
}

impl DataKey {
    /// Makes a new key, with the form in which it is stored.
    ///
    /// # Errors
    /// [`SealError::NoMasterKey`].
    pub fn generate(id: KeyId, keyring: &Keyring, random: Random<'_>) -> Result<(Self, WrappedKey), SealError> {
        let mut bytes = Zeroizing::new([0; KEY]);
        random(bytes.as_mut_slice());
        let wrapped = keyring.wrap(id, &bytes, random)?;
        Ok((Self { id, cipher: Cipher::new(&bytes) }, wrapped))
    }

    /// # Errors
    /// When the keyring has not the version that it is wrapped under, or another key in its place.
    pub fn unwrap(id: KeyId, wrapped: &WrappedKey, keyring: &Keyring) -> Result<Self, SealError> {
        Ok(Self { id, cipher: Cipher::new(&*keyring.unwrap(id, wrapped)?) })
    }

    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Seals a text for its place.
    pub fn seal(&self, place: &Place<'_>, clear: &str, random: Random<'_>) -> Vec<u8> {
        self.cipher.seal(&place.to_bytes(), clear.as_bytes(), random)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SealError::Damaged`], also when it was sealed for another place.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<String>, SealError> {
        let damaged = || SealError::Damaged(place.table);
        let mut clear = self.cipher.open(&place.to_bytes(), sealed).ok_or_else(damaged)?;
        String::from_utf8(std::mem::take(&mut *clear)).map(Zeroizing::new).map_err(|_| damaged())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}
