//! People: added, made inactive and active again, deleted, always with what follows for their proxy
//! users (P6, P7, P12, P13).

use std::collections::BTreeSet;

use super::household::Plan;
use super::operation::Attempt;
use super::{Error, Provision, Request, Wanted};
use crate::directory::owner_cascade::{Change, Household, Member};
use crate::directory::rights::Operation;
use crate::directory::{Holding, Kind, Networks, RoleName, Username};
use crate::history::ActionType;

/// Adds a person with roles and with access to the apps that everybody has (R8).
///
/// # Errors
/// When the caller may not, a role is not defined, or the username is not free (P2, P12).
pub async fn add(
    provision: &Provision,
    request: &Request,
    username: Username,
    roles: BTreeSet<RoleName>,
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
                hand.demand_free(&username).await?;

                let account = hand.new_account(username, Kind::Person, Networks::ANY);
                let (id, username) = (account.id, account.username.clone());
                let owner = Member { id, username, active: true, holdings: BTreeSet::new() };
                let household = Household { owner, proxies: Vec::new() };
                let settings = hand.provision.settings();
                let default_apps = settings.default_apps.iter().cloned().map(Holding::App);
                let wanted = roles.into_iter().map(Holding::Role).chain(default_apps).collect();
                hand.writer.insert_account(&account).await?;
                let (added, plan) = (hand.action(ActionType::UserAdded).to(id), Plan::by_caller(id, "P6"));
                hand.carry_out(&household, &household.owner_gains(&wanted), &plan, vec![added], ()).await
            })
        })
        .await
}

/// Disables a person and all of its proxy users, and revokes their tokens (P10, P13).
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn inactivate(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_person(provision, request, "person_inactivate", username, Household::inactivate_owner).await
}

/// Enables a person again; its proxy users wait to be marked one by one (P13).
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn activate(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_person(provision, request, "person_activate", username, Household::activate_owner).await
}

/// Deletes a person and its proxy users; tombstones keep their usernames, the history stays (P12, P13).
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn delete(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    of_person(provision, request, "person_delete", username, Household::delete_owner).await
}

async fn of_person(
    provision: &Provision,
    request: &Request,
    operation: &'static str,
    username: Username,
    rule: fn(&Household) -> Vec<Change>,
) -> Result<(), Error> {
    let attempt = Attempt::to(operation).with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let account = hand.account(&username, Wanted::Person, |_| Operation::ManageUsers).await?;
                let household = hand.household(&account).await?;
                let plan = Plan::by_caller(account.id, "P13");
                hand.carry_out(&household, &rule(&household), &plan, Vec::new(), ()).await
            })
        })
        .await
}
