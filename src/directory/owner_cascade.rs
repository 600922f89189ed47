//! The law between an owner and its proxy users: a proxy user never holds what its owner does not.
//!
//! A [`Household`] is one person with all of its proxy users, as they are now. Each rule looks at it
//! and answers with the [`Change`]s that follow, or with a refusal; the store then writes exactly
//! those. The rules are P3–P7, P11 and P13, and R4 and R8 for access to apps, which is held, capped
//! and inherited like a role.

use std::collections::BTreeSet;

use super::{AccountId, AppName, Holding, Username};

/// One account of a household.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: AccountId,
    pub username: Username,
    pub active: bool,
    pub holdings: BTreeSet<Holding>,
}

/// A person and its proxy users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Household {
    pub owner: Member,
    pub proxies: Vec<Member>,
}

/// One thing that has to be written. A list of them is applied in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Added {
        account: AccountId,
        username: Username,
    },
    Given {
        account: AccountId,
        holding: Holding,
    },
    Taken {
        account: AccountId,
        holding: Holding,
    },
    /// Disabled, with all of its tokens revoked (P10).
    Inactivated {
        account: AccountId,
    },
    /// Enabled again, its revoked tokens staying revoked (P11).
    Activated {
        account: AccountId,
    },
    /// Removed with its tokens (P12).
    Deleted {
        account: AccountId,
    },
}

/// Why a rule says no. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CascadeRefusal {
    /// P5, P6: everything that stands in the way, so that one refusal tells all.
    #[error("the owner `{owner}` does not hold {}: give it to the owner first", list(.missing))]
    NotHeldByOwner { owner: Username, missing: Vec<Holding> },
    /// P1, P11.
    #[error("the owner `{0}` is inactive: mark it active first")]
    OwnerInactive(Username),
}

fn list(holdings: &[Holding]) -> String {
    holdings.iter().map(|holding| format!("`{holding}`")).collect::<Vec<_>>().join(", ")
}

impl Household {
    /// A new proxy user holds exactly what its owner holds (P3); refused under an inactive owner (P1).
    ///
    /// # Errors
    /// [`CascadeRefusal::OwnerInactive`].
    pub fn add_proxy(&self, id: AccountId, username: Username) -> Result<Vec<Change>, CascadeRefusal> {
        self.demand_active_owner()?;
        let given = self.owner.holdings.iter().cloned();
        Ok(std::iter::once(Change::Added { account: id, username })
            .chain(given.map(|holding| Change::Given { account: id, holding }))
            .collect())
    }

    /// What is *newly* gained by the owner goes to every proxy user, inactive ones too, and to one
    /// that had lost it before; what the owner already holds changes nothing anywhere (P6).
    pub fn owner_gains(&self, wanted: &BTreeSet<Holding>) -> Vec<Change> {
        let mut changes = Vec::new();
        for holding in with_app_access(wanted) {
            if self.owner.holdings.contains(&holding) {
                continue;
            }
            changes.push(Change::Given { account: self.owner.id, holding: holding.clone() });
            for proxy in &self.proxies {
                for inherited in with_app_access(&BTreeSet::from([holding.clone()])) {
                    give(proxy, inherited, &mut changes);
                }
            }
        }
        changes
    }

    /// What the owner loses, all of its proxy users lose (P7). Losing access to an app takes the
    /// app's roles along (R4).
    pub fn owner_loses(&self, holding: &Holding) -> Vec<Change> {
        let mut changes = Vec::new();
        for member in std::iter::once(&self.owner).chain(&self.proxies) {
            take(member, holding, &mut changes);
        }
        changes
    }

