//! `locum admin …`.

use serde_json::json;

use crate::admin::shape::{AdministratorPage, AdministratorView, EndAdministration, NewAdministrator};
use crate::cli::arguments::{AdminCommand, EndArguments, RightArguments};
use crate::cli::client::{Client, path, path_with};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, fields, instant, list, maybe, table};
use crate::directory::administrator::Level;

const ADMINISTRATORS: &str = "administrators";
/// How many administrators are asked for at once.
const PAGE: &str = "1000";

pub(in crate::cli) async fn admin(client: &Client, command: AdminCommand, output: Output) -> Result<(), Failure> {
    let person: AdministratorView = match command {
        AdminCommand::List { only_super, app } => return all(client, only_super, app.as_deref(), output).await,
        AdminCommand::Add { person, as_super, new } => {
            let level = if as_super { Level::SuperAdministrator } else { Level::Administrator };
            let level = level.slug().to_owned();
            let new = NewAdministrator { username: person.name, level, new_person: new };
            client.post(&path(&[ADMINISTRATORS]), &new).await?
        }
        AdminCommand::Show(person) => client.get(&path(&["people", &person.name, "rights"])).await?,
        AdminCommand::Promote(person) => {
            client.post(&path(&[ADMINISTRATORS, &person.name, "promote"]), &json!({})).await?
        }
        AdminCommand::Reactivate(person) => {
            client.post(&path(&[ADMINISTRATORS, &person.name, "reactivate"]), &json!({})).await?
        }
        AdminCommand::Downgrade(end) => ended(client, end, "downgrade").await?,
        AdminCommand::Deactivate(end) => ended(client, end, "deactivate").await?,
        AdminCommand::Grant(right) => client.put(&held_path(&right), &json!({})).await?,
        AdminCommand::Remove(right) => client.delete(&held_path(&right)).await?,
    };
    output.answer(&person, in_words)
}

async fn ended(client: &Client, end: EndArguments, verb: &str) -> Result<AdministratorView, Failure> {
    let EndArguments { person, force } = end;
    client.post(&path(&[ADMINISTRATORS, &person.name, verb]), &EndAdministration { force }).await
}

fn held_path(right: &RightArguments) -> String {
    let name = &right.person.name;
    match (&right.app, &right.right) {
        (Some(app), _) => path(&[ADMINISTRATORS, name, "apps", app]),
        (None, right) => path(&["people", name, "rights", right.as_deref().unwrap_or_default()]),
    }
}

async fn all(client: &Client, only_super: bool, app: Option<&str>, output: Output) -> Result<(), Failure> {
    let level = only_super.then_some(Level::SuperAdministrator.slug());
    let mut administrators = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let query = [("level", level), ("app", app), ("cursor", cursor.as_deref()), ("limit", Some(PAGE))];
        let page: AdministratorPage = client.get(&path_with(&[ADMINISTRATORS], &query)).await?;
        administrators.extend(page.administrators);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    output.answer(&administrators, |administrators| {
        let row = |one: &AdministratorView| {
            vec![one.username.clone(), maybe(one.level.as_ref()), maybe(one.state.as_ref()), list(&one.apps)]
        };
        table(&["USERNAME", "LEVEL", "STATE", "APPS"], administrators.iter().map(row))
    })
}

fn in_words(person: &AdministratorView) -> String {
    let state = match &person.inactive {
        Some(since) => format!("inactive since {} by {}", instant(&since.at), since.by),
        None => maybe(person.state.as_ref()),
    };
    fields(&[
        ("username", person.username.clone()),
        ("account", person.account.clone()),
        ("level", maybe(person.level.as_ref())),
        ("administration", state),
        ("apps", list(&person.apps)),
        ("rights", list(&person.rights)),
    ])
}
