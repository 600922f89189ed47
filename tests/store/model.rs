//! Any sequence of operations, in groups of any size, against a model that keeps everything in memory.
//!
//! The model carries out the same decisions of the words on plain maps. After each group the database
//! has to hold exactly what the model holds, and an action for each change that was kept.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use locum::directory::owner_cascade::{Change, Household, Member};
use locum::directory::pepper::PepperVersion;
use locum::directory::{
    Account, AccountId, AppName, Holding, Kind, Pat, PatState, Permission, PublicId, RoleName, State,
};
use locum::store::{AccountFilter, Session, Store, StoreError, Writer};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::world::*;

const ROLES: [&str; 4] = ["reports", "billing", "wiki/editor", "wiki/reader"];

/// What is asked for, before it is known of whom.
#[derive(Debug, Clone)]
enum Wish {
    AddPerson(u8, bool),
    AddProxy(Index, u8, bool),
    Household(Index, Rule),
    AddPat(Index),
    Confirm(Index),
    Revoke(Index),
    Contents(usize, bool),
}

/// A rule of households, and of which of its proxy users.
#[derive(Debug, Clone)]
enum Rule {
    OwnerGains(Vec<usize>),
    OwnerLoses(usize),
    ProxyGains(Index, Vec<usize>),
    ProxyLoses(Index, usize),
    InactivateOwner,
    ActivateOwner,
    InactivateProxy(Index),
    ActivateProxy(Index),
    DeleteOwner,
    DeleteProxy(Index),
}

/// What is asked for of whom: the same for the model and for the database.
#[derive(Debug, Clone)]
enum Act {
    Insert(Account),
    Household(AccountId, Rule),
    Pat(Pat),
    Confirm(PublicId),
    Revoke(PublicId),
    Contents(RoleName, BTreeSet<Permission>),
    Nothing,
}

fn wishes() -> impl Strategy<Value = Vec<Vec<(Wish, bool)>>> {
    let holding = || 0..ROLES.len() + 1;
    let index = any::<Index>;
    let rule = prop_oneof![
        4 => prop::collection::vec(holding(), 1..3).prop_map(Rule::OwnerGains),
        2 => holding().prop_map(Rule::OwnerLoses),
        3 => (index(), prop::collection::vec(holding(), 1..3)).prop_map(|(of, wanted)| Rule::ProxyGains(of, wanted)),
        2 => (index(), holding()).prop_map(|(of, holding)| Rule::ProxyLoses(of, holding)),
        1 => Just(Rule::InactivateOwner),
        2 => Just(Rule::ActivateOwner),
        1 => index().prop_map(Rule::InactivateProxy),
        2 => index().prop_map(Rule::ActivateProxy),
        1 => Just(Rule::DeleteOwner),
        1 => index().prop_map(Rule::DeleteProxy),
    ];
    let wish = prop_oneof![
        3 => (0..6_u8, any::<bool>()).prop_map(|(name, upper)| Wish::AddPerson(name, upper)),
        4 => (index(), 0..20_u8, any::<bool>()).prop_map(|(owner, name, upper)| Wish::AddProxy(owner, name, upper)),
        10 => (index(), rule).prop_map(|(person, rule)| Wish::Household(person, rule)),
        3 => index().prop_map(Wish::AddPat),
        1 => index().prop_map(Wish::Confirm),
        1 => index().prop_map(Wish::Revoke),
        1 => (0..ROLES.len(), any::<bool>()).prop_map(|(role, full)| Wish::Contents(role, full)),
    ];
    // one in eight ends with an error after it wrote
    let group = prop::collection::vec((wish, prop::bool::weighted(0.125)), 1..9);
    prop::collection::vec(group, 1..12)
}

fn holding(number: usize) -> Holding {
    ROLES.get(number).map_or_else(|| Holding::App(AppName::parse("wiki").unwrap()), |name| role(name))
}

fn pick(index: Index, members: &[Member]) -> AccountId {
    if members.is_empty() { AccountId::from_bytes([0; 16]) } else { index.get(members).id }
}

/// What a rule decides about a household: the same words for both.
fn decide(household: &Household, rule: &Rule) -> Option<Vec<Change>> {
    let set = |numbers: &[usize]| numbers.iter().map(|number| holding(*number)).collect::<BTreeSet<_>>();
    let proxy = |of: &Index| pick(*of, &household.proxies);
    Some(match rule {
        Rule::OwnerGains(wanted) => household.owner_gains(&set(wanted)),
        Rule::OwnerLoses(lost) => household.owner_loses(&holding(*lost)),
        Rule::ProxyGains(of, wanted) => household.proxy_gains(proxy(of), &set(wanted)).ok()?,
        Rule::ProxyLoses(of, lost) => household.proxy_loses(proxy(of), &holding(*lost)),
        Rule::InactivateOwner => household.inactivate_owner(),
        Rule::ActivateOwner => household.activate_owner(),
        Rule::InactivateProxy(of) => household.inactivate_proxy(proxy(of)),
        Rule::ActivateProxy(of) => household.activate_proxy(proxy(of)).ok()?,
        Rule::DeleteOwner => household.delete_owner(),
        Rule::DeleteProxy(of) => household.delete_proxy(proxy(of)),
    })
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    accounts: BTreeMap<AccountId, Account>,
    holdings: BTreeMap<AccountId, BTreeSet<Holding>>,
    pats: BTreeMap<PublicId, Pat>,
    roles: BTreeMap<RoleName, BTreeSet<Permission>>,
}

