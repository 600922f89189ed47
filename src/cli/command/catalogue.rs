//! `locum reason …`, `locum app …` and `locum name …`.

use serde_json::json;

use crate::admin::shape::{AccountView, AppList, AppView, NewReason, ReasonList, ReasonView};
use crate::cli::arguments::{AppCommand, NameCommand, ReasonCommand};
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, list, table};

pub(in crate::cli) async fn reason(client: &Client, command: ReasonCommand, output: Output) -> Result<(), Failure> {
    match command {
        ReasonCommand::List => {
            let reasons: ReasonList = client.get(&path(&["reasons"])).await?;
            output.answer(&reasons.reasons, |reasons| {
                let row = |reason: &ReasonView| vec![reason.code.clone(), reason.text.clone()];
                table(&["CODE", "MEANING"], reasons.iter().map(row))
            })
        }
        ReasonCommand::Add { code, text } => {
            let added: ReasonView = client.post(&path(&["reasons"]), &NewReason { code, text }).await?;
            output.answer(&added, |reason| format!("added reason `{}`: {}", reason.code, reason.text))
        }
    }
}

pub(in crate::cli) async fn app(client: &Client, command: AppCommand, output: Output) -> Result<(), Failure> {
    let holder: AccountView = match command {
        AppCommand::List => {
            let apps: AppList = client.get(&path(&["apps"])).await?;
            return output.answer(&apps.apps, |apps| {
                let configured = |app: &AppView| if app.enabled { "configured" } else { "not configured any more" };
                let row = |app: &AppView| vec![app.name.clone(), configured(app).to_owned()];
                table(&["APP", "STATE"], apps.iter().map(row))
            });
        }
        AppCommand::Grant { account, app } => {
            client.put(&path(&["accounts", &account, "apps", &app]), &json!({})).await?
        }
        AppCommand::Remove { account, app } => client.delete(&path(&["accounts", &account, "apps", &app])).await?,
    };
    output.answer(&holder, |holder| {
        format!(
            "`{}` has access to the apps: {}\nand holds the roles: {}",
            holder.username,
            list(&holder.apps),
            list(&holder.roles)
        )
    })
}

pub(in crate::cli) async fn name(client: &Client, command: NameCommand, output: Output) -> Result<(), Failure> {
    let NameCommand::Release { name } = command;
    client.remove(&path(&["deleted-names", &name])).await?;
    let released = json!({ "username": name, "released": true });
    output.answer(&released, |_| format!("the username `{name}` can be used again"))
}
