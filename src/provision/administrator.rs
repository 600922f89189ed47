//! Those who run Locum: made, promoted, downgraded, their administration ended and resumed, the apps that they
//! administer, and the rights of plain people (A1, A3–A5, R5).
//!
//! Deactivating is about the administration, never about the account: see [`crate::directory::administrator`].
//! Nobody changes what it holds itself, and nobody acts on somebody of a higher level.

use std::collections::BTreeSet;

use super::household::Plan;
use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Caller, Error, Provision, Refusal, Request, Wanted};
use crate::directory::administrator::{Administration, AdministrationState, Held, Level, may_act_on};
use crate::directory::rights::{Operation, Right};
use crate::directory::{Account, AccountId, AppName, ReasonCode, Username};
use crate::history::{Action, ActionType, Actions};

/// Makes a person an administrator; `new_person` adds the person first (A1).
///
/// # Errors
/// When the caller may not make one of this level, the person is unknown, inactive or has a level already, or
/// the username is not free.
pub async fn add(
    provision: &Provision,
    request: &Request,
    username: Username,
    level: Level,
    new_person: bool,
) -> Result<(), Error> {
    let attempt = Attempt::to("admin_add").with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::EditAdministrator)?;
                if level == Level::SuperAdministrator {
                    hand.request.demand(&Operation::ManageAdministrator)?;
                }
                let administration = Administration { level, state: AdministrationState::Active };
                if new_person {
                    hand.request.demand(&Operation::ManageUsers)?;
                    let (account, household) = hand.insert_person(username).await?;
                    hand.writer.put_administration(account.id, &administration).await?;
                    let wanted = hand.with_default_apps(BTreeSet::new());
                    let first = vec![
                        hand.action(ActionType::UserAdded).to(account.id),
                        hand.status_changed(account.id, None, Some(&administration)),
                    ];
                    let plan = Plan::by_caller(account.id, "P6");
                    return hand.carry_out(&household, &household.owner_gains(&wanted), &plan, first, ()).await;
                }
                let (account, held) = hand.administrated(&username, &Operation::EditAdministrator).await?;
                if let Some(level) = held.level() {
                    return Err(Refusal::IsAdministrator { username, level }.into());
                }
                if !account.state.is_active() {
                    return Err(Refusal::AccountInactive(username).into());
                }
                hand.writer.put_administration(account.id, &administration).await?;
                let changed = hand.status_changed(account.id, None, Some(&administration));
                Hand::done((), changed, Effects::default())
            })
        })
        .await
}

/// Makes an administrator a super administrator (A4).
///
/// # Errors
/// When the caller may not, the person is no administrator, or its administration is not in force.
pub async fn promote(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_administrator(provision, request, "admin_promote", username, |hand, account, held| {
        hand.request.demand(&Operation::ManageAdministrator)?;
        if !held.state.is_active() {
            return Err(Refusal::AdministrationInactive(account.username.clone()).into());
        }
        Ok(Administration { level: Level::SuperAdministrator, ..held.clone() })
    })
    .await
}

/// Makes a super administrator an administrator; only from the host shell, and the last one only with `force` (A4).
///
/// # Errors
/// When the caller may not, the person is no super administrator, or it is the last one.
pub async fn downgrade(provision: &Provision, request: &Request, username: Username, force: bool) -> Result<(), Error> {
    change_level(provision, request, "admin_downgrade", username, force, |hand, _, held| {
        hand.request.demand(&Operation::BreakGlass)?;
        Ok(Administration { level: Level::Administrator, ..held.clone() })
    })
    .await
}

/// Takes what an administrator may do as such: its level stays, none of its rights; the account is left as it is
/// (A5). A super administrator's only from the host shell, the last one's only with `force` (A4).
///
/// # Errors
/// When the caller may not, the person is no administrator, or it is the last super administrator.
pub async fn deactivate(
    provision: &Provision,
    request: &Request,
    username: Username,
    force: bool,
) -> Result<(), Error> {
    change_level(provision, request, "admin_deactivate", username, force, |hand, _, held| {
        hand.request.demand(&ending(held.level))?;
        let inactive = AdministrationState::Inactive { at: hand.now, by: hand.request.actor() };
        // Since when, and by whom, stays as it was where it is inactive already.
        let state = if held.state.is_active() { inactive } else { held.state.clone() };
        Ok(Administration { state, ..held.clone() })
    })
    .await
}

