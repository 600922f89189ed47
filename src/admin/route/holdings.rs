//! What accounts hold: roles and access to apps.

use axum::Json;
use axum::extract::State;

use super::show::shown;
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Body, FromText, Named};
use crate::admin::problem::Problem;
use crate::admin::shape::{AccountView, CopyRoles};
use crate::directory::{AppName, Holding, RoleName, Username};
use crate::provision::{Wanted, holding};

/// Give an account a role (P5, P6)
#[utoipa::path(put, path = "/v1/accounts/{username}/roles/{role}", tag = "roles",
    params(("username" = String, Path), ("role" = String, Path, description = "`/` written as `%2F`")),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn grant_role(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, role)): Named<(String, String)>,
) -> Result<Json<AccountView>, Problem> {
    let (username, role) = (Username::from_text(&username)?, RoleName::from_text(&role)?);
    holding::grant(&state.provision, &request, username.clone(), Holding::Role(role)).await?;
    shown(&state, &request, &username, Wanted::Either).await
}

/// Take a role from an account (P4, P7)
#[utoipa::path(delete, path = "/v1/accounts/{username}/roles/{role}", tag = "roles",
    params(("username" = String, Path), ("role" = String, Path, description = "`/` written as `%2F`")),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn remove_role(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, role)): Named<(String, String)>,
) -> Result<Json<AccountView>, Problem> {
    let (username, role) = (Username::from_text(&username)?, RoleName::from_text(&role)?);
    holding::remove(&state.provision, &request, username.clone(), Holding::Role(role)).await?;
    shown(&state, &request, &username, Wanted::Either).await
}

/// Give an account access to an app (R8)
#[utoipa::path(put, path = "/v1/accounts/{username}/apps/{app}", tag = "apps",
    params(("username" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn grant_app(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, app)): Named<(String, String)>,
) -> Result<Json<AccountView>, Problem> {
    let (username, app) = (Username::from_text(&username)?, AppName::from_text(&app)?);
    holding::grant(&state.provision, &request, username.clone(), Holding::App(app)).await?;
    shown(&state, &request, &username, Wanted::Either).await
}

/// Take an account's access to an app, with all of its roles in it (R4)
#[utoipa::path(delete, path = "/v1/accounts/{username}/apps/{app}", tag = "apps",
    params(("username" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn remove_app(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, app)): Named<(String, String)>,
) -> Result<Json<AccountView>, Problem> {
    let (username, app) = (Username::from_text(&username)?, AppName::from_text(&app)?);
    holding::remove(&state.provision, &request, username.clone(), Holding::App(app)).await?;
    shown(&state, &request, &username, Wanted::Either).await
}

/// Give an account all roles of another one, or none of them (P5, P6)
#[utoipa::path(post, path = "/v1/accounts/{username}/copy-roles", tag = "roles", request_body = CopyRoles,
    params(("username" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn copy_roles(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
    Body(copy): Body<CopyRoles>,
) -> Result<Json<AccountView>, Problem> {
    let (from, to) = (Username::from_text(&copy.from)?, Username::from_text(&username)?);
    holding::copy_roles(&state.provision, &request, from, to.clone()).await?;
    shown(&state, &request, &to, Wanted::Either).await
}
