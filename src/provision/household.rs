//! From what the rules of a household say to what is written: the changes, one action for each account
//! touched, and the effects.

use super::Error;
use super::operation::{Decided, Effects, Hand};
use crate::directory::owner_cascade::{Change, Household};
use crate::directory::{AccountId, Actor, PublicId, ReasonCode, Username};
use crate::history::{Action, ActionType, Actions};
use crate::store::ApplyContext;

/// Who does a change, as the history tells it.
pub(super) struct Plan {
    /// The account that the operation is about; the others are touched by the cascade.
    pub(super) target: AccountId,
    pub(super) doer: Doer,
    /// The rule by which the others are touched.
    pub(super) cascade: &'static str,
}

impl Plan {
    /// The caller does it to `target`; the rule `cascade` does it to the others.
    pub(super) const fn by_caller(target: AccountId, cascade: &'static str) -> Self {
        Self { target, doer: Doer::Caller, cascade }
    }
}

/// Who changes the account that an operation is about.
pub(super) enum Doer {
    Caller,
    Locum { cause: &'static str, reason: ReasonCode },
}

impl Hand<'_> {
    /// Writes what the rules of the household say, and composes its actions and effects. `first` are
    /// actions that come before; `value` is the answer.
    pub(super) async fn carry_out<T>(
        mut self,
        household: &Household,
        changes: &[Change],
        plan: &Plan,
        first: Vec<Action>,
        value: T,
    ) -> Result<Decided<T>, Error> {
        let (actions, effects) = self.write(household, changes, plan).await?;
        let all: Vec<_> = first.into_iter().chain(actions).collect();
        Ok(match Actions::from_vec(all) {
            Some(actions) => Decided::Changed(value, actions, effects),
            None => Decided::AsItWas(value),
        })
    }

    async fn write(
        &mut self,
        household: &Household,
        changes: &[Change],
        plan: &Plan,
    ) -> Result<(Vec<Action>, Effects), Error> {
        let mut ledger = Ledger::default();
        // Applied in the order of the rules, account by account, because who did it differs.
        for run in changes.chunk_by(|a, b| account_of(a) == account_of(b)) {
            let account = account_of(&run[0]);
            let direct = account == plan.target;
            let (by, reason) = match &plan.doer {
                Doer::Caller if direct => (self.request.actor(), ReasonCode::marked_inactive()),
                Doer::Locum { reason, .. } if direct => (Actor::Locum, reason.clone()),
                Doer::Caller | Doer::Locum { .. } => (Actor::Locum, ReasonCode::owner_inactivated()),
            };
            let pat_reason = ReasonCode::account_inactivated();
            let context = ApplyContext { now: self.now, by, reason, pat_reason };
            // An account that is added is written by its operation, whole.
            let written: Vec<_> =
                run.iter().filter(|change| !matches!(change, Change::Added { .. })).cloned().collect();
            let applied = self.writer.apply(&written, &context).await?;
            for change in run {
                if let Change::Deleted { account } = change {
                    let tombstone = self.provision.0.tombstones.tombstone_of(username_of(household, *account));
                    self.writer.insert_tombstone(&tombstone).await?;
                }
                ledger.enter(change);
            }
            ledger.revoked.extend(applied.revoked_pats);
        }
        Ok((self.actions(household, &ledger, plan), ledger.effects()))
    }

