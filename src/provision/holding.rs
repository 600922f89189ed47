//! What accounts hold: roles and access to apps, given, taken and copied, always under the law between
//! an owner and its proxy users (P4–P7, R4, R8).

use std::collections::BTreeSet;

use super::household::Plan;
use super::operation::{Attempt, Hand};
use super::{Error, Provision, Refusal, Request, Wanted};
use crate::directory::administrator::Held;
use crate::directory::owner_cascade::{CascadeRefusal, Change, Household};
use crate::directory::rights::Operation;
use crate::directory::{Account, Holding, Kind, Username};

/// Gives an account a role or access to an app. What a person newly gains, its proxy users gain too
/// (P6); a proxy user gains only what its owner holds (P5).
///
/// # Errors
/// When the caller may not, the account, role or app is unknown, or the owner does not hold it.
pub async fn grant(
    provision: &Provision,
    request: &Request,
    username: Username,
    holding: Holding,
) -> Result<(), Error> {
    let rule =
        |household: &Household, account: &Account, holding| gains(household, account, &BTreeSet::from([holding]));
    of_holding(provision, request, ("grant", "P6"), username, holding, rule).await
}

/// Takes a role, or access to an app together with the app's roles and the right to administer it (R4). What a person loses, its
/// proxy users lose too (P7); a proxy user is narrowed by itself (P4).
///
/// # Errors
/// When the caller may not, or may not end the administration that goes with it, or the account, role or app is unknown.
pub async fn remove(
    provision: &Provision,
    request: &Request,
    username: Username,
    holding: Holding,
) -> Result<(), Error> {
    let rule = |household: &Household, account: &Account, holding| match account.kind {
        Kind::Person => Ok(household.owner_loses(&holding)),
        Kind::Proxy { .. } => Ok(household.proxy_loses(account.id, &holding)),
    };
    of_holding(provision, request, ("remove", "P7"), username, holding, rule).await
}

/// Gives `to` every role that `from` holds, or none of them: the refusal lists every role that stands
/// in the way (P5, P6).
///
/// # Errors
/// When the caller may not give one of the roles, an account is unknown, or the owner of `to` does not
/// hold all of them.
pub async fn copy_roles(provision: &Provision, request: &Request, from: Username, to: Username) -> Result<(), Error> {
    let attempt = Attempt::to("role_copy").with_account(&to);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let see = |_| Operation::Grant { app: None };
                let target = hand.account(&to, Wanted::Either, see).await?;
                let source = hand.account(&from, Wanted::Either, see).await?;
                if source.id == target.id {
                    return Err(Refusal::SameAccount(to).into());
                }
                hand.demand_reach(&target).await?;
                let mut wanted = hand.writer.holdings(source.id).await?;
                wanted.retain(|holding| matches!(holding, Holding::Role(_)));
                for holding in &wanted {
                    hand.request.demand(&granting(holding))?;
                }
                let household = hand.household(&target).await?;
                let changes = gains(&household, &target, &wanted)?;
                hand.carry_out(&household, &changes, &Plan::by_caller(target.id, "P6"), Vec::new(), ()).await
            })
        })
        .await
}

/// `operation` comes with the rule of its cascade.
async fn of_holding(
    provision: &Provision,
    request: &Request,
    (operation, cascade): (&'static str, &'static str),
    username: Username,
    holding: Holding,
    rule: fn(&Household, &Account, Holding) -> Result<Vec<Change>, CascadeRefusal>,
) -> Result<(), Error> {
    let attempt = Attempt::to(operation).with_account(&username).with_holding(&holding);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let account = hand.account(&username, Wanted::Either, |_| granting(&holding)).await?;
                let held = hand.demand_reach(&account).await?;
                hand.demand_holding(&holding).await?;
                let household = hand.household(&account).await?;
                let right = administered(&account, &held, &holding).filter(|_| operation == "remove");
                if right.is_some() {
                    hand.request.demand(&Operation::EditAdministrator)?;
                }
                let mut changes = rule(&household, &account, holding)?;
                let mut first = Vec::new();
                if let Some(Change::AdministrationTaken { app, .. }) = &right {
                    // Before the change is carried out, so that its keys end with it.
                    hand.writer.take_app_administration(account.id, app).await?;
                    first = hand.end_keys_of_nobody(account.id).await?;
                }
                changes.extend(right);
                hand.carry_out(&household, &changes, &Plan::by_caller(account.id, cascade), first, ()).await
            })
        })
        .await
}

fn gains(household: &Household, account: &Account, wanted: &BTreeSet<Holding>) -> Result<Vec<Change>, CascadeRefusal> {
    match account.kind {
        Kind::Person => Ok(household.owner_gains(wanted)),
        Kind::Proxy { .. } => household.proxy_gains(account.id, wanted),
    }
}

fn granting(holding: &Holding) -> Operation {
    Operation::Grant { app: holding.app().cloned() }
}

/// The right to administer the app whose access is taken, if it goes with it (R4).
fn administered(account: &Account, held: &Held, taken: &Holding) -> Option<Change> {
    let Holding::App(app) = taken else { return None };
    let is_administrator = account.kind == Kind::Person && held.apps.contains(app);
    is_administrator.then(|| Change::AdministrationTaken { account: account.id, app: app.clone() })
}

impl Hand<'_> {
    async fn demand_holding(&mut self, holding: &Holding) -> Result<(), Error> {
        match holding {
            Holding::App(app) => self.demand_app(app).await,
            Holding::Role(role) => self.demand_role(role).await.map(|_| ()),
        }
    }
}
