//! What callers may look at: accounts, tokens, roles, reasons, apps, the history. Each asks the table of
//! rights first, as operations do.

mod administrators;
mod api_keys;
mod audit;
mod history;
mod jobs;
mod names;

use std::collections::{BTreeMap, BTreeSet};

pub use administrators::{Administrator, administrator, administrators};
pub use api_keys::{api_key, api_keys};
pub use audit::{Audit, Export, audit, checkpoint, export, key as audit_key};
pub use history::{Question, history};
pub use jobs::{ShownJob, job_run, job_runs, jobs};
pub use names::Names;

use super::demands::{self, NOBODY};
use super::refusal::demand_kind;
use super::sealing;
use super::{Error, Provision, Refusal, Request, Wanted};
use crate::directory::rights::{NotAllowed, Operation, Subject};
use crate::directory::{
    Account, AccountId, AppName, Email, Holding, Pat, Permission, Personal, ReasonCode, RoleName, Username,
};
use crate::store::{AccountFilter, AppRecord, KindFilter, Reader};

/// An account with what it holds.
#[derive(Debug, Clone)]
pub struct Shown {
    pub account: Account,
    pub owner: Option<Username>,
    pub holdings: BTreeSet<Holding>,
    /// Of a person, by username.
    pub proxies: Vec<Username>,
    /// What is known of a person; nothing of a proxy user.
    pub personal: Personal,
    /// What a person is called in apps, by app.
    pub legacy_names: Vec<(AppName, String)>,
    /// Who stands in the account's state, by username.
    pub names: Names,
}

/// One page of a list of accounts.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    pub accounts: Vec<Account>,
    /// What is known of the people among them.
    pub people: BTreeMap<AccountId, Personal>,
    pub names: Names,
}

/// Which accounts are listed.
#[derive(Debug, Clone)]
pub struct Listing {
    pub kind: Wanted,
    pub owner: Option<Username>,
    pub prefix: Option<String>,
    /// Only the person with exactly this address.
    pub email: Option<Email>,
    /// The last username of the page before.
    pub after: Option<Username>,
    pub limit: u32,
}

/// Lists accounts by username.
///
/// # Errors
/// When the caller may not, or the owner is unknown.
pub async fn accounts(provision: &Provision, request: &Request, listing: Listing) -> Result<Listed, Error> {
    let reading = async {
        let mut reader = provision.0.store.read().await?;
        let owner = match &listing.owner {
            None => {
                request.demand(&Operation::SeeAccount { subject: Subject::Everybody })?;
                None
            }
            Some(owner) => Some(account(&mut reader, request, owner, Wanted::Person).await?.id),
        };
        let kind = match listing.kind {
            Wanted::Person => Some(KindFilter::People),
            Wanted::ProxyUser => Some(KindFilter::Proxies),
            Wanted::Either => None,
        };
        let Listing { prefix, after, limit, email, .. } = listing;
        let found = match &email {
            None => reader.accounts(&AccountFilter { kind, owner, prefix, after, limit }).await?,
            Some(email) => sealing::person_with(&mut reader, provision, email).await?.into_iter().collect(),
        };
        let mut names = Names::default();
        for owner in found.iter().filter_map(|account| account.kind.owner()) {
            names.add(&mut reader, owner).await?;
        }
        let mut people = BTreeMap::new();
        if let (Some(first), Some(last)) = (found.first(), found.last())
            && listing.kind != Wanted::ProxyUser
        {
            for sealed in reader.personal_between(&first.username, &last.username).await? {
                people.insert(sealed.account, sealed.open(provision.keyring())?);
            }
        }
        Ok(Listed { accounts: found, people, names })
    };
    refused_if_not_allowed(provision, request, "account_list", reading.await).await
}

