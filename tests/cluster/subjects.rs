//! What the node remembers of each account, by its public door.

use locum::cluster::{Stamp, Subjects};
use locum::directory::{AccountId, Life};

/// So many blocks make a shard look for those that nobody needs.
const FIRST_SWEEP: usize = 64;

fn id(number: u16) -> AccountId {
    let mut bytes = [0; 16];
    bytes[14..].copy_from_slice(&number.to_be_bytes());
    AccountId::from_bytes(bytes)
}

/// R2: a change ends the answers about its own account and those of its proxy users, and no other.
#[test]
fn a_change_ends_the_stamps_of_its_account_only() {
    let subjects = Subjects::new();
    let (person, proxy, stranger) = (id(1), id(2), id(3));
    let stamps = || {
        let of_proxy = Stamp::take(&subjects, proxy, Some(person));
        (Stamp::take(&subjects, person, None), of_proxy, Stamp::take(&subjects, stranger, None))
    };
    let (of_person, of_proxy, of_stranger) = stamps();
    assert!(of_person.holds() && of_proxy.holds() && of_stranger.holds());
    subjects.narrow(proxy);
    assert!(of_person.holds() && !of_proxy.holds() && of_stranger.holds());
    let (of_person, of_proxy, of_stranger) = stamps();
    subjects.narrow(person);
    assert!(!of_person.holds() && !of_proxy.holds() && of_stranger.holds());
}

/// R2: a reader that began before a change never gets a stamp that outlives it.
#[test]
fn what_was_read_before_a_change_is_not_stamped_after_it() {
    let subjects = Subjects::new();
    let before = subjects.moment();
    subjects.narrow(id(1));
    assert!(Stamp::since(&subjects, before, id(1), None).is_none());
    assert!(Stamp::since(&subjects, before, id(2), Some(id(1))).is_none());
    let after = subjects.moment();
    assert!(Stamp::since(&subjects, after, id(1), None).unwrap().holds());
    assert!(Stamp::since(&subjects, after, id(2), Some(id(1))).unwrap().holds());
}

#[test]
fn a_block_that_is_made_again_counts_as_changed() {
    let subjects = Subjects::new();
    let before = subjects.moment();
    subjects.narrow(id(256));
    // 256, 512, … share a shard: enough of them make it drop the first block.
    (2..=u16::try_from(FIRST_SWEEP).unwrap() + 2).for_each(|n| drop(subjects.subject(id(n * 256))));
    assert!(subjects.len() <= FIRST_SWEEP, "the shard was never swept");
    assert!(Stamp::since(&subjects, before, id(256), None).is_none());
}

#[test]
fn blocks_that_remember_or_are_held_survive_the_sweep() {
    let subjects = Subjects::new();
    let (marked, tripped) = (id(256), id(512));
    subjects.mark(&subjects.subject(marked));
    subjects.trip(&subjects.subject(tripped), Life::FIRST);
    let held = Stamp::take(&subjects, id(768), None);
    (4..200).for_each(|n| drop(subjects.subject(id(n * 256))));
    assert_ne!(subjects.subject(marked).streak(), 0);
    assert!(subjects.subject(tripped).tripped_in(Life::FIRST));
    subjects.narrow(id(768));
    assert!(!held.holds());
}

/// L3: the mark goes with the success that saw it, and stays when a newer failure came.
#[test]
fn a_newer_failure_keeps_its_mark() {
    let subjects = Subjects::new();
    let subject = subjects.subject(id(1));
    assert_eq!(subject.streak(), 0);
    subjects.mark(&subject);
    let seen = subject.streak();
    subject.clear_mark(seen);
    assert_eq!(subject.streak(), 0);
    subjects.mark(&subject);
    assert_ne!(subject.streak(), seen);
    subject.clear_mark(seen);
    assert_ne!(subject.streak(), 0);
}

/// P11: a trip holds for its life and the ones before, not for the next.
#[test]
fn a_trip_belongs_to_its_life() {
    let subjects = Subjects::new();
    let subject = subjects.subject(id(1));
    let stamp = Stamp::take(&subjects, id(1), None);
    assert!(subjects.trip(&subject, Life(2)));
    assert!(!subjects.trip(&subject, Life(2)));
    assert!(!stamp.holds());
    assert!(subject.tripped_in(Life(1)) && subject.tripped_in(Life(2)) && !subject.tripped_in(Life(3)));
}
