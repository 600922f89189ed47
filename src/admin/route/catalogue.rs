//! Reasons, apps, and the usernames of deleted accounts.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use crate::admin::AdminState;
use crate::admin::extract::{Asked, Body, FromText, Named};
use crate::admin::problem::Problem;
use crate::admin::shape::{AppList, AppView, NewReason, ReasonList, ReasonView};
use crate::directory::{ReasonCode, Username};
use crate::provision::{name, reading, reason};

/// List the reasons
#[utoipa::path(get, path = "/v1/reasons", tag = "reasons",
    responses((status = 200, body = ReasonList), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn reasons(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<ReasonList>, Problem> {
    let reasons = reading::reasons(&state.provision, &request).await?;
    let view = |(code, text): (ReasonCode, String)| ReasonView { code: code.to_string(), text };
    Ok(Json(ReasonList { reasons: reasons.into_iter().map(view).collect() }))
}

/// Add a reason to the code table (T6)
#[utoipa::path(post, path = "/v1/reasons", tag = "reasons", request_body = NewReason,
    responses((status = 201, body = ReasonView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn add_reason(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Body(new): Body<NewReason>,
) -> Result<(StatusCode, Json<ReasonView>), Problem> {
    let code = ReasonCode::from_text(&new.code)?;
    reason::add(&state.provision, &request, code, new.text.clone()).await?;
    Ok((StatusCode::CREATED, Json(ReasonView { code: new.code, text: new.text.trim().to_owned() })))
}

/// List the apps that were ever configured
#[utoipa::path(get, path = "/v1/apps", tag = "apps",
    responses((status = 200, body = AppList), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn apps(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<AppList>, Problem> {
    let apps = reading::apps(&state.provision, &request).await?;
    let apps = apps.into_iter().map(|app| AppView { name: app.name.to_string(), enabled: app.enabled }).collect();
    Ok(Json(AppList { apps }))
}

/// Let the username of a deleted account be used again; only from the host shell (P12)
#[utoipa::path(delete, path = "/v1/deleted-names/{username}", tag = "names", params(("username" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn release_name(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<StatusCode, Problem> {
    name::release(&state.provision, &request, Username::from_text(&username)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
