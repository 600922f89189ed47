//! What callers may look at: accounts, tokens, roles, reasons, apps, the history. Each asks the table of
//! rights first, as operations do.

mod audit;
mod history;
mod names;

use std::collections::{BTreeMap, BTreeSet};

pub use audit::{Audit, Export, audit, checkpoint, export, key as audit_key};
pub use history::{Question, history};
pub use names::Names;

use super::demands::{self, NOBODY};
use super::refusal::demand_kind;
use super::{Error, Provision, Refusal, Request, Wanted};
use crate::directory::rights::{Operation, Subject};
use crate::directory::{Account, Holding, Pat, Permission, ReasonCode, RoleName, Username};
use crate::store::{AccountFilter, AppRecord, KindFilter, Reader};

/// An account with what it holds.
#[derive(Debug, Clone)]
pub struct Shown {
    pub account: Account,
    pub owner: Option<Username>,
    pub holdings: BTreeSet<Holding>,
    /// Of a person, by username.
    pub proxies: Vec<Username>,
    /// Who stands in the account's state, by username.
    pub names: Names,
}

/// Which accounts are listed.
#[derive(Debug, Clone)]
pub struct Listing {
    pub kind: Wanted,
    pub owner: Option<Username>,
    pub prefix: Option<String>,
    /// The last username of the page before.
    pub after: Option<Username>,
    pub limit: u32,
}

/// Lists accounts by username.
///
/// # Errors
/// When the caller may not, or the owner is unknown.
pub async fn accounts(
    provision: &Provision,
    request: &Request,
    listing: Listing,
) -> Result<(Vec<Account>, Names), Error> {
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
        let Listing { prefix, after, limit, .. } = listing;
        let found = reader.accounts(&AccountFilter { kind, owner, prefix, after, limit }).await?;
        let mut names = Names::default();
        for owner in found.iter().filter_map(|account| account.kind.owner()) {
            names.add(&mut reader, owner).await?;
        }
        Ok((found, names))
    };
    refused_if_not_allowed(provision, request, "account_list", reading.await).await
}

/// Shows one account.
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
        let account = account(&mut reader, request, username, wanted).await?;
        let holdings = reader.holdings(account.id).await?;
        let household = reader.household(account.kind.owner().unwrap_or(account.id)).await?;
        let (owner, proxies) = match (account.kind.owner(), household) {
            (Some(_), Some(household)) => (Some(household.owner.username), Vec::new()),
            (None, Some(household)) => (None, household.proxies.into_iter().map(|proxy| proxy.username).collect()),
            (_, None) => (None, Vec::new()),
        };
        let mut names = Names::default();
        if let crate::directory::State::Inactive { by, .. } = &account.state {
            names.add_actor(&mut reader, by).await?;
        }
        Ok(Shown { account, owner, holdings, proxies, names })
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

/// All roles with what they contain.
///
/// # Errors
/// When the caller may not.
pub async fn roles(
    provision: &Provision,
    request: &Request,
) -> Result<BTreeMap<RoleName, BTreeSet<Permission>>, Error> {
    let reading = async {
        request.demand(&Operation::SeeAccount { subject: Subject::Everybody })?;
        Ok(provision.0.store.read().await?.roles().await?)
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
        request.demand(&Operation::SeeAccount { subject: Subject::Everybody })?;
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
        request.demand(&Operation::SeeAccount { subject: Subject::Everybody })?;
        Ok(provision.0.store.read().await?.apps().await?)
    };
    refused_if_not_allowed(provision, request, "app_list", reading.await).await
}

async fn account(
    reader: &mut Reader,
    request: &Request,
    username: &Username,
    wanted: Wanted,
) -> Result<Account, Error> {
    let may = |id, owner| Operation::SeeAccount { subject: Subject::Account { id, owner } };
    let Some(account) = reader.account_by_username(username).await? else {
        request.demand(&may(NOBODY, None))?;
        return Err(demands::unknown_account(reader, username).await?.into());
    };
    request.demand(&may(account.id, account.kind.owner()))?;
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
async fn refused_if_not_allowed<T>(
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
