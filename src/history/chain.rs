//! The chain: each entry's hash covers the hash before it, so a changed, removed, inserted or swapped
//! entry is found, and named (H5).

use std::fmt;

use aws_lc_rs::digest;

use crate::directory::key_lines::hex_bytes;

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

    /// Reads 64 hexadecimal digits. `None` when it is not that.
    pub fn parse(text: &str) -> Option<Self> {
        hex_bytes(text)?.try_into().ok().map(Self)
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

impl Link {
    /// The place of the chain that this makes.
    pub const fn place(&self) -> Place {
        Place { sequence: self.sequence, hash: self.hash }
    }
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
    #[error("the history ends at entry {found}, and a checkpoint of it knew entry {expected}: the tail was cut off")]
    Cut { expected: u64, found: u64 },
    #[error(
        "the history was written anew: its entry {through} is another than the one that a checkpoint knew, so the first \
         that differs is one of the entries {} to {through}", .after + 1
    )]
    Rewritten { after: u64, through: u64 },
    #[error(
        "a checkpoint speaks of entry {expected}, and what is looked at follows entry {begins_after}: check it against \
         what holds that entry"
    )]
    Elsewhere { expected: u64, begins_after: u64 },
}

/// A place of the chain: an entry and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// 0 before the first entry.
    pub sequence: u64,
    pub hash: ChainHash,
}

impl Place {
    /// Before the first entry of all.
    pub const GENESIS: Self = Self { sequence: 0, hash: ChainHash::GENESIS };
}

/// Follows a chain from one link to the next, and by places of it that are known from elsewhere.
#[derive(Debug, Clone)]
pub struct Verifier {
    at: Place,
    /// Those that are still to come, the next one last.
    known: Vec<Place>,
    /// Up to which entry the chain is known to be the one of those places.
    agreed: u64,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::after(Place::GENESIS)
    }
}

impl Verifier {
    /// Begins with the entry that follows `place`.
    pub const fn after(place: Place) -> Self {
        Self { at: place, known: Vec::new(), agreed: place.sequence }
    }

    /// Goes by these places too.
    ///
    /// # Errors
    /// [`Broken::Elsewhere`] when one lies before the beginning; [`Broken::Rewritten`] when one is the beginning, and
    /// another.
    pub fn knowing(mut self, places: impl IntoIterator<Item = Place>) -> Result<Self, Broken> {
        self.known.extend(places);
        self.known.sort_unstable_by_key(|place| std::cmp::Reverse(place.sequence));
        match self.known.last() {
            Some(first) if first.sequence < self.at.sequence => {
                Err(Broken::Elsewhere { expected: first.sequence, begins_after: self.at.sequence })
            }
            _ => self.compare().map(|()| self),
        }
    }

    /// Where it stands.
    pub const fn at(&self) -> Place {
        self.at
    }

    /// Compares where it stands with what is known of it.
    fn compare(&mut self) -> Result<(), Broken> {
        while let Some(known) = self.known.pop_if(|known| known.sequence == self.at.sequence) {
            if known.hash != self.at.hash {
                return Err(Broken::Rewritten { after: self.agreed, through: known.sequence });
            }
            self.agreed = known.sequence;
        }
        Ok(())
    }

    /// Checks the next link.
    ///
    /// # Errors
    /// Names the first entry that is missing or was changed, or the range that it is in.
    pub fn follow(&mut self, link: &Link) -> Result<(), Broken> {
        let expected = self.at.sequence + 1;
        if link.sequence != expected {
            return Err(Broken::Missing { expected, found: link.sequence });
        }
        if self.at.hash.followed_by(link.sequence, &link.canonical) != link.hash {
            return Err(Broken::Changed(link.sequence));
        }
        self.at = Place { sequence: link.sequence, hash: link.hash };
        self.compare()
    }

    /// Checks that the chain ends where its head says.
    ///
    /// # Errors
    /// [`Broken::Tail`], or [`Broken::Changed`] when the last hash is another; [`Broken::Cut`] when a place was known
    /// that has not come.
    pub fn ends_at(&self, head: Place) -> Result<(), Broken> {
        if self.at.sequence != head.sequence {
            return Err(Broken::Tail { expected: head.sequence, found: self.at.sequence });
        }
        if self.at.hash != head.hash {
            return Err(Broken::Changed(head.sequence));
        }
        self.ends()
    }