/// Shows one account; to an administrator of apps only, what it holds in those (R5).
///
/// # Errors
/// When the caller may not, or there is no such account.
pub async fn show(
    provision: &Provision,
    request: &Request,
    username: &Username,
    wanted: Wanted,
) -> Result<Shown, Error> {
    let reading = async {
        let mut reader = provision.0.store.read().await?;
        let (account, of_apps) = match account(&mut reader, request, username, wanted).await {
            Err(Error::Refused(Refusal::NotAllowed(not_allowed))) => {
                let apps = request.administered().ok_or(not_allowed)?;
                (existing(&mut reader, username, wanted).await?, Some(apps))
            }
            found => (found?, None),
        };
        let mut holdings = reader.holdings(account.id).await?;
        let household = reader.household(account.kind.owner().unwrap_or(account.id)).await?;
        let (owner, proxies) = match (account.kind.owner(), household) {
            (Some(_), Some(household)) => (Some(household.owner.username), Vec::new()),
            (None, Some(household)) => (None, household.proxies.into_iter().map(|proxy| proxy.username).collect()),
            (_, None) => (None, Vec::new()),
        };
        let sealed = reader.personal(account.id).await?;
        let mut personal = sealed.map(|sealed| sealed.open(provision.keyring())).transpose()?.unwrap_or_default();
        let mut legacy_names = Vec::new();
        for linked in reader.legacy_names(account.id).await? {
            let name = linked.open(provision.keyring())?;
            legacy_names.push((linked.app, name.as_str().to_owned()));
        }
        let mut proxies: Vec<Username> = proxies;
        if let Some(apps) = of_apps {
            holdings.retain(|holding| holding.app().is_some_and(|app| apps.contains(app)));
            proxies.clear();
            personal = Personal::default();
            legacy_names.retain(|(app, _)| apps.contains(app));
        }
        let mut names = Names::default();
        if let crate::directory::State::Inactive { by, .. } = &account.state {
            names.add_actor(&mut reader, by).await?;
        }
        Ok(Shown { account, owner, holdings, proxies, personal, legacy_names, names })
    };
    refused_if_not_allowed(provision, request, "account_show", reading.await).await
}

/// The tokens of one proxy user, newest first.
///
/// # Errors
/// When the caller may not, or there is no such proxy user.
pub async fn pats(provision: &Provision, request: &Request, username: &Username) -> Result<(Vec<Pat>, Names), Error> {
    let reading = async {
        let mut reader = provision.0.store.read().await?;
        let account = account(&mut reader, request, username, Wanted::ProxyUser).await?;
        let mut pats = reader.pats(account.id).await?;
        pats.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.public_id.cmp(&b.public_id)));
        let names = names_of_pats(&mut reader, &pats).await?;
        Ok((pats, names))
    };
    refused_if_not_allowed(provision, request, "pat_list", reading.await).await
}

/// One token.
///
/// # Errors
/// When the caller may not, or there is no such token.
pub async fn pat(
    provision: &Provision,
    request: &Request,
    public_id: crate::directory::PublicId,
) -> Result<(Pat, Names), Error> {
    let reading = async {
        let mut reader = provision.0.store.read().await?;
        let may = |id, owner| Operation::SeeAccount { subject: Subject::Account { id, owner } };
        let Some(pat) = reader.pat(public_id).await? else {
            request.demand(&may(NOBODY, None))?;
            return Err(Refusal::UnknownPat(public_id).into());
        };
        let account = reader.account(pat.account).await?.ok_or(Refusal::UnknownPat(public_id))?;
        request.demand(&may(account.id, account.kind.owner()))?;
        let names = names_of_pats(&mut reader, std::slice::from_ref(&pat)).await?;
        Ok((pat, names))
    };
    refused_if_not_allowed(provision, request, "pat_show", reading.await).await
}

/// All roles with what they contain; to an administrator of apps only, those of its apps (R5).
///
/// # Errors
/// When the caller may not.
pub async fn roles(
    provision: &Provision,
    request: &Request,
) -> Result<BTreeMap<RoleName, BTreeSet<Permission>>, Error> {
    let reading = async {
        let apps = of_apps(request)?;
        let mut roles = provision.0.store.read().await?.roles().await?;
        roles.retain(|role, _| apps.is_none_or(|apps| role.app().is_some_and(|app| apps.contains(app))));
        Ok(roles)
    };
    refused_if_not_allowed(provision, request, "role_list", reading.await).await
}

