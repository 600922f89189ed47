//! The law between an owner and its proxy users, over arbitrary histories: the cascade against a
//! reference model that is told in the words of the requirements, and the cap on its own.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};

use locum::directory::owner_cascade::{CascadeRefusal, Change, Household, Member};
use locum::directory::{AccountId, Holding, Permission, RoleName, RoleSet, Username};
use proptest::prelude::*;

/// Few names, so that histories meet: a system role, two roles of one app, one of another, and access.
const HOLDINGS: [&str; 7] =
    ["role:staff", "role:auditor", "app:crm", "role:crm/reader", "role:crm/writer", "app:wiki", "role:wiki/editor"];

fn holding(number: usize) -> Holding {
    Holding::from_stored(HOLDINGS[number]).unwrap()
}

fn holdings(numbers: &[usize]) -> BTreeSet<Holding> {
    numbers.iter().map(|number| holding(*number)).collect()
}

fn id(number: usize) -> AccountId {
    AccountId::from_bytes([u8::try_from(number).unwrap(); 16])
}

fn name(number: usize) -> Username {
    Username::parse(&format!("user-{number}")).unwrap()
}

/// What an operator does. People and proxy users are named by number; one that does not exist is
/// passed over.
#[derive(Debug, Clone)]
enum Operation {
    AddPerson,
    AddProxy { owner: usize },
    PersonGains { person: usize, wanted: Vec<usize> },
    PersonLoses { person: usize, lost: usize },
    CopyToPerson { from: usize, to: usize },
    ProxyGains { proxy: usize, wanted: Vec<usize> },
    ProxyLoses { proxy: usize, lost: usize },
    CopyToProxy { from: usize, to: usize },
    Inactivate { account: usize },
    Activate { account: usize },
    Delete { account: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
    let account = || 0..9_usize;
    let one = || 0..HOLDINGS.len();
    let some = || prop::collection::vec(0..HOLDINGS.len(), 1..4);
    prop_oneof![
        2 => Just(Operation::AddPerson),
        4 => account().prop_map(|owner| Operation::AddProxy { owner }),
        5 => (account(), some()).prop_map(|(person, wanted)| Operation::PersonGains { person, wanted }),
        4 => (account(), one()).prop_map(|(person, lost)| Operation::PersonLoses { person, lost }),
        2 => (account(), account()).prop_map(|(from, to)| Operation::CopyToPerson { from, to }),
        4 => (account(), some()).prop_map(|(proxy, wanted)| Operation::ProxyGains { proxy, wanted }),
        5 => (account(), one()).prop_map(|(proxy, lost)| Operation::ProxyLoses { proxy, lost }),
        2 => (account(), account()).prop_map(|(from, to)| Operation::CopyToProxy { from, to }),
        3 => account().prop_map(|account| Operation::Inactivate { account }),
        3 => account().prop_map(|account| Operation::Activate { account }),
        1 => account().prop_map(|account| Operation::Delete { account }),
    ]
}

/// What is true of one account. The same for the model and for what the changes are written into.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    owner: Option<usize>,
    active: bool,
    holds: BTreeSet<Holding>,
}

type Directory = BTreeMap<usize, Known>;

fn proxies_of(directory: &Directory, owner: usize) -> Vec<usize> {
    directory.iter().filter(|(_, known)| known.owner == Some(owner)).map(|(number, _)| *number).collect()
}

// ── the reference model: the requirements, word by word ──

/// Carries out an operation on the model; `None` when it is refused.
fn by_the_words(model: &mut Directory, operation: &Operation, fresh: usize) -> Option<()> {
    match operation {
        Operation::AddPerson => {
            model.insert(fresh, Known { owner: None, active: true, holds: BTreeSet::new() });
        }
        // P1: not under an inactive owner. P3: exactly what the owner holds.
        Operation::AddProxy { owner } => {
            let owner_known = model.get(owner).filter(|known| known.owner.is_none())?.clone();
            if !owner_known.active {
                return None;
            }
            model.insert(fresh, Known { owner: Some(*owner), active: true, holds: owner_known.holds });
        }
        Operation::PersonGains { person, wanted } => gains(model, *person, &holdings(wanted))?,
        Operation::CopyToPerson { from, to } => {
            let wanted = model.get(from)?.holds.clone();
            gains(model, *to, &wanted)?;
        }
        // P7
        Operation::PersonLoses { person, lost } => {
            model.get(person).filter(|known| known.owner.is_none())?;
            loses(model, *person, &holding(*lost));
            for proxy in proxies_of(model, *person) {
                loses(model, proxy, &holding(*lost));
            }
        }
        Operation::ProxyGains { proxy, wanted } => regains(model, *proxy, &holdings(wanted))?,
        Operation::CopyToProxy { from, to } => {
            let wanted = model.get(from)?.holds.clone();
            regains(model, *to, &wanted)?;
        }
        // P4
        Operation::ProxyLoses { proxy, lost } => {
            model.get(proxy)?.owner?;
            loses(model, *proxy, &holding(*lost));
        }
        // P10, P13: with an owner go all of its proxy users.
        Operation::Inactivate { account } => {
            model.get(account)?;
            for number in proxies_of(model, *account).into_iter().chain([*account]) {
                model.get_mut(&number)?.active = false;
            }
        }
        // P11: not while the owner is inactive. P13: by itself only.
        Operation::Activate { account } => {
            let owner = model.get(account)?.owner;
            if owner.is_some_and(|owner| !model[&owner].active) {
                return None;
            }
            model.get_mut(account)?.active = true;
        }
        // P12, P13
        Operation::Delete { account } => {
            model.get(account)?;
            for number in proxies_of(model, *account).into_iter().chain([*account]) {
                model.remove(&number);
            }
        }
    }
    Some(())
}

