//! The history.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{page_size, show};
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Asking, FromText as _};
use crate::admin::problem::Problem;
use crate::admin::shape::EntryPage;
use crate::clock::Timestamp;
use crate::directory::AppName;
use crate::history::ActionType;
use crate::provision::reading::{self, Question};

/// Which actions are read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct HistoryQuery {
    /// Access changes, what was done to this account: a username, or the id of a deleted one.
    account: Option<String>,
    /// Initiated actions, what was done by this actor: `locum`, `host:USER`, a username, or the id of a deleted
    /// account. What Locum did because somebody asked for it, such as a deletion, is among that one's.
    by: Option<String>,
    /// Only actions of this type.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    kind: Option<String>,
    /// Only what concerns this app: access to it, its roles and their permissions, tokens narrowed to it.
    app: Option<String>,
    /// Not before this instant (RFC 3339).
    since: Option<String>,
    /// Before this instant (RFC 3339).
    until: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

/// The history, newest first (H2)
#[utoipa::path(get, path = "/v1/history", tag = "history", params(HistoryQuery),
    responses((status = 200, body = EntryPage), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Asking(query): Asking<HistoryQuery>,
) -> Result<Json<EntryPage>, Problem> {
    let size = page_size(query.limit)?;
    let question = Question {
        account: query.account,
        by: query.by,
        kind: query.kind.as_deref().map(action_type).transpose()?,
        app: query.app.as_deref().map(AppName::from_text).transpose()?,
        since: query.since.as_deref().map(instant).transpose()?,
        until: query.until.as_deref().map(instant).transpose()?,
        before: query.cursor.as_deref().map(sequence).transpose()?,
        // One more than asked for, to know whether there is a next page.
        limit: size + 1,
    };
    let (mut entries, names) = reading::history(&state.provision, &request, question).await?;
    let more = entries.len() > size as usize;
    entries.truncate(size as usize);
    let next = entries.last().filter(|_| more).map(|entry| entry.sequence.to_string());
    Ok(Json(EntryPage { entries: entries.iter().map(|entry| show::entry(entry, &names)).collect(), next }))
}

fn action_type(slug: &str) -> Result<ActionType, Problem> {
    ActionType::from_slug(slug).ok_or_else(|| {
        let slugs: Vec<_> = ActionType::ALL.iter().map(|kind| format!("`{}`", kind.slug())).collect();
        let shown: String = slug.chars().take(64).flat_map(char::escape_debug).collect();
        Problem::invalid(format!("`{shown}` is no type of action; the types are {}", slugs.join(", ")))
    })
}

fn instant(text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).map_err(Problem::invalid)
}

fn sequence(cursor: &str) -> Result<u64, Problem> {
    cursor.parse().map_err(|_| Problem::invalid("the cursor has to be the `next` of the page before"))
}