/// One role with what it contains and the usernames of those who hold it.
///
/// # Errors
/// When the caller may not, or the role is not defined.
pub async fn role(
    provision: &Provision,
    request: &Request,
    role: &RoleName,
) -> Result<(BTreeSet<Permission>, Vec<Username>), Error> {
    let reading = async {
        if let Some(apps) = of_apps(request)?
            && !role.app().is_some_and(|app| apps.contains(app))
        {
            request.demand(&Operation::SeeAccount { subject: Subject::Everybody })?;
        }
        let mut reader = provision.0.store.read().await?;
        let permissions = demands::demand_role(&mut reader, role).await?;
        let holders = reader.names_of_holders(&Holding::Role(role.clone())).await?;
        Ok((permissions, holders))
    };
    refused_if_not_allowed(provision, request, "role_show", reading.await).await
}

/// The code table of reasons.
///
/// # Errors
/// When the caller may not.
pub async fn reasons(provision: &Provision, request: &Request) -> Result<Vec<(ReasonCode, String)>, Error> {
    let reading = async {
        request.demand(&Operation::SeeAccount { subject: Subject::Everybody })?;
        Ok(provision.0.store.read().await?.reasons().await?)
    };
    refused_if_not_allowed(provision, request, "reason_list", reading.await).await
}

/// Every app that was ever configured.
///
/// # Errors
/// When the caller may not.
pub async fn apps(provision: &Provision, request: &Request) -> Result<Vec<AppRecord>, Error> {
    let reading = async {
        let of_apps = of_apps(request)?;
        let mut apps = provision.0.store.read().await?.apps().await?;
        apps.retain(|app| of_apps.is_none_or(|of_apps| of_apps.contains(&app.name)));
        Ok(apps)
    };
    refused_if_not_allowed(provision, request, "app_list", reading.await).await
}

/// Asks the table of rights about something that is no change of the store; a refusal leaves its trace.
///
/// # Errors
/// When the caller may not.
pub async fn demand(
    provision: &Provision,
    request: &Request,
    operation: &Operation,
    name: &'static str,
) -> Result<(), Error> {
    refused_if_not_allowed(provision, request, name, request.demand(operation).map_err(Error::from)).await
}

/// The apps that a caller's view is narrowed to; none for who sees everything.
fn of_apps(request: &Request) -> Result<Option<&BTreeSet<AppName>>, NotAllowed> {
    match request.demand(&Operation::SeeAccount { subject: Subject::Everybody }) {
        Ok(()) => Ok(None),
        Err(not_allowed) => request.administered().ok_or(not_allowed).map(Some),
    }
}

async fn account(
    reader: &mut Reader,
    request: &Request,
    username: &Username,
    wanted: Wanted,
) -> Result<Account, Error> {
    let may = |id, owner| Operation::SeeAccount { subject: Subject::Account { id, owner } };
    match reader.account_by_username(username).await? {
        None => request.demand(&may(NOBODY, None))?,
        Some(found) => request.demand(&may(found.id, found.kind.owner()))?,
    }
    existing(reader, username, wanted).await
}

/// The account of this username, for a caller that may know whether there is one.
async fn existing(reader: &mut Reader, username: &Username, wanted: Wanted) -> Result<Account, Error> {
    let Some(account) = reader.account_by_username(username).await? else {
        return Err(demands::unknown_account(reader, username).await?.into());
    };
    demand_kind(&account.username, account.kind, wanted)?;
    Ok(account)
}

async fn names_of_pats(reader: &mut Reader, pats: &[Pat]) -> Result<Names, Error> {
    let mut names = Names::default();
    for pat in pats {
        names.add(reader, pat.account).await?;
        names.add_actor(reader, &pat.created_by).await?;
        if let crate::directory::PatState::Revoked { by, .. } = &pat.state {
            names.add_actor(reader, by).await?;
        }
    }
    Ok(names)
}

/// A caller without the right leaves a trace, when it tried to look as when it tried to change.
pub(super) async fn refused_if_not_allowed<T>(
    provision: &Provision,
    request: &Request,
    operation: &'static str,
    result: Result<T, Error>,
) -> Result<T, Error> {
    match result {
        Err(error) => provision.refuse_reading(request, operation, error).await,
        Ok(value) => Ok(value),
    }
}