/// Gives one thing to one account, with access to its app (R8).
fn receives(known: &mut Known, wanted: &Holding) {
    known.holds.extend(wanted.app().cloned().map(Holding::App));
    known.holds.insert(wanted.clone());
}

/// P6: only what is new reaches the proxy users, and all of them.
fn gains(model: &mut Directory, person: usize, wanted: &BTreeSet<Holding>) -> Option<()> {
    let before = model.get(&person).filter(|known| known.owner.is_none())?.holds.clone();
    for wanted in wanted {
        receives(model.get_mut(&person).unwrap(), wanted);
    }
    let new: Vec<_> = model[&person].holds.difference(&before).cloned().collect();
    for proxy in proxies_of(model, person) {
        for new in &new {
            receives(model.get_mut(&proxy).unwrap(), new);
        }
    }
    Some(())
}

/// P5: all or nothing, and nothing that the owner does not hold.
fn regains(model: &mut Directory, proxy: usize, wanted: &BTreeSet<Holding>) -> Option<()> {
    let owner = model.get(&proxy)?.owner?;
    if !wanted.iter().all(|wanted| model[&owner].holds.contains(wanted)) {
        return None;
    }
    for wanted in wanted {
        receives(model.get_mut(&proxy).unwrap(), wanted);
    }
    Some(())
}

/// R4: with access to an app go its roles.
fn loses(model: &mut Directory, account: usize, lost: &Holding) {
    let Some(known) = model.get_mut(&account) else { return };
    known
        .holds
        .retain(|held| held != lost && !matches!((lost, held.app()), (Holding::App(app), Some(of)) if app == of));
}

// ── the cascade, and what writes its changes ──

fn household(directory: &Directory, owner: usize) -> Option<Household> {
    let member = |number: usize| {
        let known = &directory[&number];
        Member { id: id(number), username: name(number), active: known.active, holdings: known.holds.clone() }
    };
    directory.get(&owner).filter(|known| known.owner.is_none())?;
    Some(Household { owner: member(owner), proxies: proxies_of(directory, owner).into_iter().map(member).collect() })
}

/// Asks the cascade what follows from an operation; `None` when it is refused or names nobody.
fn by_the_cascade(directory: &Directory, operation: &Operation, fresh: usize) -> Option<Vec<Change>> {
    let of = |account: &usize| Some(directory.get(account)?.owner.unwrap_or(*account));
    let house = |account: &usize| household(directory, of(account)?);
    let is_person = |account: &usize| directory.get(account).is_some_and(|known| known.owner.is_none());
    match operation {
        Operation::AddPerson => Some(vec![Change::Added { account: id(fresh), username: name(fresh) }]),
        Operation::AddProxy { owner } => household(directory, *owner)?.add_proxy(id(fresh), name(fresh)).ok(),
        Operation::PersonGains { person, wanted } => {
            Some(household(directory, *person)?.owner_gains(&holdings(wanted)))
        }
        Operation::CopyToPerson { from, to } => {
            let wanted = &directory.get(from)?.holds;
            Some(household(directory, *to)?.owner_gains(wanted))
        }
        Operation::PersonLoses { person, lost } => Some(household(directory, *person)?.owner_loses(&holding(*lost))),
        Operation::ProxyGains { proxy, wanted } if !is_person(proxy) => {
            house(proxy)?.proxy_gains(id(*proxy), &holdings(wanted)).ok()
        }
        Operation::CopyToProxy { from, to } if !is_person(to) => {
            let wanted = &directory.get(from)?.holds;
            house(to)?.proxy_gains(id(*to), wanted).ok()
        }
        Operation::ProxyLoses { proxy, lost } if !is_person(proxy) => {
            Some(house(proxy)?.proxy_loses(id(*proxy), &holding(*lost)))
        }
        Operation::ProxyGains { .. } | Operation::CopyToProxy { .. } | Operation::ProxyLoses { .. } => None,
        Operation::Inactivate { account } if is_person(account) => Some(house(account)?.inactivate_owner()),
        Operation::Inactivate { account } => Some(house(account)?.inactivate_proxy(id(*account))),
        Operation::Activate { account } if is_person(account) => Some(house(account)?.activate_owner()),
        Operation::Activate { account } => house(account)?.activate_proxy(id(*account)).ok(),
        Operation::Delete { account } if is_person(account) => Some(house(account)?.delete_owner()),
        Operation::Delete { account } => Some(house(account)?.delete_proxy(id(*account))),
    }
}