impl Model {
    /// Of whom, as things stand now.
    fn aim(&self, wish: Wish) -> Act {
        let cased = |prefix: &str, number: u8, upper: bool| {
            let text = format!("{prefix}{number}");
            if upper { text.to_uppercase() } else { text }
        };
        let people: Vec<_> = self.accounts.values().filter(|account| account.kind == Kind::Person).collect();
        let accounts: Vec<_> = self.accounts.keys().collect();
        let pats: Vec<_> = self.pats.keys().collect();
        match wish {
            Wish::AddPerson(name, upper) => Act::Insert(person(&cased("p", name, upper))),
            Wish::AddProxy(owner, name, upper) if !people.is_empty() => {
                let owner = *owner.get(&people);
                Act::Insert(proxy_of(owner, &cased("bot", name, upper)))
            }
            Wish::Household(person, rule) if !people.is_empty() => Act::Household(person.get(&people).id, rule),
            Wish::AddPat(of) if !accounts.is_empty() => {
                let mut pat = pat_of(**of.get(&accounts), u64::from(rand::random::<u32>()));
                pat.state = PatState::Pending { until: NOON.plus(std::time::Duration::from_mins(15)) };
                Act::Pat(pat)
            }
            Wish::Confirm(of) if !pats.is_empty() => Act::Confirm(**of.get(&pats)),
            Wish::Revoke(of) if !pats.is_empty() => Act::Revoke(**of.get(&pats)),
            Wish::Contents(role, full) => {
                let contents = if full { permissions(&["wiki:write", "global:all"]) } else { BTreeSet::new() };
                Act::Contents(RoleName::parse(ROLES[role]).unwrap(), contents)
            }
            _ => Act::Nothing,
        }
    }

    /// Carries it out; whether it could be.
    fn act(&mut self, act: &Act) -> bool {
        match act {
            Act::Insert(account) => {
                let owner_exists = account.kind.owner().is_none_or(|owner| self.accounts.contains_key(&owner));
                let folded = account.username.folded();
                if !owner_exists || self.accounts.values().any(|known| known.username.folded() == folded) {
                    return false;
                }
                self.accounts.insert(account.id, account.clone());
                self.holdings.insert(account.id, BTreeSet::new());
                true
            }
            Act::Household(person, rule) => {
                let Some(household) = self.household(*person) else { return false };
                let Some(changes) = decide(&household, rule) else { return false };
                for change in &changes {
                    self.change(change);
                }
                true
            }
            Act::Pat(pat) => {
                self.accounts.contains_key(&pat.account) && self.pats.insert(pat.public_id, pat.clone()).is_none()
            }
            Act::Confirm(public_id) => self.pats.get_mut(public_id).is_some_and(|pat| pat.confirm(NOON).is_ok()),
            Act::Revoke(public_id) => {
                let context = context();
                self.pats.get_mut(public_id).is_some_and(|pat| pat.revoke(NOON, root(), context.pat_reason).is_ok())
            }
            Act::Contents(role, contents) => self.roles.insert(role.clone(), contents.clone()).is_some(),
            Act::Nothing => true,
        }
    }

    fn change(&mut self, change: &Change) {
        let context = context();
        match change {
            Change::Added { .. } | Change::AdministrationTaken { .. } => {
                unreachable!("no rule of this test adds, or has administrators")
            }
            Change::Given { account, holding } => {
                self.holdings.get_mut(account).unwrap().insert(holding.clone());
            }
            Change::Taken { account, holding } => {
                self.holdings.get_mut(account).unwrap().remove(holding);
            }
            Change::Inactivated { account } => {
                self.accounts.get_mut(account).unwrap().state =
                    State::Inactive { at: context.now, by: context.by.clone(), reason: context.reason };
                for pat in self.pats.values_mut().filter(|pat| pat.account == *account) {
                    // one that was revoked before keeps its first reason
                    let _first = pat.revoke(context.now, context.by.clone(), context.pat_reason.clone());
                }
            }
            Change::Activated { account } => {
                let account = self.accounts.get_mut(account).unwrap();
                account.state = State::Active;
                account.life = account.life.next();
            }
            Change::Deleted { account } => {
                self.accounts.remove(account);
                self.holdings.remove(account);
                self.pats.retain(|_, pat| pat.account != *account);
            }
        }
    }

