//! `locum role …`.

use serde_json::json;

use crate::admin::shape::{AccountView, CopyRoles, NewRole, RoleContents, RoleList, RoleSummary, RoleView};
use crate::cli::arguments::RoleCommand;
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, fields, list, maybe, table};

pub(in crate::cli) async fn role(client: &Client, command: RoleCommand, output: Output) -> Result<(), Failure> {
    match command {
        RoleCommand::Add { role, permissions } => {
            let added: RoleView = client.post(&path(&["roles"]), &NewRole { name: role, permissions }).await?;
            output.answer(&added, |role| format!("defined role `{0}`\nnext: locum role grant ACCOUNT {0}", role.name))
        }
        RoleCommand::List => {
            let roles: RoleList = client.get(&path(&["roles"])).await?;
            output.answer(&roles.roles, |roles| {
                let row =
                    |role: &RoleSummary| vec![role.name.clone(), maybe(role.app.as_ref()), list(&role.permissions)];
                table(&["ROLE", "APP", "PERMISSIONS"], roles.iter().map(row))
            })
        }
        RoleCommand::Show { role } => {
            let role: RoleView = client.get(&path(&["roles", &role])).await?;
            output.answer(&role, in_words)
        }
        RoleCommand::Set { role, permissions, empty: _ } => {
            let set: RoleView = client.put(&path(&["roles", &role]), &RoleContents { permissions }).await?;
            output.answer(&set, |role| {
                format!("role `{}` contains {} for {}", role.name, list(&role.permissions), held_by(role))
            })
        }
        RoleCommand::Grant { account, role } => {
            let holder: AccountView = client.put(&path(&["accounts", &account, "roles", &role]), &json!({})).await?;
            output.answer(&holder, roles_of)
        }
        RoleCommand::Remove { account, role } => {
            let holder: AccountView = client.delete(&path(&["accounts", &account, "roles", &role])).await?;
            output.answer(&holder, roles_of)
        }
        RoleCommand::Copy { from, to } => {
            let holder: AccountView = client.post(&path(&["accounts", &to, "copy-roles"]), &CopyRoles { from }).await?;
            output.answer(&holder, roles_of)
        }
    }
}

fn in_words(role: &RoleView) -> String {
    fields(&[
        ("role", role.name.clone()),
        ("app", maybe(role.app.as_ref())),
        ("permissions", list(&role.permissions)),
        ("held by", list(&role.holders)),
    ])
}

fn held_by(role: &RoleView) -> String {
    match role.holders.len() {
        1 => "the one account that holds it".to_owned(),
        count => format!("the {count} accounts that hold it"),
    }
}

fn roles_of(holder: &AccountView) -> String {
    format!("`{}` holds the roles: {}", holder.username, list(&holder.roles))
}
