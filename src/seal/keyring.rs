//! The master key: its versions, each a key of 256 bits. Data keys are wrapped under the newest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::{Cipher, KEY, KeyId, Place, Random, SealError, WrappedKey};
use crate::directory::key_lines::{self, KeyLinesError};

/// The number of a version of the master key; data keys say under which one they are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MasterVersion(pub u32);

/// The versions of the master key that this process has. A handle: clones share them.
#[derive(Clone)]
pub struct Keyring(Arc<ArcSwap<Versions>>);

type Versions = BTreeMap<MasterVersion, Cipher>;

impl Keyring {
    /// Of an installation that has no master key (yet).
    pub fn empty() -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Versions::new())))
    }

    /// Reads `VERSION HEX` a line, HEX being exactly 64 digits; `#` for comments.
    ///
    /// # Errors
    /// Names the first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, KeyLinesError> {
        let versions = key_lines::parse(text, KEY..=KEY)?.into_iter().map(|(version, bytes)| {
            let bytes: &[u8; KEY] = bytes.as_slice().try_into().expect("`parse` takes keys of this length only");
            (MasterVersion(version), Cipher::new(bytes))
        });
        Ok(Self(Arc::new(ArcSwap::from_pointee(versions.collect()))))
    }

    /// Goes by other versions from now on.
    pub fn take_up(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// The version under which keys are wrapped; `None` when there is none at all.
    pub fn newest(&self) -> Option<MasterVersion> {
        self.0.load().last_key_value().map(|(version, _)| *version)
    }

    /// Wraps the bytes of a data key.
    pub(super) fn wrap(&self, id: KeyId, key: &[u8; KEY], random: Random<'_>) -> Result<WrappedKey, SealError> {
        let versions = self.0.load();
        let (master, cipher) = versions.last_key_value().ok_or(SealError::NoMasterKey)?;
        Ok(WrappedKey { master: *master, bytes: cipher.seal(&place_of(id), key, random) })
    }

    pub(super) fn unwrap(&self, id: KeyId, wrapped: &WrappedKey) -> Result<Zeroizing<[u8; KEY]>, SealError> {
        let versions = self.0.load();
        let MasterVersion(version) = wrapped.master;
        if versions.is_empty() {
            return Err(SealError::NoMasterKey);
        }
        let cipher = versions.get(&wrapped.master).ok_or(SealError::NoVersion(version))?;
        let clear = cipher.open(&place_of(id), &wrapped.bytes).ok_or(SealError::WrongKey(version))?;
        let mut key = Zeroizing::new([0; KEY]);
        if clear.len() != KEY {
            return Err(SealError::Damaged("data_keys"));
        }
        key.copy_from_slice(&clear);
        Ok(key)
    }

    /// Wraps a data key under the newest version; what it sealed stays as it is (E2).
    ///
    /// # Errors
    /// When it cannot be unwrapped.
    pub fn rewrap(&self, id: KeyId, wrapped: &WrappedKey, random: Random<'_>) -> Result<WrappedKey, SealError> {
        self.wrap(id, &*self.unwrap(id, wrapped)?, random)
    }

    /// Whether a data key opens under what this process has.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub fn demand_opens(&self, id: KeyId, wrapped: &WrappedKey) -> Result<(), SealError> {
        self.unwrap(id, wrapped).map(|_| ())
    }
}

/// Where a wrapped key stands: under no other id does it open.
fn place_of(id: KeyId) -> Vec<u8> {
    Place { table: "data_keys", column: "wrapped", row: id.as_bytes() }.to_bytes()
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.load().keys()).finish()
    }
}
