//! Arbitrary sequences of operations against a model that knows only what the requirements say (P3–P7,
//! P10–P13): the database has to say the same after every step.

use std::collections::{BTreeMap, BTreeSet};

use locum::provision::{holding, person, proxy_user};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{Kept, World, name, refused, run, settings};

const PEOPLE: [&str; 2] = ["ann", "bob"];
const PROXIES: [(&str, &str); 4] = [("ann-1", "ann"), ("ann-2", "ann"), ("bob-1", "bob"), ("bob-2", "bob")];
const HELD: [&str; 4] = ["reports", "audit", "blog/editor", "app:blog"];

#[derive(Debug, Clone, Copy)]
enum Step {
    AddProxy(usize),
    Grant(usize, usize),
    Remove(usize, usize),
    Copy(usize, usize),
    Inactivate(usize),
    Activate(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_usize).prop_map(Step::AddProxy),
        (0..6_usize, 0..4_usize).prop_map(|(who, what)| Step::Grant(who, what)),
        (0..6_usize, 0..4_usize).prop_map(|(who, what)| Step::Remove(who, what)),
        (0..6_usize, 0..6_usize).prop_map(|(from, to)| Step::Copy(from, to)),
        (0..6_usize).prop_map(Step::Inactivate),
        (0..6_usize).prop_map(Step::Activate),
    ]
}

fn who(index: usize) -> &'static str {
    if index < 2 { PEOPLE[index] } else { PROXIES[index - 2].0 }
}

/// What the requirements say, in the plainest words.
#[derive(Debug, Default)]
struct Model {
    accounts: BTreeMap<&'static str, (bool, BTreeSet<&'static str>)>,
}

impl Model {
    fn owner(username: &str) -> Option<&'static str> {
        PROXIES.iter().find(|(proxy, _)| *proxy == username).map(|(_, owner)| *owner)
    }

    fn proxies(&self, owner: &str) -> Vec<&'static str> {
        PROXIES
            .iter()
            .filter(|(proxy, of)| *of == owner && self.accounts.contains_key(proxy))
            .map(|(p, _)| *p)
            .collect()
    }

    fn held(&mut self, username: &str) -> &mut BTreeSet<&'static str> {
        &mut self.accounts.get_mut(username).unwrap().1
    }

    /// A role of an app brings access to it (R8).
    fn with_access(wanted: &BTreeSet<&'static str>) -> BTreeSet<&'static str> {
        let mut all = wanted.clone();
        if all.contains("blog/editor") {
            all.insert("app:blog");
        }
        all
    }

    /// Gives, or says no where the owner lacks something (P5, P6).
    fn give(&mut self, to: &'static str, wanted: &BTreeSet<&'static str>) -> bool {
        if let Some(owner) = Self::owner(to) {
            if !wanted.is_subset(self.held(owner)) {
                return false;
            }
            self.held(to).extend(Self::with_access(wanted));
            return true;
        }
        let new: BTreeSet<_> = Self::with_access(wanted).difference(self.held(to)).copied().collect();
        self.held(to).extend(&new);
        for proxy in self.proxies(to) {
            self.held(proxy).extend(Self::with_access(&new));
        }
        true
    }

    fn take(&mut self, from: &'static str, what: &'static str) {
        let losers = if Self::owner(from).is_some() { Vec::new() } else { self.proxies(from) };
        for loser in losers.into_iter().chain([from]) {
            self.held(loser).remove(what);
            if what == "app:blog" {
                self.held(loser).remove("blog/editor");
            }
        }
    }

    /// Does a step; `None` when it names an account that does not exist, else whether it is allowed.
    fn step(&mut self, step: Step) -> Option<bool> {
        let known = |model: &Self, index: usize| model.accounts.contains_key(who(index)).then(|| who(index));
        Some(match step {
            Step::AddProxy(index) => {
                let (proxy, owner) = PROXIES[index];
                let (active, held) = self.accounts[owner].clone();
                if !active || self.accounts.contains_key(proxy) {
                    return Some(false);
                }
                self.accounts.insert(proxy, (true, held));
                true
            }
            Step::Grant(index, what) => {
                let to = known(self, index)?;
                self.give(to, &BTreeSet::from([HELD[what]]))
            }
            Step::Remove(index, what) => {
                let from = known(self, index)?;
                self.take(from, HELD[what]);
                true
            }
            Step::Copy(from, to) => {
                let (from, to) = (known(self, from)?, known(self, to)?);
                let roles = self.held(from).iter().copied().filter(|held| !held.starts_with("app:")).collect();
                from != to && self.give(to, &roles)
            }
            Step::Inactivate(index) => {
                let username = known(self, index)?;
                for proxy in self.proxies(username) {
                    self.accounts.get_mut(proxy).unwrap().0 = false;
                }
                self.accounts.get_mut(username).unwrap().0 = false;
                true
            }
            Step::Activate(index) => {
                let username = known(self, index)?;
                if Self::owner(username).is_some_and(|owner| !self.accounts[owner].0) {
                    return Some(false);
                }
                self.accounts.get_mut(username).unwrap().0 = true;
                true
            }
        })
    }
}