    /// A proxy user may be given back what its owner holds, and nothing else (P5); all or nothing.
    ///
    /// # Errors
    /// [`CascadeRefusal::NotHeldByOwner`] with everything that the owner lacks.
    pub fn proxy_gains(&self, proxy: AccountId, wanted: &BTreeSet<Holding>) -> Result<Vec<Change>, CascadeRefusal> {
        let missing: Vec<_> = wanted.difference(&self.owner.holdings).cloned().collect();
        if !missing.is_empty() {
            return Err(CascadeRefusal::NotHeldByOwner { owner: self.owner.username.clone(), missing });
        }
        let mut changes = Vec::new();
        for member in self.proxies.iter().filter(|member| member.id == proxy) {
            for holding in with_app_access(wanted) {
                give(member, holding, &mut changes);
            }
        }
        Ok(changes)
    }

    /// A proxy user is narrowed without touching its owner (P4).
    pub fn proxy_loses(&self, proxy: AccountId, holding: &Holding) -> Vec<Change> {
        let mut changes = Vec::new();
        for member in self.proxies.iter().filter(|member| member.id == proxy) {
            take(member, holding, &mut changes);
        }
        changes
    }

    /// The owner and every proxy user that is still active become inactive (P10, P13).
    pub fn inactivate_owner(&self) -> Vec<Change> {
        std::iter::once(&self.owner)
            .chain(&self.proxies)
            .filter(|member| member.active)
            .map(|member| Change::Inactivated { account: member.id })
            .collect()
    }

    /// Only the owner becomes active again; its proxy users wait to be marked one by one (P13).
    pub fn activate_owner(&self) -> Vec<Change> {
        if self.owner.active { Vec::new() } else { vec![Change::Activated { account: self.owner.id }] }
    }

    /// P10.
    pub fn inactivate_proxy(&self, proxy: AccountId) -> Vec<Change> {
        self.proxies
            .iter()
            .filter(|member| member.id == proxy && member.active)
            .map(|member| Change::Inactivated { account: member.id })
            .collect()
    }

    /// P11: refused while the owner is inactive.
    ///
    /// # Errors
    /// [`CascadeRefusal::OwnerInactive`].
    pub fn activate_proxy(&self, proxy: AccountId) -> Result<Vec<Change>, CascadeRefusal> {
        self.demand_active_owner()?;
        let sleeping = self.proxies.iter().filter(|member| member.id == proxy && !member.active);
        Ok(sleeping.map(|member| Change::Activated { account: member.id }).collect())
    }

    /// Deleting an owner deletes its proxy users, they first (P13).
    pub fn delete_owner(&self) -> Vec<Change> {
        self.proxies
            .iter()
            .chain(std::iter::once(&self.owner))
            .map(|member| Change::Deleted { account: member.id })
            .collect()
    }

    /// P12.
    pub fn delete_proxy(&self, proxy: AccountId) -> Vec<Change> {
        self.proxies
            .iter()
            .filter(|member| member.id == proxy)
            .map(|member| Change::Deleted { account: member.id })
            .collect()
    }

    fn demand_active_owner(&self) -> Result<(), CascadeRefusal> {
        if self.owner.active { Ok(()) } else { Err(CascadeRefusal::OwnerInactive(self.owner.username.clone())) }
    }
}

/// Access to an app is given with the first role in it (R8).
fn with_app_access(wanted: &BTreeSet<Holding>) -> BTreeSet<Holding> {
    let mut all = wanted.clone();
    all.extend(wanted.iter().filter_map(Holding::app).cloned().map(Holding::App));
    all
}

fn give(member: &Member, holding: Holding, changes: &mut Vec<Change>) {
    let change = Change::Given { account: member.id, holding };
    let held = matches!(&change, Change::Given { holding, .. } if member.holdings.contains(holding));
    if !held && !changes.contains(&change) {
        changes.push(change);
    }
}

fn take(member: &Member, holding: &Holding, changes: &mut Vec<Change>) {
    let lost = member.holdings.iter().filter(|held| *held == holding || goes_with(held, holding));
    changes.extend(lost.map(|held| Change::Taken { account: member.id, holding: held.clone() }));
}

/// Whether `held` is a role of the app whose access is taken away (R4).
fn goes_with(held: &Holding, taken: &Holding) -> bool {
    let Holding::App(app) = taken else { return false };
    matches!(held, Holding::Role(role) if role.app() == Some::<&AppName>(app))
}
