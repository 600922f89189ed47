//! Checking an export by itself: without the database it came from, with the public key of the installation
//! (H5).

use super::chain::{Broken, Place, Verifier};
use super::checkpoint::{Forged, PublicKey, Signed};
use super::export::{Head, Line};

/// Follows the lines of an export.
#[derive(Debug)]
pub struct Exported {
    key: PublicKey,
    /// Kept elsewhere, to be compared with what the export says.
    kept: Vec<Signed>,
    begun: Option<Begun>,
    lines: u64,
}

#[derive(Debug)]
struct Begun {
    head: Head,
    verifier: Verifier,
    /// Up to which entry a signature says that this is the history.
    signed: Option<u64>,
}

/// What a whole export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The entry that its first one follows.
    pub follows: u64,
    /// Its last entry.
    pub through: Place,
    /// How many checkpoints that were kept elsewhere agree.
    pub agreed: usize,
}

/// Why an export cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("line {line} is none of an export: {why}")]
    Line { line: u64, why: String },
    #[error("line {line}: {broken}")]
    Broken { line: u64, broken: Broken },
    #[error("line {line}: {forged}")]
    Forged { line: u64, forged: Forged },
    #[error("a checkpoint that was kept: {0}")]
    Kept(Forged),
    #[error("line {0} has to be the first line of an export, which says what follows")]
    Headless(u64),
    #[error("line {line} begins after entry {found}, and what stands before it ends with entry {expected}")]
    Gap { line: u64, expected: u64, found: u64 },
    #[error(transparent)]
    End(Broken),
    #[error("it is empty")]
    Empty,
    #[error(
        "no checkpoint signs its end, entry {0}: its last lines were cut off, or it broke off while it was written"
    )]
    Unsigned(u64),
}

impl Exported {
    /// By the key of the installation, and by checkpoints of it that were kept elsewhere.
    pub const fn new(key: PublicKey, kept: Vec<Signed>) -> Self {
        Self { key, kept, begun: None, lines: 0 }
    }

    /// Counts lines from 1 again: another file follows, in the midst of the export or after it.
    pub const fn next_file(&mut self) {
        self.lines = 0;
    }

    /// Reads the next line, without its end.
    ///
    /// # Errors
    /// Names the first line that is not as it should be, and the entry where it is one.
    pub fn line(&mut self, text: &str) -> Result<(), Untrusted> {
        self.lines += 1;
        let line = self.lines;
        let broken = |broken| Untrusted::Broken { line, broken };
        match (Line::read(text).map_err(|why| Untrusted::Line { line, why })?, &mut self.begun) {
            (Line::Head(head), None) => self.begun = Some(self.begin(head)?),
            (Line::Head(head), Some(begun)) => {
                let at = begun.verifier.at();
                if head.sequence != at.sequence {
                    return Err(Untrusted::Gap { line, expected: at.sequence, found: head.sequence });
                }
                if head.hash != at.hash {
                    return Err(broken(Broken::Changed(at.sequence)));
                }
                if head.installation != begun.head.installation {
                    let why = "it begins the export of another installation".to_owned();
                    return Err(Untrusted::Line { line, why });
                }
            }
            (_, None) => return Err(Untrusted::Headless(line)),
            (Line::Entry(entry), Some(begun)) => begun.verifier.follow(&entry).map_err(broken)?,
            (Line::Checkpoint(signed), Some(begun)) => {
                signed
                    .check(&self.key, begun.head.installation)
                    .map_err(|forged| Untrusted::Forged { line, forged })?;
                let (says, at) = (signed.statement.place(), begun.verifier.at());
                if says.sequence > at.sequence {
                    return Err(broken(Broken::Cut { expected: says.sequence, found: at.sequence }));
                }
                if says.sequence < at.sequence {
                    let why = format!("it is the checkpoint of entry {}, and stands elsewhere", says.sequence);
                    return Err(Untrusted::Line { line, why });
                }
                if says.hash != at.hash {
                    let after = begun.signed.unwrap_or(begun.head.sequence);
                    return Err(broken(Broken::Rewritten { after, through: at.sequence }));
                }
                begun.signed = Some(at.sequence);
            }
        }
        Ok(())
    }

    fn begin(&self, head: Head) -> Result<Begun, Untrusted> {
        for kept in &self.kept {
            kept.check(&self.key, head.installation).map_err(Untrusted::Kept)?;
        }
        let known = self.kept.iter().map(|kept| kept.statement.place());
        let follows = Place { sequence: head.sequence, hash: head.hash };
        let verifier = Verifier::after(follows).knowing(known).map_err(Untrusted::End)?;
        Ok(Begun { head, verifier, signed: None })
    }

