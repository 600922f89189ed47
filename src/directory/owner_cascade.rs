//! The law between an owner and its proxy users: a proxy user never holds what its owner does not.
//!
//! A [`Household`] is one person with all of its proxy users, as they are now. Each rule looks at it
//! and answers with the [`Change`]s that follow, or with a refusal; the store then writes exactly
//! those. The rules are P3–P7, P11 and P13, and R4 and R8 for access to apps, which is held, capped
//! and inherited like a role.
//!
//! The order of the changes matters: what is given is given to the owner first, what is taken is taken
//! from the proxy users first, and whoever holds a role of an app has access to it. So the law holds
//! after each single change, not only after the last.

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
    /// The right to administer an app, which goes with the access to it (R4).
    AdministrationTaken {
        account: AccountId,
        app: AppName,
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
    /// that had lost it before; what the owner already holds changes nothing anywhere (P6). The owner
    /// comes first.
    pub fn owner_gains(&self, wanted: &BTreeSet<Holding>) -> Vec<Change> {
        let gained: BTreeSet<_> = with_app_access(wanted).difference(&self.owner.holdings).cloned().collect();
        // A proxy user that was kept out of an app is let in again by a new role in it (R8).
        let inherited = with_app_access(&gained);
        let to_proxies = self.proxies.iter().flat_map(|proxy| given(proxy, &inherited));
        given(&self.owner, &gained).chain(to_proxies).collect()
    }

    /// What the owner loses, all of its proxy users lose (P7), and they first. Losing access to an app
    /// takes the app's roles along (R4).
    pub fn owner_loses(&self, holding: &Holding) -> Vec<Change> {
        self.proxies.iter().chain(std::iter::once(&self.owner)).flat_map(|member| taken(member, holding)).collect()
    }

    /// A proxy user may be given back what its owner holds, and nothing else (P5); all or nothing.
    ///
    /// # Errors
    /// [`CascadeRefusal::NotHeldByOwner`] with everything that the owner lacks.
    pub fn proxy_gains(&self, proxy: AccountId, wanted: &BTreeSet<Holding>) -> Result<Vec<Change>, CascadeRefusal> {
        let wanted = with_app_access(wanted);
        let missing: Vec<_> = wanted.difference(&self.owner.holdings).cloned().collect();
        if !missing.is_empty() {
            return Err(CascadeRefusal::NotHeldByOwner { owner: self.owner.username.clone(), missing });
        }
        Ok(self.proxy(proxy).flat_map(|member| given(member, &wanted)).collect())
    }

    /// A proxy user is narrowed without touching its owner (P4).
    pub fn proxy_loses(&self, proxy: AccountId, holding: &Holding) -> Vec<Change> {
        self.proxy(proxy).flat_map(|member| taken(member, holding)).collect()
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
        let active = self.proxy(proxy).filter(|member| member.active);
        active.map(|member| Change::Inactivated { account: member.id }).collect()
    }

    /// P11: refused while the owner is inactive.
    ///
    /// # Errors
    /// [`CascadeRefusal::OwnerInactive`].
    pub fn activate_proxy(&self, proxy: AccountId) -> Result<Vec<Change>, CascadeRefusal> {
        self.demand_active_owner()?;
        let sleeping = self.proxy(proxy).filter(|member| !member.active);
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
        self.proxy(proxy).map(|member| Change::Deleted { account: member.id }).collect()
    }

    /// The proxy user of this id; nobody when it is another person's.
    fn proxy(&self, id: AccountId) -> impl Iterator<Item = &Member> {
        self.proxies.iter().filter(move |member| member.id == id)
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

/// What has to be given so that a member holds all of `holdings`; access to an app before its roles.
fn given<'a>(member: &'a Member, holdings: &'a BTreeSet<Holding>) -> impl Iterator<Item = Change> {
    holdings.difference(&member.holdings).map(|holding| Change::Given { account: member.id, holding: holding.clone() })
}

/// What has to be taken so that a member does not hold `holding`; an app's roles before its access.
fn taken<'a>(member: &'a Member, holding: &'a Holding) -> impl Iterator<Item = Change> {
    let lost = member.holdings.iter().rev().filter(move |held| *held == holding || goes_with(held, holding));
    lost.map(|held| Change::Taken { account: member.id, holding: held.clone() })
}

/// Whether `held` is a role of the app whose access is taken away (R4).
fn goes_with(held: &Holding, taken: &Holding) -> bool {
    let Holding::App(app) = taken else { return false };
    matches!(held, Holding::Role(role) if role.app() == Some::<&AppName>(app))
}
