//! Apps, as the configuration names them: registered when they appear, disabled when they vanish,
//! their roles kept (decision: apps live in the configuration).

use std::collections::BTreeSet;

use super::operation::{Attempt, Decided, Effects};
use super::{Error, Provision, Request};
use crate::directory::{Actor, AppName};
use crate::history::{Action, ActionType, Actions};

/// The cause of every action here.
const CAUSE: &str = "configuration";

/// Brings the store to know exactly the apps of the configuration. Done by Locum at every start and
/// reload.
///
/// # Errors
/// When the store cannot be written.
pub async fn register(provision: &Provision, configured: BTreeSet<AppName>) -> Result<(), Error> {
    // No right is asked for: this is Locum's own work, and nobody can call it from outside.
    let request = Request::from_host("locum");
    provision
        .change(&request, Attempt::to("app_register"), move |hand| {
            Box::pin(async move {
                let known = hand.writer.apps().await?;
                let mut actions = Vec::new();
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
