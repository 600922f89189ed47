//! `locum person …` and `locum proxy-user …`: two kinds of one thing, printed alike.

use ipnet::IpNet;
use serde_json::json;

use crate::admin::shape::{
    AccountNetworks, AccountPage, AccountSummary, AccountView, NewPerson, NewProxyUser, PersonChange,
};
use crate::cli::arguments::{
    NetworksArguments, PersonCommand, PersonSetArguments, PersonalArguments, ProxyUserCommand,
};
use crate::cli::client::{Client, path, path_with};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, fields, instant, list, maybe, minute, table};

/// How many accounts are asked for at once.
const PAGE: &str = "1000";

pub(in crate::cli) async fn person(client: &Client, command: PersonCommand, output: Output) -> Result<(), Failure> {
    const PEOPLE: &str = "people";
    match command {
        PersonCommand::Add { person, roles, known: PersonalArguments { name, email, phone } } => {
            let new = NewPerson { username: person.name, roles, name, email, phone };
            let added: AccountView = client.post(&path(&[PEOPLE]), &new).await?;
            output.answer(&added, |added| {
                let name = &added.username;
                format!("added person `{name}`\nnext: locum proxy-user add {name}-ci --owner {name}")
            })
        }
        PersonCommand::List { prefix, email } => {
            let only = [("prefix", prefix.as_deref()), ("email", email.as_deref())];
            let people = all(client, PEOPLE, &only).await?;
            output.answer(&people, |people| {
                let row = |person: &AccountSummary| {
                    let (name, email) = (maybe(person.name.as_ref()), maybe(person.email.as_ref()));
                    vec![person.username.clone(), name, email, person.state.clone(), minute(&person.created_at)]
                };
                table(&["USERNAME", "NAME", "EMAIL", "STATE", "ADDED"], people.iter().map(row))
            })
        }
        PersonCommand::Set(PersonSetArguments { person, known, no_name, no_email, no_phone }) => {
            let becomes = |given: Option<String>, none: bool| if none { Some(None) } else { given.map(Some) };
            let change = PersonChange {
                name: becomes(known.name, no_name),
                email: becomes(known.email, no_email),
                phone: becomes(known.phone, no_phone),
            };
            let changed: AccountView = client.patch(&path(&[PEOPLE, &person]), &change).await?;
            output.answer(&changed, in_words)
        }
        PersonCommand::Show(name) => show(client, PEOPLE, &name.name, output).await,
        PersonCommand::Inactivate(name) => change(client, PEOPLE, &name.name, "inactivate", output).await,
        PersonCommand::Activate(name) => change(client, PEOPLE, &name.name, "activate", output).await,
        PersonCommand::Delete(name) => delete(client, PEOPLE, &name.name, output).await,
    }
}

pub(in crate::cli) async fn proxy_user(
    client: &Client,
    command: ProxyUserCommand,
    output: Output,
) -> Result<(), Failure> {
    const PROXY_USERS: &str = "proxy-users";
    match command {
        ProxyUserCommand::Add { proxy_user, owner, networks } => {
            let new = NewProxyUser { username: proxy_user.name, owner, networks: texts(&networks) };
            let added: AccountView = client.post(&path(&[PROXY_USERS]), &new).await?;
            output.answer(&added, |added| {
                let (name, owner) = (&added.username, maybe(added.owner.as_ref()));
                format!("added proxy user `{name}` of `{owner}`\nnext: locum pat add {name} --service TEXT")
            })
        }
        ProxyUserCommand::List { owner, prefix } => {
            let only = [("owner", owner.as_deref()), ("prefix", prefix.as_deref())];
            let proxy_users = all(client, PROXY_USERS, &only).await?;
            output.answer(&proxy_users, |proxy_users| {
                let row = |proxy: &AccountSummary| {
                    let owner = maybe(proxy.owner.as_ref());
                    vec![proxy.username.clone(), owner, proxy.state.clone(), minute(&proxy.created_at)]
                };
                table(&["USERNAME", "OWNER", "STATE", "ADDED"], proxy_users.iter().map(row))
            })
        }
        ProxyUserCommand::Show(name) => show(client, PROXY_USERS, &name.name, output).await,
        ProxyUserCommand::Inactivate(name) => change(client, PROXY_USERS, &name.name, "inactivate", output).await,
        ProxyUserCommand::Activate(name) => change(client, PROXY_USERS, &name.name, "activate", output).await,
        ProxyUserCommand::Networks(NetworksArguments { proxy_user, networks, any: _ }) => {
            let asked = AccountNetworks { networks: texts(&networks) };
            let changed: AccountView = client.put(&path(&[PROXY_USERS, &proxy_user.name, "networks"]), &asked).await?;
            output.answer(&changed, |changed| format!("`{}` is used from {}", changed.username, from(changed)))
        }
        ProxyUserCommand::Delete(name) => delete(client, PROXY_USERS, &name.name, output).await,
    }
}

async fn all(client: &Client, kind: &str, only: &[(&str, Option<&str>)]) -> Result<Vec<AccountSummary>, Failure> {
    let mut accounts = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let query = [only, &[("cursor", cursor.as_deref()), ("limit", Some(PAGE))]].concat();
        let page: AccountPage = client.get(&path_with(&[kind], &query)).await?;
        accounts.extend(page.accounts);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(accounts);
        }
    }
}

async fn show(client: &Client, kind: &str, username: &str, output: Output) -> Result<(), Failure> {
    let account: AccountView = client.get(&path(&[kind, username])).await?;
    output.answer(&account, in_words)
}

/// An account as `show` prints it.
pub(super) fn in_words(account: &AccountView) -> String {
    let state = match &account.inactive {
        None => account.state.clone(),
        Some(why) => format!("{} since {} by {} ({})", account.state, instant(&why.at), why.by, why.reason),
    };
    let mut pairs = vec![("username", account.username.clone()), ("kind", account.kind.clone()), ("state", state)];
    if let Some(owner) = &account.owner {
        pairs.extend([("owner", owner.clone()), ("used from", from(account))]);
    } else {
        let known = [("name", &account.name), ("email", &account.email), ("phone", &account.phone)];
        pairs.extend(known.into_iter().filter_map(|(what, known)| Some((what, known.clone()?))));
        let called = account.legacy_names.iter().map(|legacy| format!("{} ({})", legacy.name, legacy.app));
        let called: Vec<_> = called.collect();
        pairs.extend((!called.is_empty()).then(|| ("called", list(&called))));
        pairs.push(("proxy users", list(&account.proxy_users)));
    }
    pairs.push(("roles", list(&account.roles)));
    pairs.push(("apps", list(&account.apps)));
    pairs.push(("added", instant(&account.created_at)));
    fields(&pairs)
}

fn from(account: &AccountView) -> String {
    if account.networks.is_empty() { "everywhere".to_owned() } else { list(&account.networks) }
}

fn texts(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

async fn change(client: &Client, kind: &str, username: &str, verb: &str, output: Output) -> Result<(), Failure> {
    let account: AccountView = client.post(&path(&[kind, username, verb]), &json!({})).await?;
    output.answer(&account, |account| format!("`{}` is {}", account.username, account.state))
}

async fn delete(client: &Client, kind: &str, username: &str, output: Output) -> Result<(), Failure> {
    client.remove(&path(&[kind, username])).await?;
    let deleted = json!({ "username": username, "deleted": true });
    output.answer(&deleted, |_| format!("deleted `{username}`; its history stays, its username stays taken"))
}
