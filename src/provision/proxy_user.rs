//! Proxy users: added under their owner (P1–P3), made inactive and active again (P10, P11), deleted
//! (P12), and bound to networks (L10).

use super::household::Plan;
use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Error, Provision, Request, Wanted};
use crate::directory::owner_cascade::{CascadeRefusal, Change, Household};
use crate::directory::rights::Operation;
use crate::directory::{AccountId, Actor, Kind, Networks, Username};
use crate::history::{Action, ActionType};

/// Adds a proxy user of `owner`, which holds from the start exactly what its owner holds (P3), and is used
/// from `networks` only (L10).
///
/// # Errors
/// When the caller may not name this owner (P1), the owner is inactive or is itself a proxy user
/// (P14), or the username is not free (P2, P12).
pub async fn add(
    provision: &Provision,
    request: &Request,
    username: Username,
    owner: Username,
    networks: Networks,
) -> Result<(), Error> {
    let attempt = Attempt::to("proxy_user_add").with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let may = |owner| Operation::AddProxyUser { owner };
                let owner = hand.account(&owner, Wanted::Person, may).await?;
                let household = hand.household(&owner).await?;
                hand.demand_free(&username).await?;

                let account = hand.new_account(username, Kind::Proxy { owner: owner.id }, networks);
                let changes = household.add_proxy(account.id, account.username.clone())?;
                hand.writer.insert_account(&account).await?;
                let added = hand.action(ActionType::ProxyUserAdded).to(account.id).detail(
                    "owner",
                    None,
                    Some(&Actor::Account(owner.id).to_stored()),
                );
                let added = with_networks(added, &Networks::ANY, &account.networks);
                let plan = Plan::by_caller(account.id, "P3");
                hand.carry_out(&household, &changes, &plan, vec![added], ()).await
            })
        })
        .await
}

/// Disables a proxy user and revokes all of its tokens (P10).
///
/// # Errors
/// When the caller may not, or there is no such proxy user.
pub async fn inactivate(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    let may = |owner| Operation::InactivateProxyUser { owner };
    let rule = |household: &Household, proxy| Ok(household.inactivate_proxy(proxy));
    of_proxy_user(provision, request, "proxy_user_inactivate", username, may, rule).await
}

/// Enables a proxy user again; its revoked tokens stay revoked, its failures are forgotten (P11).
///
/// # Errors
/// When the caller may not, there is no such proxy user, or its owner is inactive.
pub async fn activate(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    let may = |owner| Operation::ManageProxyUser { owner };
    of_proxy_user(provision, request, "proxy_user_activate", username, may, Household::activate_proxy).await
}

/// Deletes a proxy user and its tokens; a tombstone keeps its username, the history stays (P12).
///
/// # Errors
/// When the caller may not, or there is no such proxy user.
pub async fn delete(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    let may = |owner| Operation::ManageProxyUser { owner };
    let rule = |household: &Household, proxy| Ok(household.delete_proxy(proxy));
    of_proxy_user(provision, request, "proxy_user_delete", username, may, rule).await
}

/// Says from which networks a proxy user may be used, whatever its tokens say; [`Networks::ANY`] from all.
/// What runs from elsewhere is cut before this returns (L10, R2).
///
/// # Errors
/// When the caller may not, or there is no such proxy user.
pub async fn set_networks(
    provision: &Provision,
    request: &Request,
    username: Username,
    networks: Networks,
) -> Result<(), Error> {
    let attempt = Attempt::to("proxy_user_networks").with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let may = |owner| Operation::ManageProxyUser { owner };
                let account = hand.account(&username, Wanted::ProxyUser, may).await?;
                hand.demand_reach(&account).await?;
                if account.networks == networks {
                    return Ok(Decided::AsItWas(()));
                }
                hand.writer.set_networks(account.id, &networks).await?;
                let changed = hand.action(ActionType::ProxyUserNetworksChanged).to(account.id);
                let changed = with_networks(changed, &account.networks, &networks);
                Hand::done((), changed, Effects { confined: vec![(account.id, networks)], ..Effects::default() })
            })
        })
        .await
}

/// One line for each network that went or came. None left is told too: that is every address there is.
fn with_networks(mut action: Action, before: &Networks, after: &Networks) -> Action {
    for network in before.iter().filter(|network| !after.contains(network)) {
        action = action.detail("network", Some(&network.to_string()), None);
    }
    for network in after.iter().filter(|network| !before.contains(network)) {
        action = action.detail("network", None, Some(&network.to_string()));
    }
    action
}

async fn of_proxy_user(
    provision: &Provision,
    request: &Request,
    operation: &'static str,
    username: Username,
    may: fn(AccountId) -> Operation,
    rule: fn(&Household, AccountId) -> Result<Vec<Change>, CascadeRefusal>,
) -> Result<(), Error> {
    let attempt = Attempt::to(operation).with_account(&username);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let account = hand.account(&username, Wanted::ProxyUser, may).await?;
                // Whoever sees a proxy user misused may stop it, whoever owns it.
                if !matches!(may(account.id), Operation::InactivateProxyUser { .. }) {
                    hand.demand_reach(&account).await?;
                }
                let household = hand.household(&account).await?;
                let changes = rule(&household, account.id)?;
                hand.carry_out(&household, &changes, &Plan::by_caller(account.id, "P10"), Vec::new(), ()).await
            })
        })
        .await
}