async fn really(world: &World, step: Step) -> bool {
    let (p, host) = (&world.provision, &world.host);
    let is_person = |index: usize| index < 2;
    match step {
        Step::AddProxy(index) => world.try_proxy(PROXIES[index].0, PROXIES[index].1).await.is_ok(),
        Step::Grant(index, what) => world.try_grant(who(index), HELD[what]).await.is_ok(),
        Step::Remove(index, what) => {
            let held = match HELD[what].strip_prefix("app:") {
                Some(app) => format!("app:{app}"),
                None => format!("role:{}", HELD[what]),
            };
            let held = locum::directory::Holding::from_stored(&held).unwrap();
            refused(holding::remove(p, host, name(who(index)), held).await).is_ok()
        }
        Step::Copy(from, to) => world.try_copy(who(from), who(to)).await.is_ok(),
        Step::Inactivate(index) if is_person(index) => {
            refused(person::inactivate(p, host, name(who(index))).await).is_ok()
        }
        Step::Inactivate(index) => refused(proxy_user::inactivate(p, host, name(who(index))).await).is_ok(),
        Step::Activate(index) if is_person(index) => refused(person::activate(p, host, name(who(index))).await).is_ok(),
        Step::Activate(index) => refused(proxy_user::activate(p, host, name(who(index))).await).is_ok(),
    }
}

async fn agree(world: World, steps: Vec<Step>) {
    for role in ["reports", "audit", "blog/editor"] {
        world.role(role, &[]).await;
    }
    let mut model = Model::default();
    for person in PEOPLE {
        world.person(person).await;
        model.accounts.insert(person, (true, BTreeSet::new()));
    }
    for step in steps {
        let expected = model.step(step).unwrap_or(false);
        assert_eq!(really(&world, step).await, expected, "{step:?}");
        for (username, (active, held)) in &model.accounts {
            let shown = world.show(username).await;
            let really: BTreeSet<_> = shown.holdings.iter().map(ToString::to_string).collect();
            let really: BTreeSet<_> = really.iter().map(|held| held.strip_prefix("role:").unwrap_or(held)).collect();
            assert_eq!((shown.account.state.is_active(), &really), (*active, held), "{username} after {step:?}");
            if let Some(owner) = Model::owner(username) {
                assert!(held.is_subset(&model.accounts[owner].1), "{username} exceeds its owner after {step:?}");
            }
        }
    }
}

/// P3–P7, P10, P11, P13
#[test]
fn the_database_says_what_the_requirements_say_after_every_step() {
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    runner
        .run(&proptest::collection::vec(step(), 1..40), |steps| {
            run(Kept::Sqlite, settings(), async |world| agree(world, steps.clone()).await);
            Ok(())
        })
        .unwrap();
}