    fn actions(&self, household: &Household, ledger: &Ledger, plan: &Plan) -> Vec<Action> {
        let mut actions = Vec::new();
        for (account, changes) in &ledger.accounts {
            let is_owner = *account == household.owner.id;
            let by = |kind: ActionType| match (&plan.doer, *account == plan.target) {
                (Doer::Caller, true) => self.request.action(kind).to(*account),
                (Doer::Locum { cause, .. }, true) => self.request.consequence(kind, *cause).to(*account),
                (_, false) => self.request.consequence(kind, plan.cascade).to(*account),
            };
            let mut holdings: Option<Action> = None;
            for change in changes {
                match change {
                    // The operation itself tells of the account that it added.
                    Change::Added { .. } => {}
                    Change::Given { holding, .. } => {
                        let action = holdings.take().unwrap_or_else(|| by(ActionType::RolesChanged));
                        holdings = Some(action.detail(&holding.to_stored(), None, Some("held")));
                    }
                    Change::Taken { holding, .. } => {
                        let action = holdings.take().unwrap_or_else(|| by(ActionType::RolesChanged));
                        holdings = Some(action.detail(&holding.to_stored(), Some("held"), None));
                    }
                    Change::AdministrationTaken { app, .. } => {
                        let action = holdings.take().unwrap_or_else(|| by(ActionType::RolesChanged));
                        holdings = Some(action.detail(&format!("admin:{app}"), Some("held"), None));
                    }
                    Change::Inactivated { .. } => {
                        let kind =
                            if is_owner { ActionType::UserMarkedInactive } else { ActionType::ProxyUserMarkedInactive };
                        actions.push(by(kind).detail("state", Some("active"), Some("inactive")));
                        actions.extend(self.revocations(ledger, *account, plan));
                    }
                    Change::Activated { .. } => {
                        let kind =
                            if is_owner { ActionType::UserMarkedActive } else { ActionType::ProxyUserMarkedActive };
                        actions.push(by(kind).detail("state", Some("inactive"), Some("active")));
                    }
                    Change::Deleted { .. } => {
                        let kind = if is_owner { ActionType::UserDeleted } else { ActionType::ProxyUserDeleted };
                        actions.push(self.request.consequence(kind, self.deletion_cause(*account, plan)).to(*account));
                    }
                }
            }
            actions.extend(holdings);
        }
        actions
    }

    /// A deletion is done by Locum; its cause names who asked, after the rule of the cascade (H4).
    fn deletion_cause(&self, account: AccountId, plan: &Plan) -> String {
        let asked = self.request.actor().to_stored();
        if account == plan.target { asked } else { format!("{} {asked}", plan.cascade) }
    }

    /// The tokens that went with an account: by Locum, because the account did (P10).
    fn revocations<'a>(
        &'a self,
        ledger: &'a Ledger,
        account: AccountId,
        plan: &'a Plan,
    ) -> impl Iterator<Item = Action> + 'a {
        let cause = match &plan.doer {
            Doer::Locum { cause, .. } if account == plan.target => cause,
            Doer::Caller if account == plan.target => "P10",
            Doer::Caller | Doer::Locum { .. } => plan.cascade,
        };
        ledger.revoked.iter().filter(move |(of, _)| *of == account).map(move |(of, public_id)| {
            self.request.consequence(ActionType::PatRevoked, cause).to(*of).object(public_id.as_str()).detail(
                "reason",
                None,
                Some(ReasonCode::account_inactivated().as_str()),
            )
        })
    }
}

/// What was written, by account, in the order in which they were first touched.
#[derive(Default)]
struct Ledger {
    accounts: Vec<(AccountId, Vec<Change>)>,
    revoked: Vec<(AccountId, PublicId)>,
}

impl Ledger {
    fn enter(&mut self, change: &Change) {
        let account = account_of(change);
        match self.accounts.iter_mut().find(|(known, _)| *known == account) {
            Some((_, changes)) => changes.push(change.clone()),
            None => self.accounts.push((account, vec![change.clone()])),
        }
    }

    fn effects(&self) -> Effects {
        let mut effects = Effects::default();
        for (account, changes) in &self.accounts {
            for change in changes {
                match change {
                    Change::Added { .. } | Change::Given { .. } | Change::Activated { .. } => {
                        effects.widened.insert(*account)
                    }
                    Change::Taken { .. } | Change::Inactivated { .. } => effects.narrowed.insert(*account),
                    Change::Deleted { .. } => {
                        effects.forgotten.insert(*account);
                        effects.narrowed.insert(*account)
                    }
                    // Rights over Locum are read anew with each call: nothing remembers them.
                    Change::AdministrationTaken { .. } => false,
                };
            }
        }
        effects
    }
}

const fn account_of(change: &Change) -> AccountId {
    match change {
        Change::Added { account, .. }
        | Change::Given { account, .. }
        | Change::Taken { account, .. }
        | Change::AdministrationTaken { account, .. }
        | Change::Inactivated { account }
        | Change::Activated { account }
        | Change::Deleted { account } => *account,
    }
}

fn username_of(household: &Household, account: AccountId) -> &Username {
    let proxy = household.proxies.iter().find(|proxy| proxy.id == account);
    proxy.map_or(&household.owner.username, |proxy| &proxy.username)
}