fn number_of(account: &AccountId) -> usize {
    usize::from(account.as_bytes()[0])
}

/// Writes one change, and insists that it changes something.
fn write(directory: &mut Directory, change: &Change, operation: &Operation) {
    let changed = match change {
        Change::Added { account, username } => {
            assert_eq!(username, &name(number_of(account)));
            let owner = if let Operation::AddProxy { owner } = operation { Some(*owner) } else { None };
            directory.insert(number_of(account), Known { owner, active: true, holds: BTreeSet::new() }).is_none()
        }
        Change::Given { account, holding } => {
            directory.get_mut(&number_of(account)).unwrap().holds.insert(holding.clone())
        }
        Change::Taken { account, holding } => directory.get_mut(&number_of(account)).unwrap().holds.remove(holding),
        Change::Inactivated { account } => {
            std::mem::replace(&mut directory.get_mut(&number_of(account)).unwrap().active, false)
        }
        Change::Activated { account } => {
            !std::mem::replace(&mut directory.get_mut(&number_of(account)).unwrap().active, true)
        }
        Change::Deleted { account } => directory.remove(&number_of(account)).is_some(),
        Change::AdministrationTaken { .. } => panic!("no rule of a household says {change:?}"),
    };
    assert!(changed, "{change:?} changes nothing");
}

/// What has to hold after every single change.
fn assert_the_law(directory: &Directory, after: &Change) {
    for (number, known) in directory {
        for held in &known.holds {
            let access = held.app().cloned().map(Holding::App);
            assert!(
                access.is_none_or(|access| known.holds.contains(&access)),
                "{number} holds {held} without access, after {after:?}"
            );
        }
        let Some(owner) = known.owner else { continue };
        let owner = directory.get(&owner).unwrap_or_else(|| panic!("{number} has lost its owner, after {after:?}"));
        assert!(known.holds.is_subset(&owner.holds), "{number} holds more than its owner, after {after:?}");
        // P5, the second time: at resolution.
        let resolved = RoleSet::resolve(&known.holds, Some(&owner.holds), &BTreeMap::new());
        let of_owner = RoleSet::resolve(&owner.holds, None, &BTreeMap::new());
        assert!(resolved.roles().all(|role| of_owner.has_role(role)));
        assert!(resolved.apps().all(|app| of_owner.has_app(app)));
    }
}

/// P13: where an owner is inactive, so is every one of its proxy users. Between the changes of one
/// operation the owner goes first, so this is asked after the last.
fn assert_no_proxy_outlives_its_owner(directory: &Directory) {
    for (number, known) in directory {
        let owner_active = known.owner.is_none_or(|owner| directory[&owner].active);
        assert!(!known.active || owner_active, "{number} is active under an inactive owner");
    }
}

