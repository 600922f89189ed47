//! Reading the history (H2).

use super::{Names, refused_if_not_allowed};
use crate::clock::Timestamp;
use crate::directory::rights::Operation;
use crate::directory::{AccountId, Actor, AppName, Username};
use crate::history::{ActionType, Entry, Value, marks};
use crate::provision::{Error, Provision, Refusal, Request, demands};
use crate::store::{HistoryFilter, Reader};

/// Which actions are read (H2).
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// A username, or the id of a deleted account.
    pub account: Option<String>,
    /// `locum`, `host:USER`, a username, or the id of a deleted account. What Locum did because this one
    /// asked for it belongs to it.
    pub by: Option<String>,
    pub kind: Option<ActionType>,
    /// Only what concerns this app.
    pub app: Option<AppName>,
    /// Not before this instant.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// Only entries before this sequence number: where the page before ended.
    pub before: Option<u64>,
    pub limit: u32,
}

/// The history, newest first. Who may read that of one app is told nothing of the others.
///
/// # Errors
/// When the caller may not, or an account or the app is unknown.
pub async fn history(
    provision: &Provision,
    request: &Request,
    question: Question,
) -> Result<(Vec<Entry>, Names), Error> {
    let reading = async {
        request.demand(&Operation::ReadHistory { app: question.app.clone() })?;
        let mut reader = provision.0.store.read().await?;
        if let Some(app) = &question.app {
            demands::demand_app(&mut reader, app).await?;
        }
        let target = match &question.account {
            None => None,
            Some(text) => Some(account_or_id(&mut reader, text).await?),
        };
        let actor = match question.by.as_deref() {
            None => None,
            Some(text) if text == "locum" || text.starts_with("host:") => Actor::from_stored(text),
            Some(text) => Some(Actor::Account(account_or_id(&mut reader, text).await?)),
        };
        let Question { kind, app, since, until, before, limit, .. } = question;
        let filter = HistoryFilter { target, actor, kind, app, since, until, before, limit };
        let mut entries = reader.history(&filter).await?;
        if request.demand(&Operation::ReadHistory { app: None }).is_err() {
            for entry in &mut entries {
                leave_to_app(entry, filter.app.as_ref());
            }
        }
        let mut names = Names::default();
        for entry in &entries {
            let action = &entry.action;
            names.open(&mut reader, provision, entry).await?;
            names.add_actor(&mut reader, &action.actor).await?;
            for id in action.target.iter().chain(&action.on_behalf_of) {
                names.add(&mut reader, *id).await?;
            }
            for text in action.cause.iter().map(String::as_str).chain(clear_values(entry)) {
                for actor in text.split(' ').filter_map(Actor::from_stored) {
                    names.add_actor(&mut reader, &actor).await?;
                }
            }
        }
        Ok((entries, names))
    };
    refused_if_not_allowed(provision, request, "history", reading.await).await
}

/// Leaves out what an entry says of other apps than this one.
fn leave_to_app(entry: &mut Entry, app: Option<&AppName>) {
    let kind = entry.action.kind;
    // A role of one app may hold permissions of another: then the entry is found, and the role is not its business.
    if marks::app_of_object(&entry.action).is_some_and(|of| Some(&of) != app) {
        entry.action.object = None;
    }
    entry.action.details.retain(|detail| {
        let apps = marks::apps_of(kind, detail);
        apps.is_empty() || apps.iter().any(|of| Some(of) == app)
    });
}

fn clear_values(entry: &Entry) -> impl Iterator<Item = &str> {
    let values = entry.action.details.iter().flat_map(|detail| detail.before.iter().chain(&detail.after));
    values.filter_map(|value| match value {
        Value::Clear(text) => Some(text.as_str()),
        Value::Sealed { .. } => None,
    })
}

async fn account_or_id(reader: &mut Reader, text: &str) -> Result<AccountId, Error> {
    if let Ok(username) = Username::parse(text)
        && let Some(account) = reader.account_by_username(&username).await?
    {
        return Ok(account.id);
    }
    if let Some(Actor::Account(id)) = Actor::from_stored(&format!("account:{text}")) {
        return Ok(id);
    }
    Err(match Username::parse(text) {
        Ok(username) => demands::unknown_account(reader, &username).await?.into(),
        Err(_) => Refusal::UnknownAccount { name: text.escape_debug().to_string(), nearest: Vec::new() }.into(),
    })
}
