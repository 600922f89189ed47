//! How what is stored is shown: ids as usernames, instants and states as texts.

use axum::Json;

use super::page_size;
use crate::admin::AdminState;
use crate::admin::extract::FromText;
use crate::admin::problem::Problem;
use crate::admin::shape::{
    AccountPage, AccountSummary, AccountView, EntryView, FieldChange, Inactivity, LegacyNameView, PatView,
    Restrictions, Revocation,
};
use crate::clock::Timestamp;
use crate::directory::{Account, Email, Holding, Pat, PatState, Personal, PersonalField, State, Username};
use crate::history::Entry;
use crate::provision::reading::{self, Listed, Listing, Names, Shown};
use crate::provision::{Request, Wanted};

/// Which page of which list of accounts is asked for.
#[derive(Default)]
pub(super) struct AskedPage {
    pub(super) owner: Option<Username>,
    pub(super) prefix: Option<String>,
    pub(super) email: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) limit: Option<u32>,
}

/// One page of a list of accounts.
pub(super) async fn page_of_accounts(
    state: &AdminState,
    request: &Request,
    kind: Wanted,
    asked: AskedPage,
) -> Result<Json<AccountPage>, Problem> {
    let AskedPage { owner, prefix, email, cursor, limit } = asked;
    let size = page_size(limit)?;
    let after = cursor.map(|cursor| Username::from_text(&cursor)).transpose()?;
    // One more than asked for, to know whether there is a next page.
    let email = email.map(|email| Email::from_text(&email)).transpose()?;
    let listing = Listing { kind, owner, prefix, email, after, limit: size + 1 };
    let Listed { mut accounts, people, names } = reading::accounts(&state.provision, request, listing).await?;
    let more = accounts.len() > size as usize;
    accounts.truncate(size as usize);
    let next = accounts.last().filter(|_| more).map(|account| account.username.to_string());
    let accounts = accounts.iter().map(|account| summary(account, people.get(&account.id), &names)).collect();
    Ok(Json(AccountPage { accounts, next }))
}

/// One account, as it is now.
pub(super) async fn shown(
    state: &AdminState,
    request: &Request,
    username: &Username,
    wanted: Wanted,
) -> Result<Json<AccountView>, Problem> {
    Ok(Json(account(&reading::show(&state.provision, request, username, wanted).await?)))
}

fn summary(account: &Account, personal: Option<&Personal>, names: &Names) -> AccountSummary {
    let known = |field| personal.and_then(|personal| personal.text(field)).map(str::to_owned);
    AccountSummary {
        username: account.username.to_string(),
        name: known(PersonalField::Name),
        email: known(PersonalField::Email),
        kind: account.kind.slug().to_owned(),
        state: account.state.slug().to_owned(),
        owner: account.kind.owner().map(|owner| names.of(owner)),
        created_at: account.created_at.to_string(),
    }
}

fn account(shown: &Shown) -> AccountView {
    let Shown { account, owner, holdings, proxies, personal, legacy_names, names } = shown;
    let known = |field| personal.text(field).map(str::to_owned);
    let mut roles = Vec::new();
    let mut apps = Vec::new();
    for holding in holdings {
        match holding {
            Holding::Role(role) => roles.push(role.to_string()),
            Holding::App(app) => apps.push(app.to_string()),
        }
    }
    AccountView {
        username: account.username.to_string(),
        id: account.id.to_string(),
        name: known(PersonalField::Name),
        email: known(PersonalField::Email),
        phone: known(PersonalField::Phone),
        legacy_names: legacy_names
            .iter()
            .map(|(app, name)| LegacyNameView { app: app.to_string(), name: name.clone() })
            .collect(),
        kind: account.kind.slug().to_owned(),
        state: account.state.slug().to_owned(),
        inactive: match &account.state {
            State::Active => None,
            State::Inactive { at, by, reason } => {
                Some(Inactivity { at: at.to_string(), by: names.of_actor(by), reason: reason.to_string() })
            }
        },
        owner: owner.as_ref().map(ToString::to_string),
        roles,
        apps,
        proxy_users: proxies.iter().map(ToString::to_string).collect(),
        networks: account.networks.iter().map(ToString::to_string).collect(),
        created_at: account.created_at.to_string(),
    }
}

pub(super) fn pat(pat: &Pat, names: &Names, now: Timestamp) -> PatView {
    PatView {
        public_id: pat.public_id.to_string(),
        account: names.of(pat.account),
        service: pat.service.clone(),
        state: pat.standing(now).slug().to_owned(),
        created_at: pat.created_at.to_string(),
        created_by: names.of_actor(&pat.created_by),
        confirm_until: match &pat.state {
            PatState::Pending { until } => Some(until.to_string()),
            PatState::Confirmed { .. } | PatState::Revoked { .. } => None,
        },
        expires_at: pat.expires_at.to_string(),
        restrictions: Restrictions {
            networks: pat.restrictions.networks.iter().map(ToString::to_string).collect(),
            apps: pat.restrictions.apps.iter().map(ToString::to_string).collect(),
            read_only: pat.restrictions.read_only,
        },
        last_used_at: pat.last_used.as_ref().map(|last| last.at.to_string()),
        last_used_from: pat.last_used.as_ref().and_then(|last| last.address).map(|address| address.to_string()),
        last_used_app: pat.last_used.as_ref().and_then(|last| last.app.as_ref()).map(ToString::to_string),
        replaces: pat.succession.as_ref().map(|succession| succession.of.to_string()),
        retires_at: pat.retires_at.map(|at| at.to_string()),
        revoked: match &pat.state {
            PatState::Revoked { at, by, reason } => {
                Some(Revocation { at: at.to_string(), by: names.of_actor(by), reason: reason.to_string() })
            }
            PatState::Pending { .. } | PatState::Confirmed { .. } => None,
        },
    }
}

pub(super) fn entry(entry: &Entry, names: &Names) -> EntryView {
    let action = &entry.action;
    EntryView {
        sequence: entry.sequence,
        at: entry.at.to_string(),
        kind: action.kind.slug().to_owned(),
        changed: entry.changed,
        actor: names.of_actor(&action.actor),
        cause: action.cause.as_deref().map(|cause| names.of_text(cause)),
        on_behalf_of: action.on_behalf_of.map(|id| names.of(id)),
        target: action.target.map(|id| names.of(id)),
        object: action.object.clone(),
        address: action.address.map(|address| address.to_string()),
        request_id: action.request_id.clone(),
        details: action
            .details
            .iter()
            .map(|detail| FieldChange {
                field: detail.field.clone(),
                before: detail.before.as_ref().map(|value| names.of_value(value)),
                after: detail.after.as_ref().map(|value| names.of_value(value)),
            })
            .collect(),
    }
}