    /// Says what it was, once every line was read.
    ///
    /// # Errors
    /// When it ends too early, or nothing signed says where it ends.
    pub fn end(self) -> Result<Held, Untrusted> {
        let begun = self.begun.ok_or(Untrusted::Empty)?;
        begun.verifier.ends().map_err(Untrusted::End)?;
        let through = begun.verifier.at();
        let kept = self.kept.iter().any(|kept| kept.statement.place() == through);
        if !kept && begun.signed != Some(through.sequence) {
            return Err(Untrusted::Unsigned(through.sequence));
        }
        Ok(Held { follows: begun.head.sequence, through, agreed: self.kept.len() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::directory::Actor;
    use crate::history::checkpoint::{Purpose, SigningKey, Statement};
    use crate::history::{Action, ActionType, Entry, Link, canonical};

    fn key() -> SigningKey {
        SigningKey::parse(&"ab".repeat(32)).unwrap()
    }

    fn signed(place: Place) -> Signed {
        let (installation, at) = (Uuid::from_u128(7), Timestamp::from_millis(0));
        let Place { sequence, hash } = place;
        key().sign(Statement { purpose: Purpose::Checkpoint, installation, sequence, hash, at })
    }

    /// An export of `count` entries after `follows`, and where each of them stands.
    fn export(follows: Place, count: u64) -> (Vec<String>, Vec<Place>) {
        let mut at = follows;
        let (installation, mut places) = (Uuid::from_u128(7), Vec::new());
        let mut lines = vec![Line::Head(Head { installation, sequence: at.sequence, hash: at.hash })];
        for _ in 0..count {
            let sequence = at.sequence + 1;
            let action = Action::new(ActionType::AttemptFailed, Actor::Locum).object(format!("{sequence}"));
            let at_instant = Timestamp::from_millis(i64::try_from(sequence).unwrap());
            let bytes = canonical::encode(&Entry { sequence, at: at_instant, changed: false, action });
            at = Place { sequence, hash: at.hash.followed_by(sequence, &bytes) };
            lines.push(Line::Entry(Link { sequence, canonical: bytes, hash: at.hash }));
            places.push(at);
        }
        lines.push(Line::Checkpoint(signed(at)));
        (lines.iter().map(|line| line.write().unwrap()).collect(), places)
    }

    fn check(lines: &[String], kept: Vec<Signed>) -> Result<Held, Untrusted> {
        let mut exported = Exported::new(key().public_key(), kept);
        lines.iter().try_for_each(|line| exported.line(line))?;
        exported.end()
    }

    /// H5: exports that follow each other are one, in one file or several.
    #[test]
    fn exports_that_follow_each_other_are_whole() {
        let (first, places) = export(Place::GENESIS, 5);
        let (second, more) = export(places[4], 3);
        let (nothing_new, _) = export(more[2], 0);
        let all = [first.clone(), second.clone(), nothing_new].concat();
        let kept = vec![signed(places[2]), signed(more[2])];
        assert_eq!(check(&all, kept), Ok(Held { follows: 0, through: more[2], agreed: 2 }));
        assert_eq!(check(&second, Vec::new()).unwrap().follows, 5);
        let gap = Err(Untrusted::Gap { line: 8, expected: 5, found: 6 });
        assert_eq!(check(&[first.clone(), export(more[0], 1).0].concat(), Vec::new()), gap);
        let other = Place { hash: places[0].hash, ..places[4] };
        let other = check(&[first, export(other, 1).0].concat(), Vec::new());
        assert_eq!(other, Err(Untrusted::Broken { line: 8, broken: Broken::Changed(5) }));
        assert_eq!(check(&[], Vec::new()), Err(Untrusted::Empty));
    }

    /// H5: an export proves nothing by itself that its key and what was kept do not prove.
    #[test]
    fn an_export_that_was_written_anew_is_not_trusted() {
        let (lines, places) = export(Place::GENESIS, 5);
        let (anew, _) = export(Place { sequence: 0, hash: places[0].hash }, 5);
        let rewritten = Err(Untrusted::Broken { line: 4, broken: Broken::Rewritten { after: 0, through: 3 } });
        assert_eq!(check(&anew, vec![signed(places[2])]), rewritten);
        let (longer, more) = export(Place::GENESIS, 6);
        let cut = Err(Untrusted::End(Broken::Cut { expected: 6, found: 5 }));
        assert_eq!(check(&lines, vec![signed(more[5])]), cut);
        assert_eq!(check(&longer[..7], Vec::new()), Err(Untrusted::Unsigned(6)));
        assert_eq!(check(&longer[..7], vec![signed(more[5])]).unwrap().through, more[5], "what was kept signs it too");

        let by_another = SigningKey::parse(&"cd".repeat(32)).unwrap().sign(signed(places[4]).statement);
        let mut forged = lines.clone();
        *forged.last_mut().unwrap() = Line::Checkpoint(by_another.clone()).write().unwrap();
        assert!(matches!(check(&forged, Vec::new()), Err(Untrusted::Forged { line: 7, .. })));
        assert!(matches!(check(&lines, vec![by_another]), Err(Untrusted::Kept(Forged::OtherKey { .. }))));
    }

    proptest! {
        /// H5: any line of an export that is left out, written twice, swapped or changed is found.
        #[test]
        fn whatever_is_done_to_an_export_is_found(count in 2_u64..12, one in 0_usize..12, byte in any::<usize>()) {
            let (lines, _) = export(Place::GENESIS, count);
            let one = one % lines.len();
            prop_assert!(check(&lines, Vec::new()).is_ok());

            let mut less = lines.clone();
            less.remove(one);
            prop_assert!(check(&less, Vec::new()).is_err(), "line {} is missing", one + 1);
            if one < lines.len() - 1 {
                let mut swapped = lines.clone();
                swapped.swap(one, one + 1);
                prop_assert!(check(&swapped, Vec::new()).is_err(), "line {} is swapped", one + 1);
            }
            if one > 0 && one < lines.len() - 1 {
                let mut twice = lines.clone();
                twice.insert(one, lines[one].clone());
                prop_assert!(check(&twice, Vec::new()).is_err(), "line {} is there twice", one + 1);
            }
            let mut bytes = lines[one].clone().into_bytes();
            let at = byte % bytes.len();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let mut changed = lines;
            changed[one] = String::from_utf8(bytes).unwrap();
            prop_assert!(check(&changed, Vec::new()).is_err(), "{}", changed[one]);
        }
    }
}