/// Gives it back (A5); a super administrator's only from the host shell (A4).
///
/// # Errors
/// When the caller may not, the person is no administrator, or its account is inactive.
pub async fn reactivate(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_administrator(provision, request, "admin_reactivate", username, |hand, account, held| {
        hand.request.demand(&ending(held.level))?;
        if !account.state.is_active() {
            return Err(Refusal::AccountInactive(account.username.clone()).into());
        }
        Ok(Administration { state: AdministrationState::Active, ..held.clone() })
    })
    .await
}

/// Makes a person administrator of one app (R5), or ends that.
///
/// # Errors
/// When the caller may not, or the person or the app is unknown.
pub async fn set_app(
    provision: &Provision,
    request: &Request,
    username: Username,
    app: AppName,
    given: bool,
) -> Result<(), Error> {
    let operation = if given { "admin_app_grant" } else { "admin_app_remove" };
    let attempt = Attempt::to(operation).with_account(&username).with_object(&format!("admin:{app}"));
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let (account, held) = hand.administrated(&username, &Operation::EditAdministrator).await?;
                hand.demand_app(&app).await?;
                if held.apps.contains(&app) == given {
                    return Ok(Decided::AsItWas(()));
                }
                if given && !account.state.is_active() {
                    return Err(Refusal::AccountInactive(username).into());
                }
                if given {
                    hand.writer.give_app_administration(account.id, &app).await?;
                } else {
                    hand.writer.take_app_administration(account.id, &app).await?;
                }
                let changed = hand.action(ActionType::AdminStatusChanged).to(account.id);
                let mut actions = Actions::one(with_held(changed, &format!("admin:{app}"), given));
                for ended in hand.end_keys_of_nobody(account.id).await? {
                    actions = actions.and(ended);
                }
                Ok(Decided::Changed((), actions, Effects::default()))
            })
        })
        .await
}

/// Grants a plain person a right over Locum, or takes it.
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn set_right(
    provision: &Provision,
    request: &Request,
    username: Username,
    right: Right,
    given: bool,
) -> Result<(), Error> {
    let operation = if given { "right_grant" } else { "right_remove" };
    let attempt = Attempt::to(operation).with_account(&username).with_object(&right.slug());
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let (account, held) = hand.administrated(&username, &Operation::EditAdministrator).await?;
                if held.granted.contains(&right) == given {
                    return Ok(Decided::AsItWas(()));
                }
                if given {
                    hand.writer.grant_right(account.id, right).await?;
                } else {
                    hand.writer.withdraw_right(account.id, right).await?;
                }
                let changed = hand.action(ActionType::RightsChanged).to(account.id);
                Hand::done((), with_held(changed, right.slug(), given), Effects::default())
            })
        })
        .await
}

/// The right to end or resume what somebody of this level does as such (A4, A5).
pub(super) const fn ending(level: Level) -> Operation {
    match level {
        Level::Administrator => Operation::ManageAdministrator,
        Level::SuperAdministrator => Operation::BreakGlass,
    }
}

fn with_held(action: Action, field: &str, given: bool) -> Action {
    if given { action.detail(field, None, Some("held")) } else { action.detail(field, Some("held"), None) }
}

/// What the level of `account` is to be.
type LevelRule = fn(&Hand<'_>, &Account, &Administration) -> Result<Administration, Error>;

async fn of_administrator(
    provision: &Provision,
    request: &Request,
    operation: &'static str,
    username: Username,
    rule: LevelRule,
) -> Result<(), Error> {
    change_level(provision, request, operation, username, false, rule).await
}

async fn change_level(
    provision: &Provision,
    request: &Request,
    operation: &'static str,
    username: Username,
    force: bool,
    rule: LevelRule,
) -> Result<(), Error> {
    let attempt = Attempt::to(operation).with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let (account, held) = hand.administrated(&username, &Operation::ManageAdministrator).await?;
                let Some(before) = held.administration else {
                    return Err(Refusal::NotAnAdministrator(username).into());
                };
                let after = rule(&hand, &account, &before)?;
                if after == before {
                    return Ok(Decided::AsItWas(()));
                }
                let ends = is_super(&before) && !is_super(&after);
                if ends && !force {
                    hand.demand_another_super(&account).await?;
                }
                hand.writer.put_administration(account.id, &after).await?;
                let changed = hand.status_changed(account.id, Some(&before), Some(&after));
                let shrinks = after.level < before.level || !after.state.is_active();
                let mut actions = Actions::one(changed);
                if shrinks {
                    for ended in hand.end_keys(account.id, ReasonCode::administration_ended(), "A6").await? {
                        actions = actions.and(ended);
                    }
                }
                Ok(Decided::Changed((), actions, Effects::default()))
            })
        })
        .await
}