    fn household(&self, person: AccountId) -> Option<Household> {
        let member = |account: &Account| Member {
            id: account.id,
            username: account.username.clone(),
            active: account.state.is_active(),
            holdings: self.holdings[&account.id].clone(),
        };
        let owner = member(self.accounts.get(&person)?);
        let proxies = self.accounts.values().filter(|account| account.kind.owner() == Some(person));
        let mut proxies: Vec<Member> = proxies.map(member).collect();
        proxies.sort_by(|one, other| one.username.cmp(&other.username));
        Some(Household { owner, proxies })
    }
}

async fn act_in(writer: &mut Writer, act: Act) -> Result<(), StoreError> {
    let refused = || StoreError::Rule { why: "a rule of the words".into() };
    match act {
        Act::Insert(account) => writer.insert_account(&account).await,
        Act::Household(person, rule) => {
            let household = writer.household(person).await?.ok_or_else(refused)?;
            let changes = decide(&household, &rule).ok_or_else(refused)?;
            writer.apply(&changes, &context()).await.map(|_| ())
        }
        Act::Pat(pat) => writer.insert_pat(&pat, &HASH, PepperVersion(1)).await,
        Act::Confirm(public_id) => {
            let mut pat = writer.pat(public_id).await?.ok_or_else(refused)?;
            pat.confirm(NOON).map_err(|_| refused())?;
            writer.save_pat_state(&pat).await
        }
        Act::Revoke(public_id) => {
            let mut pat = writer.pat(public_id).await?.ok_or_else(refused)?;
            pat.revoke(NOON, root(), context().pat_reason).map_err(|_| refused())?;
            writer.save_pat_state(&pat).await
        }
        Act::Contents(role, contents) => writer.set_role_permissions(&role, &contents).await,
        Act::Nothing => Ok(()),
    }
}

/// Everything that the database holds, in the model's words.
async fn everything(session: &mut Session) -> Model {
    let filter = AccountFilter { limit: 10_000, ..AccountFilter::default() };
    let accounts = session.accounts(&filter).await.unwrap();
    let mut model = Model { roles: session.roles().await.unwrap(), ..Model::default() };
    for account in accounts {
        model.holdings.insert(account.id, session.holdings(account.id).await.unwrap());
        for pat in session.pats(account.id).await.unwrap() {
            model.pats.insert(pat.public_id, pat);
        }
        model.accounts.insert(account.id, account);
    }
    model
}

async fn new_installation(store: &Store) -> Model {
    let making = write(store, |writer| {
        Box::pin(async move {
            writer.put_app(&AppName::parse("wiki").unwrap(), true).await?;
            for name in ROLES {
                writer.insert_role(&RoleName::parse(name).unwrap(), &permissions(&["general:read"])).await?;
            }
            Ok(())
        })
    });
    making.await.unwrap();
    everything(&mut store.read().await.unwrap()).await
}

async fn agrees(backend: &Backend, groups: Vec<Vec<(Wish, bool)>>) {
    let store = backend.open().await;
    let mut model = new_installation(&store).await;
    let mut kept = 1;
    for group in groups {
        let gate = Gate::close(&store).await;
        let (mut expected, mut running) = (Vec::new(), Vec::new());
        for (wish, spoilt) in group {
            let act = model.aim(wish);
            let mut after = model.clone();
            let done = after.act(&act) && !spoilt;
            if done {
                model = after;
                kept += 1;
            }
            expected.push((done, act.clone()));
            running.push(write(&store, move |writer| {
                Box::pin(async move {
                    act_in(writer, act).await?;
                    if spoilt { Err(StoreError::Rule { why: "spoilt".into() }) } else { Ok(()) }
                })
            }));
        }
        let (answers, ()) = tokio::join!(biased; join_all(running), gate.open());
        for (answer, (done, act)) in answers.into_iter().zip(expected) {
            assert_eq!(answer.is_ok(), done, "{act:?}: {answer:?}");
        }
        let mut reader = store.read().await.unwrap();
        assert_eq!(everything(&mut reader).await, model);
        assert_eq!(reader.audit().await.unwrap().sequence, kept, "one action for each change that was kept");
    }
    never_more_than_the_owner(&model);
    store.close().await;
}

/// P5
fn never_more_than_the_owner(model: &Model) {
    for account in model.accounts.values() {
        if let Some(owner) = account.kind.owner() {
            assert!(model.holdings[&account.id].is_subset(&model.holdings[&owner]), "{}", account.username);
        }
    }
}

fn any_sequence_agrees(kept: Kept, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: cases * scale(), failure_persistence: None, ..Config::default() });
    let result = runner.run(&wishes(), |groups| {
        runtime.block_on(agrees(&Backend::new(kept), groups));
        Ok(())
    });
    result.unwrap();
}

/// P3, P4, P5, P6, P7, P10, P11, P12, P13, T6, H1
#[test]
fn any_sequence_of_operations_agrees_with_the_model_in_sqlite() {
    any_sequence_agrees(Kept::Sqlite, 64);
}

/// P3, P4, P5, P6, P7, P10, P11, P12, P13, T6, H1
#[test]
fn any_sequence_of_operations_agrees_with_the_model_in_postgres() {
    any_sequence_agrees(Kept::Postgres, 16);
}
