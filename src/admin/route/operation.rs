//! The running gateway itself.

use axum::Json;
use axum::extract::State;

use crate::admin::AdminState;
use crate::admin::extract::Asked;
use crate::admin::problem::Problem;
use crate::admin::shape::ReloadedView;
use crate::directory::rights::Operation;
use crate::provision::Error;

/// Read the configuration file again and take it up, whole or not at all
#[utoipa::path(post, path = "/v1/reload", tag = "operation",
    responses((status = 200, body = ReloadedView), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::admin) async fn reload(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<ReloadedView>, Problem> {
    request.demand(&Operation::ManageInstallation).map_err(Error::from)?;
    let reload = state.reload.ok_or_else(Problem::not_running)?;
    reload(request).await?;
    Ok(Json(ReloadedView { outcome: "taken_up".to_owned() }))
}