/// Whether somebody is a super administrator whose level is in force.
fn is_super(held: &Administration) -> bool {
    held.level == Level::SuperAdministrator && held.state.is_active()
}

impl Hand<'_> {
    /// The person whose rights are to be changed, once the caller may do that: to others, and to nobody of a
    /// higher level.
    async fn administrated(&mut self, username: &Username, operation: &Operation) -> Result<(Account, Held), Error> {
        let account = self.account(username, Wanted::Person, |_| operation.clone()).await?;
        if let Caller::Person { account: caller, .. } | Caller::ApiKey { account: caller, .. } = &self.request.caller
            && *caller == account.id
        {
            return Err(Refusal::OwnAdministration.into());
        }
        let held = self.demand_reach(&account).await?;
        Ok((account, held))
    }

    /// Refuses to act on an account whose person is of a higher level than the caller (A1); answers with what the
    /// person holds.
    pub(super) async fn demand_reach(&mut self, account: &Account) -> Result<Held, Error> {
        let person = account.kind.owner().unwrap_or(account.id);
        let held = self.writer.rights_held(person).await?;
        if may_act_on(&self.request.caller, person, held.level()) {
            Ok(held)
        } else {
            Err(Refusal::HigherLevel(account.username.clone()).into())
        }
    }

    /// Refuses to leave the installation without a super administrator (A4).
    async fn demand_another_super(&mut self, account: &Account) -> Result<(), Error> {
        if self.writer.other_super_administrators(account.id).await? == 0 {
            return Err(Refusal::LastSuperAdministrator(account.username.clone()).into());
        }
        Ok(())
    }

    /// Refuses to make a person inactive or active, or to delete it, who runs Locum, unless the caller could end
    /// its administration (A4, A5). The last super administrator's is ended first, by its own command.
    pub(super) async fn demand_may_end(&mut self, account: &Account) -> Result<Held, Error> {
        let held = self.demand_reach(account).await?;
        if let Some(administration) = &held.administration {
            self.request.demand(&ending(administration.level))?;
            if is_super(administration) {
                self.demand_another_super(account).await?;
            }
        }
        Ok(held)
    }

    /// Ends what a person who becomes inactive does for Locum: its level is not in force any more, it administers no
    /// app, and its keys are revoked. Made active again, it is a plain person.
    pub(super) async fn end_administration(
        &mut self,
        account: &Account,
        held: &Held,
        cause: &'static str,
    ) -> Result<Vec<Action>, Error> {
        let mut ended = self.request.consequence(ActionType::AdminStatusChanged, cause).to(account.id);
        if let Some(before) = held.administration.as_ref().filter(|before| before.state.is_active()) {
            let state = AdministrationState::Inactive { at: self.now, by: self.request.actor() };
            let after = Administration { state, ..before.clone() };
            self.writer.put_administration(account.id, &after).await?;
            ended = with_status(ended, Some(before), Some(&after));
        }
        for app in &held.apps {
            self.writer.take_app_administration(account.id, app).await?;
            ended = with_held(ended, &format!("admin:{app}"), false);
        }
        let any = !held.apps.is_empty() || held.administration.as_ref().is_some_and(|held| held.state.is_active());
        let keys = self.end_keys(account.id, ReasonCode::account_inactivated(), cause).await?;
        Ok(any.then_some(ended).into_iter().chain(keys).collect())
    }

    fn status_changed(
        &self,
        account: AccountId,
        before: Option<&Administration>,
        after: Option<&Administration>,
    ) -> Action {
        with_status(self.action(ActionType::AdminStatusChanged).to(account), before, after)
    }
}

/// Tells of the level and of its state, where they differ.
fn with_status(mut action: Action, before: Option<&Administration>, after: Option<&Administration>) -> Action {
    let level = |held: Option<&Administration>| held.map(|held| held.level.slug());
    let state = |held: Option<&Administration>| held.map(|held| held.state.slug());
    if level(before) != level(after) {
        action = action.detail("level", level(before), level(after));
    }
    if state(before) != state(after) {
        action = action.detail("state", state(before), state(after));
    }
    action
}