/// How much more than usual is asked for: 1, or what `tests/long` says.
fn scale() -> u32 {
    std::env::var_os("LOCUM_TEST_SCALE").and_then(|text| text.to_str()?.parse().ok()).unwrap_or(1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512 * scale(), failure_persistence: None, ..ProptestConfig::default() })]

    /// P1, P3, P4, P5, P6, P7, P10, P11, P12, P13, R4, R8: after every operation of any history the
    /// cascade has done what the words say, refused what they refuse, and after every single change no
    /// proxy user holds what its owner does not.
    #[test]
    fn the_cascade_does_what_the_words_say(operations in prop::collection::vec(operation(), 0..60)) {
        let (mut model, mut directory) = (Directory::new(), Directory::new());
        let mut fresh = 0;
        for operation in &operations {
            let expected = by_the_words(&mut model.clone(), operation, fresh);
            let changes = by_the_cascade(&directory, operation, fresh);
            prop_assert_eq!(expected.is_some(), changes.is_some(), "at {:?}", operation);
            if expected.is_some() {
                by_the_words(&mut model, operation, fresh);
            }
            for change in changes.unwrap_or_default() {
                write(&mut directory, &change, operation);
                assert_the_law(&directory, &change);
            }
            assert_no_proxy_outlives_its_owner(&directory);
            prop_assert_eq!(&model, &directory, "after {:?}", operation);
            if matches!(operation, Operation::AddPerson | Operation::AddProxy { .. }) {
                fresh = (0..100).find(|number| !model.contains_key(number)).unwrap();
            }
        }
    }

    /// P5: whatever the grants say, a proxy user's role set holds nothing that its owner does not; and
    /// nothing less than what both hold.
    #[test]
    fn a_role_set_is_capped_by_the_owner(
        own in prop::collection::btree_set(0..HOLDINGS.len(), 0..7),
        owners in prop::collection::btree_set(0..HOLDINGS.len(), 0..7),
    ) {
        let of = |numbers: &BTreeSet<usize>| numbers.iter().map(|number| holding(*number)).collect::<BTreeSet<_>>();
        let (own, owners) = (of(&own), of(&owners));
        let permission = |role: &RoleName| Permission::parse(&format!("general:{}", role.as_str().replace('/', "."))).unwrap();
        let roles = HOLDINGS.iter().filter_map(|text| match Holding::from_stored(text) {
            Some(Holding::Role(role)) => Some((role.clone(), BTreeSet::from([permission(&role)]))),
            _ => None,
        });
        let definitions: BTreeMap<_, _> = roles.collect();
        let set = RoleSet::resolve(&own, Some(&owners), &definitions);
        for text in HOLDINGS {
            let held = Holding::from_stored(text).unwrap();
            let both = own.contains(&held) && owners.contains(&held);
            match &held {
                Holding::App(app) => prop_assert_eq!(set.has_app(app), both),
                Holding::Role(role) => {
                    prop_assert_eq!(set.has_role(role), both);
                    prop_assert_eq!(set.has_permission(&permission(role)), both);
                    prop_assert_eq!(set.has_permission(&Permission::implied_by(role)), both);
                }
            }
        }
    }
}

/// P5, P6: one refusal names everything that stands in the way.
#[test]
fn a_refused_copy_names_every_role_that_stands_in_the_way() {
    let member = |number: usize, held: &[usize]| Member {
        id: id(number),
        username: name(number),
        active: true,
        holdings: holdings(held),
    };
    let household = Household { owner: member(1, &[0]), proxies: vec![member(2, &[])] };
    let refusal = household.proxy_gains(id(2), &holdings(&[0, 1, 5, 6])).unwrap_err();
    let missing = vec![holding(5), holding(1), holding(6)];
    assert_eq!(refusal, CascadeRefusal::NotHeldByOwner { owner: name(1), missing });
    let words = refusal.to_string();
    assert!(words.contains("`user-1`") && words.contains("`role:auditor`") && words.contains("`app:wiki`"), "{words}");
}

/// P6: a role that the owner holds already widens nobody, not even a proxy user that was narrowed.
#[test]
fn what_the_owner_holds_already_changes_nothing() {
    let owner = Member { id: id(1), username: name(1), active: true, holdings: holdings(&[0, 2, 3]) };
    let narrowed = Member { id: id(2), username: name(2), active: false, holdings: BTreeSet::new() };
    let household = Household { owner, proxies: vec![narrowed] };
    assert_eq!(household.owner_gains(&holdings(&[0, 2, 3])), vec![]);
    let gained = household.owner_gains(&holdings(&[0, 1]));
    let given = |account| Change::Given { account, holding: holding(1) };
    assert_eq!(gained, vec![given(id(1)), given(id(2))], "inactive ones too");
}

/// P8: a thousand proxy users and all roles at once are no matter.
#[test]
fn a_large_household_is_quick() {
    let everything: BTreeSet<_> = (0..HOLDINGS.len()).map(holding).collect();
    let member = |number: u16| Member {
        id: AccountId::from_bytes([number.to_be_bytes(); 8].concat().try_into().unwrap()),
        username: Username::parse(&format!("user-{number}")).unwrap(),
        active: true,
        holdings: BTreeSet::new(),
    };
    let household = Household { owner: member(0), proxies: (1..3_000).map(member).collect() };
    let started = std::time::Instant::now();
    assert_eq!(household.owner_gains(&everything).len(), 3_000 * HOLDINGS.len());
    assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
}
