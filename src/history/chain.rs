//! The chain: each entry's hash covers the hash before it, so a changed, removed, inserted or swapped
//! entry is found, and named (H5).

use std::fmt;

use aws_lc_rs::digest;

/// The hash of an entry in its place: SHA-256 over the previous hash, the sequence number and the
/// canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before the first entry.
    pub const GENESIS: Self = Self([0; 32]);

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of the entry `sequence` with `canonical` bytes that follows this one.
    #[must_use]
    pub fn followed_by(&self, sequence: u64, canonical: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.0);
        context.update(&sequence.to_be_bytes());
        context.update(canonical);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub sequence: u64,
    pub canonical: Vec<u8>,
    pub hash: ChainHash,
}

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("entry {expected} is missing: entry {found} follows")]
    Missing { expected: u64, found: u64 },
    #[error("entry {0} was changed: its hash does not agree")]
    Changed(u64),
    #[error("the history ends at entry {found}, its head says {expected}: the tail was cut off")]
    Tail { expected: u64, found: u64 },
}

/// Follows a chain from one link to the next.
#[derive(Debug, Clone)]
pub struct Verifier {
    sequence: u64,
    hash: ChainHash,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { sequence: 0, hash: ChainHash::GENESIS }
    }
}

impl Verifier {
    /// Checks the next link.
    ///
    /// # Errors
    /// Names the first entry that is missing or was changed.
    pub fn follow(&mut self, link: &Link) -> Result<(), Broken> {
        let expected = self.sequence + 1;
        if link.sequence != expected {
            return Err(Broken::Missing { expected, found: link.sequence });
        }
        if self.hash.followed_by(link.sequence, &link.canonical) != link.hash {
            return Err(Broken::Changed(link.sequence));
        }
        self.sequence = link.sequence;
        self.hash = link.hash;
        Ok(())
    }

    /// Checks that the chain ends where its head says.
    ///
    /// # Errors
    /// [`Broken::Tail`], or [`Broken::Changed`] when the last hash is another.
    pub fn ends_at(&self, sequence: u64, hash: ChainHash) -> Result<(), Broken> {
        if self.sequence != sequence {
            return Err(Broken::Tail { expected: sequence, found: self.sequence });
        }
        if self.hash == hash { Ok(()) } else { Err(Broken::Changed(sequence)) }
    }
}
