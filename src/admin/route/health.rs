//! Whether the gateway is well.

use axum::Json;
use axum::extract::State;

use crate::admin::AdminState;
use crate::admin::extract::Asked;
use crate::admin::problem::Problem;
use crate::admin::shape::HealthView;
use crate::directory::rights::Operation;
use crate::provision::{Error, reading};

/// Whether the gateway is well: the store answers, and what works by a second way
#[utoipa::path(get, path = "/v1/health", tag = "operation",
    responses((status = 200, body = HealthView), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(in crate::admin) async fn health(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<HealthView>, Problem> {
    reading::demand(&state.provision, &request, &Operation::SeeGateway, "health").await?;
    let mut reader = state.provision.store().read().await.map_err(Error::from)?;
    reader.head().await.map_err(Error::from)?;
    let notes = (state.notes)().await;
    let status = if notes.is_empty() { "ok" } else { "degraded" };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(HealthView { status: status.to_owned(), version, since: state.since.to_string(), notes }))
}
