//! Apps, as the configuration names them: registered when they appear, disabled when they vanish,
//! their roles kept (decision: apps live in the configuration).

use std::collections::BTreeSet;

use super::operation::{Attempt, Decided, Effects};
use super::{Error, Provision, Request};
use crate::directory::{Actor, AppName};
use crate::history::{Action, ActionType, Actions};

/// The cause of every action here.
const CAUSE: &str = "configuration";

/// Brings the store to know exactly the apps of the configuration. Done by Locum at every start.
///
/// # Errors
/// When the store cannot be written.
pub async fn register(provision: &Provision, configured: BTreeSet<AppName>) -> Result<(), Error> {
    // No right is asked for: this is Locum's own work, and nobody can call it from outside.
    let request = Request::from_host("locum");
    put(provision, &request, configured, Vec::new()).await
}

/// The same when a running gateway takes up its configuration anew, with that on record: done by whoever asked
/// for it on the host socket, or by Locum on a signal.
///
/// # Errors
/// When the store cannot be written.
pub async fn reload(
    provision: &Provision,
    asked_by: Option<&Request>,
    configured: BTreeSet<AppName>,
) -> Result<(), Error> {
    let reloaded = match asked_by {
        Some(request) => request.action(ActionType::ConfigReloaded),
        None => Action::new(ActionType::ConfigReloaded, Actor::Locum).because("SIGHUP"),
    };
    let request = asked_by.cloned().unwrap_or_else(|| Request::from_host("locum"));
    put(provision, &request, configured, vec![reloaded]).await
}

async fn put(
    provision: &Provision,
    request: &Request,
    configured: BTreeSet<AppName>,
    mut actions: Vec<Action>,
) -> Result<(), Error> {
    provision
        .change(request, Attempt::to("app_register"), move |hand| {
            Box::pin(async move {
                let known = hand.writer.apps().await?;
                let mut effects = Effects::default();
                let mut tell = |kind, app: &AppName| {
                    actions.push(Action::new(kind, Actor::Locum).because(CAUSE).object(format!("app:{app}")));
                };
                for app in &configured {
                    match known.iter().find(|record| record.name == *app) {
                        None => tell(ActionType::AppRegistered, app),
                        Some(record) if !record.enabled => tell(ActionType::AppEnabled, app),
                        Some(_) => continue,
                    }
                    hand.writer.put_app(app, true).await?;
                }
                for record in known.iter().filter(|record| record.enabled && !configured.contains(&record.name)) {
                    tell(ActionType::AppDisabled, &record.name);
                    hand.writer.put_app(&record.name, false).await?;
                    let holding = crate::directory::Holding::App(record.name.clone());
                    effects.narrowed.extend(hand.writer.holders(&holding).await?);
                }
                Ok(match Actions::from_vec(actions) {
                    Some(actions) => Decided::Changed((), actions, effects),
                    None => Decided::AsItWas(()),
                })
            })
        })
        .await
}