    /// Checks that no place is known beyond where it stands.
    ///
    /// # Errors
    /// [`Broken::Cut`].
    pub fn ends(&self) -> Result<(), Broken> {
        match self.known.first() {
            Some(last) => Err(Broken::Cut { expected: last.sequence, found: self.at.sequence }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A chain after `begin`, one entry for each of `contents`.
    fn chain(begin: Place, contents: &[Vec<u8>]) -> Vec<Link> {
        let mut at = begin;
        let follow = |canonical: &Vec<u8>| {
            let sequence = at.sequence + 1;
            at = Place { sequence, hash: at.hash.followed_by(sequence, canonical) };
            Link { sequence, canonical: canonical.clone(), hash: at.hash }
        };
        contents.iter().map(follow).collect()
    }

    /// Follows `links` after `begin` to `head`, by places that are known.
    fn verify(begin: Place, known: &[Place], links: &[Link], head: Place) -> Result<(), Broken> {
        let mut verifier = Verifier::after(begin).knowing(known.iter().copied())?;
        links.iter().try_for_each(|link| verifier.follow(link))?;
        verifier.ends_at(head)
    }

    /// A chain of at least two entries that begins anywhere, as one does whose beginning was moved out, and two of
    /// its entries, the earlier first.
    fn chains() -> impl Strategy<Value = (Place, Vec<Vec<u8>>, usize, usize)> {
        let begin = prop_oneof![
            Just(Place::GENESIS),
            (1..u64::from(u32::MAX), any::<[u8; 32]>())
                .prop_map(|(sequence, hash)| Place { sequence, hash: ChainHash::from_bytes(hash) }),
        ];
        let contents = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 2..24);
        (begin, contents).prop_flat_map(|(begin, contents)| {
            let count = contents.len();
            (Just(begin), Just(contents), 0..count - 1)
                .prop_flat_map(move |(begin, contents, one)| (Just(begin), Just(contents), Just(one), one + 1..count))
        })
    }

    proptest! {
        /// H5: whatever is done to a chain, at its beginning, in its midst or at its end, the first broken entry is
        /// named; what was left alone is whole.
        #[test]
        fn whatever_is_done_to_a_chain_the_first_broken_entry_is_named((begin, contents, one, other) in chains()) {
            let links = chain(begin, &contents);
            let head = links.last().unwrap().place();
            let number = |index: usize| begin.sequence + 1 + index as u64;
            prop_assert_eq!(verify(begin, &[], &links, head), Ok(()));

            let mut changed = links.clone();
            changed[one].canonical[0] ^= 1;
            prop_assert_eq!(verify(begin, &[], &changed, head), Err(Broken::Changed(number(one))));
            let mut changed = links.clone();
            changed[other].hash = ChainHash::GENESIS;
            prop_assert_eq!(verify(begin, &[], &changed, head), Err(Broken::Changed(number(other))));

            let mut removed = links.clone();
            removed.remove(one);
            let missing = Broken::Missing { expected: number(one), found: number(one + 1) };
            prop_assert_eq!(verify(begin, &[], &removed, head), Err(missing));

            let mut inserted = links.clone();
            inserted.insert(one + 1, links[one].clone());
            let twice = Broken::Missing { expected: number(one + 1), found: number(one) };
            prop_assert_eq!(verify(begin, &[], &inserted, head), Err(twice));

            let mut swapped = links.clone();
            swapped.swap(one, other);
            (swapped[one].sequence, swapped[other].sequence) = (number(one), number(other));
            prop_assert_eq!(verify(begin, &[], &swapped, head), Err(Broken::Changed(number(one))));

            let cut = &links[..other];
            let tail = Broken::Tail { expected: head.sequence, found: number(other) - 1 };
            prop_assert_eq!(verify(begin, &[], cut, head), Err(tail));

            let elsewhere = Place { hash: ChainHash::from_bytes([7; 32]), ..begin };
            prop_assert_eq!(verify(elsewhere, &[], &links, head), Err(Broken::Changed(number(0))));
        }

        /// H5: who can write everything leaves a chain that holds. By what was known of it before, a tail that was cut
        /// is found, and so is a chain that was written anew, with the range in which it begins to differ.
        #[test]
        fn what_was_known_before_finds_a_cut_and_a_rewritten_chain(
            (begin, contents, one, other) in chains(),
            kept in prop::collection::btree_set(0_usize..24, 0..6),
        ) {
            let links = chain(begin, &contents);
            let head = links.last().unwrap().place();
            let known: Vec<Place> = kept.iter().filter_map(|index| links.get(*index)).map(Link::place).collect();
            prop_assert_eq!(verify(begin, &known, &links, head), Ok(()));

            let cut = &links[..other];
            let beyond = known.last().filter(|place| place.sequence > cut.last().unwrap().sequence);
            let found = cut.last().unwrap().sequence;
            let expected = beyond.map_or(Ok(()), |place| Err(Broken::Cut { expected: place.sequence, found }));
            prop_assert_eq!(verify(begin, &known, cut, cut.last().unwrap().place()), expected);

            let mut anew = contents;
            anew[one][0] ^= 1;
            let anew = chain(begin, &anew);
            let first = links[one].sequence;
            let after = known.iter().map(|place| place.sequence).filter(|known| *known < first).max();
            let through = known.iter().map(|place| place.sequence).find(|known| *known >= first);
            let expected = through.map_or(Ok(()), |through| {
                Err(Broken::Rewritten { after: after.unwrap_or(begin.sequence), through })
            });
            prop_assert_eq!(verify(begin, &known, &anew, anew.last().unwrap().place()), expected);
        }
    }

    /// H5, H7: what lies before the beginning cannot be compared here, and that is said.
    #[test]
    fn a_place_before_the_beginning_is_not_taken_for_agreement() {
        let links = chain(Place::GENESIS, &[vec![1], vec![2], vec![3]]);
        let (first, second) = (links[0].place(), links[1].place());
        let elsewhere = Broken::Elsewhere { expected: 1, begins_after: 2 };
        assert_eq!(Verifier::after(second).knowing([first]).unwrap_err(), elsewhere);
        assert!(Verifier::after(second).knowing([second]).is_ok());
        let another = Place { hash: first.hash, ..second };
        let rewritten = Broken::Rewritten { after: 2, through: 2 };
        assert_eq!(Verifier::after(second).knowing([another]).unwrap_err(), rewritten);
        assert_eq!(ChainHash::parse(&first.hash.to_string()), Some(first.hash));
    }
}
