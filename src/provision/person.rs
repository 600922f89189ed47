//! People: added, made inactive and active again, deleted, always with what follows for their proxy
//! users (P6, P7, P12, P13).

use std::collections::BTreeSet;

use super::household::Plan;
use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Error, Provision, Request, Wanted};
use crate::directory::owner_cascade::{Change, Household, Member};
use crate::directory::personal::PersonalChange;
use crate::directory::rights::Operation;
use crate::directory::{Account, Holding, Kind, Networks, Personal, RoleName, Username};
use crate::history::ActionType;

/// Adds a person of whom nothing is known but the username.
///
/// # Errors
/// Those of [`add_known`].
pub async fn add(
    provision: &Provision,
    request: &Request,
    username: Username,
    roles: BTreeSet<RoleName>,
) -> Result<(), Error> {
    add_known(provision, request, username, roles, Personal::default()).await
}

/// Adds a person with roles and with access to the apps that everybody has (R8).
///
/// # Errors
/// When the caller may not, a role is not defined, the username is not free (P2, P12), or the address is another's.
pub async fn add_known(
    provision: &Provision,
    request: &Request,
    username: Username,
    roles: BTreeSet<RoleName>,
    personal: Personal,
) -> Result<(), Error> {
    let attempt = Attempt::to("person_add").with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::ManageUsers)?;
                for role in &roles {
                    hand.request.demand(&Operation::Grant { app: role.app().cloned() })?;
                    hand.demand_role(role).await?;
                }
                let (account, household) = hand.insert_person(username).await?;
                let wanted = hand.with_default_apps(roles);
                let id = account.id;
                let (mut added, plan) = (hand.action(ActionType::UserAdded).to(id), Plan::by_caller(id, "P6"));
                added.details = hand.put_personal(&account, &Personal::default(), &personal).await?;
                hand.carry_out(&household, &household.owner_gains(&wanted), &plan, vec![added], ()).await
            })
        })
        .await
}

/// Changes what is known of a person (U2).
///
/// # Errors
/// When the caller may not, there is no such person, or the address is another's.
pub async fn set(
    provision: &Provision,
    request: &Request,
    username: Username,
    change: PersonalChange,
) -> Result<(), Error> {
    let attempt = Attempt::to("person_set").with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let account = hand.account(&username, Wanted::Person, |of| Operation::EditPersonal { of }).await?;
                let before = hand.personal(account.id).await?;
                let details = hand.put_personal(&account, &before, &change.applied_to(&before)).await?;
                if details.is_empty() {
                    return Ok(Decided::AsItWas(()));
                }
                let mut action = hand.action(ActionType::PersonalDataChanged).to(account.id);
                action.details = details;
                // Apps that are told of the person are told this from now on.
                Hand::done((), action, Effects { widened: [account.id].into(), ..Effects::default() })
            })
        })
        .await
}

/// Disables a person and all of its proxy users, and revokes their tokens (P10, P13). Its administration ends
/// with it (A6).
///
/// # Errors
/// When the caller may not, there is no such person, or it is the last super administrator (A4).
pub async fn inactivate(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_person(provision, request, "person_inactivate", username, Household::inactivate_owner, Some("U6")).await
}

/// Enables a person again; its proxy users wait to be marked one by one (P13).
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn activate(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_person(provision, request, "person_activate", username, Household::activate_owner, None).await
}

/// Deletes a person and its proxy users; tombstones keep their usernames, the history stays (P12, P13).
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn delete(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_person(provision, request, "person_delete", username, Household::delete_owner, Some("U7")).await
}

/// `ends` is the rule by which the person's administration ends, if it does.
async fn of_person(
    provision: &Provision,
    request: &Request,
    operation: &'static str,
    username: Username,
    rule: fn(&Household) -> Vec<Change>,
    ends: Option<&'static str>,
) -> Result<(), Error> {
    let attempt = Attempt::to(operation).with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let account = hand.account(&username, Wanted::Person, |_| Operation::ManageUsers).await?;
                let held = hand.demand_may_end(&account).await?;
                let household = hand.household(&account).await?;
                let ended = match ends {
                    Some(cause) => hand.end_administration(&account, &held, cause).await?,
                    None => Vec::new(),
                };
                let plan = Plan::by_caller(account.id, "P13");
                hand.carry_out(&household, &rule(&household), &plan, ended, ()).await
            })
        })
        .await
}

impl Hand<'_> {
    /// Writes a new person who holds nothing yet; refuses a username that is not free (P2, P12).
    pub(super) async fn insert_person(&mut self, username: Username) -> Result<(Account, Household), Error> {
        self.demand_free(&username).await?;
        let account = self.new_account(username, Kind::Person, Networks::ANY);
        let (id, username) = (account.id, account.username.clone());
        let owner = Member { id, username, active: true, holdings: BTreeSet::new() };
        self.writer.insert_account(&account).await?;
        Ok((account, Household { owner, proxies: Vec::new() }))
    }

    /// Roles, and access to the apps that everybody has (R8).
    pub(super) fn with_default_apps(&self, roles: BTreeSet<RoleName>) -> BTreeSet<Holding> {
        let settings = self.provision.settings();
        let default_apps = settings.default_apps.iter().cloned().map(Holding::App);
        roles.into_iter().map(Holding::Role).chain(default_apps).collect()
    }
}
