//! What opens, and what does not.

use std::cell::Cell;

use super::*;
use crate::directory::AccountId;

const ANN: AccountId = AccountId::from_bytes([1; 16]);
const BOB: AccountId = AccountId::from_bytes([2; 16]);

fn line(version: u32, byte: &str) -> String {
    format!("{version} {}\n", byte.repeat(32))
}

/// Bytes that differ from draw to draw.
fn counting() -> impl Fn(&mut [u8]) {
    let next = Cell::new(0_u8);
    move |bytes| {
        for byte in bytes {
            next.set(next.get().wrapping_add(1));
            *byte = next.get();
        }
    }
}

fn place(person: &AccountId) -> Place<'_> {
    Place { table: "personal", column: "name", row: person.as_bytes() }
}

/// E1: a value opens in its own row, column and table, under its own key, and nowhere else.
#[test]
fn a_sealed_value_opens_in_its_place_only() {
    let (keyring, random) = (Keyring::parse(&line(1, "ab")).unwrap(), counting());
    let (ann, _) = DataKey::generate(KeyId::of_person(ANN), &keyring, &random).unwrap();
    let (bob, _) = DataKey::generate(KeyId::of_person(BOB), &keyring, &random).unwrap();
    let sealed = ann.seal(&place(&ANN), "Ann Ångström", &random);
    assert_eq!(ann.open(&place(&ANN), &sealed).unwrap().as_str(), "Ann Ångström");

    let elsewhere =
        [place(&BOB), Place { column: "email", ..place(&ANN) }, Place { table: "legacy_names", ..place(&ANN) }];
    for other in elsewhere {
        assert_eq!(ann.open(&other, &sealed), Err(SealError::Damaged(other.table)), "{other:?}");
    }
    assert_eq!(bob.open(&place(&ANN), &sealed), Err(SealError::Damaged("personal")));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(ann.open(&place(&ANN), &changed).is_err(), "byte {at}");
        assert!(ann.open(&place(&ANN), &sealed[..at]).is_err(), "cut at {at}");
    }
}

/// E1: the same text never has the same bytes twice.
#[test]
fn equal_texts_are_sealed_differently() {
    let (keyring, random) = (Keyring::parse(&line(1, "ab")).unwrap(), counting());
    let (ann, _) = DataKey::generate(KeyId::of_person(ANN), &keyring, &random).unwrap();
    assert_ne!(ann.seal(&place(&ANN), "Ann", &random), ann.seal(&place(&ANN), "Ann", &random));
}

/// E2: under a new version the key is another in the store and the same in use; the old version is then needed no more.
#[test]
fn a_key_that_is_wrapped_anew_opens_what_it_sealed_before() {
    let (old, random) = (Keyring::parse(&line(1, "ab")).unwrap(), counting());
    let both = Keyring::parse(&(line(1, "ab") + &line(2, "cd"))).unwrap();
    let new = Keyring::parse(&line(2, "cd")).unwrap();
    let id = KeyId::of_person(ANN);
    let (key, wrapped) = DataKey::generate(id, &old, &random).unwrap();
    let sealed = key.seal(&place(&ANN), "Ann", &random);

    let again = both.rewrap(id, &wrapped, &random).unwrap();
    assert_eq!((wrapped.master, again.master), (MasterVersion(1), MasterVersion(2)));
    let key = DataKey::unwrap(id, &again, &new).unwrap();
    assert_eq!(key.open(&place(&ANN), &sealed).unwrap().as_str(), "Ann");
    assert_eq!(DataKey::unwrap(id, &wrapped, &new).unwrap_err(), SealError::NoVersion(1));
}

/// E1: what is wrong with the master key is said, each by its name.
#[test]
fn a_missing_and_a_wrong_master_key_are_told_apart() {
    let (keyring, random) = (Keyring::parse(&line(1, "ab")).unwrap(), counting());
    let id = KeyId::of_person(ANN);
    let (_, wrapped) = DataKey::generate(id, &keyring, &random).unwrap();
    let opened = |keyring: &Keyring| keyring.demand_opens(id, &wrapped);
    assert_eq!(opened(&keyring), Ok(()));
    assert_eq!(opened(&Keyring::empty()), Err(SealError::NoMasterKey));
    assert_eq!(opened(&Keyring::parse(&line(1, "ac")).unwrap()), Err(SealError::WrongKey(1)));
    assert_eq!(opened(&Keyring::parse(&line(2, "ab")).unwrap()), Err(SealError::NoVersion(1)));
    assert_eq!(keyring.demand_opens(KeyId::of_person(BOB), &wrapped), Err(SealError::WrongKey(1)));
    assert!(DataKey::generate(id, &Keyring::empty(), &random).is_err());
}

/// E1: equal values are found, of one kind and under one key.
#[test]
fn the_blind_index_tells_kinds_and_keys_apart() {
    let (keyring, random) = (Keyring::parse(&line(1, "ab")).unwrap(), counting());
    let index = || {
        let (_, wrapped) = DataKey::generate(KeyId::INDEX, &keyring, &random).unwrap();
        IndexKey::unwrap(&wrapped, &keyring).unwrap()
    };
    let (one, other) = (index(), index());
    let digest = one.digest("email", "ann@example.org");
    assert_eq!(digest, one.digest("email", "ann@example.org"));
    assert_ne!(digest, one.digest("legacy:blog", "ann@example.org"));
    assert_ne!(one.digest("ab", "c"), one.digest("a", "bc"));
    assert_ne!(digest, other.digest("email", "ann@example.org"));
}

/// E1, E3: nothing that is printed shows a key or what was sealed.
#[test]
fn no_debug_shows_a_secret() {
    let (keyring, random) = (Keyring::parse(&line(1, "ab")).unwrap(), counting());
    let (key, wrapped) = DataKey::generate(KeyId::of_person(ANN), &keyring, &random).unwrap();
    let shown = format!("{keyring:?} {key:?} {wrapped:?}");
    assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    for bad in ["", "1 abcd", &format!("1 {}", "ab".repeat(33)), "x", &(line(1, "ab") + &line(1, "cd"))] {
        assert!(Keyring::parse(bad).is_err(), "{bad}");
    }
}
