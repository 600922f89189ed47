//! The running gateway itself.

use axum::Json;
use axum::extract::State;

use crate::admin::AdminState;
use crate::admin::extract::Asked;
use crate::admin::problem::Problem;
use crate::admin::shape::{ReloadedView, RestartingView};
use crate::directory::rights::Operation;
use crate::provision::reading;

/// Read the configuration file again and take it up, whole or not at all
#[utoipa::path(post, path = "/v1/reload", tag = "operation",
    responses((status = 200, body = ReloadedView), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::admin) async fn reload(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<ReloadedView>, Problem> {
    reading::demand(&state.provision, &request, &Operation::ManageInstallation, "reload").await?;
    let reload = state.reload.ok_or_else(Problem::not_running)?;
    reload(request).await?;
    Ok(Json(ReloadedView { outcome: "taken_up".to_owned() }))
}

/// Let a new process, of the program and the configuration as they are now, take the place of this one
#[utoipa::path(post, path = "/v1/restart", tag = "operation",
    responses((status = 200, body = RestartingView), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::admin) async fn restart(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<RestartingView>, Problem> {
    reading::demand(&state.provision, &request, &Operation::ManageInstallation, "restart").await?;
    let restart = state.restart.ok_or_else(Problem::not_running)?;
    restart(request).await?;
    Ok(Json(RestartingView { since: state.since.to_string() }))
}
