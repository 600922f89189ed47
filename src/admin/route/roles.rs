//! Roles and what they contain.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use crate::admin::AdminState;
use crate::admin::extract::{Asked, Body, FromText, Named, all_from_text};
use crate::admin::problem::Problem;
use crate::admin::shape::{NewRole, RoleContents, RoleList, RoleSummary, RoleView};
use crate::directory::{Permission, RoleName};
use crate::provision::{Request, reading, role};

/// List roles
#[utoipa::path(get, path = "/v1/roles", tag = "roles",
    responses((status = 200, body = RoleList), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<RoleList>, Problem> {
    let roles = reading::roles(&state.provision, &request).await?;
    let summary = |(name, permissions): (RoleName, BTreeSet<Permission>)| RoleSummary {
        app: name.app().map(ToString::to_string),
        name: name.to_string(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
    };
    Ok(Json(RoleList { roles: roles.into_iter().map(summary).collect() }))
}

/// Define a role (R6)
#[utoipa::path(post, path = "/v1/roles", tag = "roles", request_body = NewRole,
    responses((status = 201, body = RoleView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn add(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Body(new): Body<NewRole>,
) -> Result<(StatusCode, Json<RoleView>), Problem> {
    let name = RoleName::from_text(&new.name)?;
    role::add(&state.provision, &request, name.clone(), all_from_text(&new.permissions)?).await?;
    Ok((StatusCode::CREATED, shown(&state, &request, &name).await?))
}

/// Show a role with those who hold it
#[utoipa::path(get, path = "/v1/roles/{role}", tag = "roles",
    params(("role" = String, Path, description = "`/` written as `%2F`")),
    responses((status = 200, body = RoleView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(name): Named<String>,
) -> Result<Json<RoleView>, Problem> {
    shown(&state, &request, &RoleName::from_text(&name)?).await
}

/// Replace what a role contains, for everybody who holds it (R6)
#[utoipa::path(put, path = "/v1/roles/{role}", tag = "roles", request_body = RoleContents,
    params(("role" = String, Path, description = "`/` written as `%2F`")),
    responses((status = 200, body = RoleView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn set(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(name): Named<String>,
    Body(contents): Body<RoleContents>,
) -> Result<Json<RoleView>, Problem> {
    let name = RoleName::from_text(&name)?;
    let permissions = all_from_text(&contents.permissions)?;
    role::set_permissions(&state.provision, &request, name.clone(), permissions).await?;
    shown(&state, &request, &name).await
}

async fn shown(state: &AdminState, request: &Request, name: &RoleName) -> Result<Json<RoleView>, Problem> {
    let (permissions, holders) = reading::role(&state.provision, request, name).await?;
    Ok(Json(RoleView {
        name: name.to_string(),
        app: name.app().map(ToString::to_string),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        holders: holders.iter().map(ToString::to_string).collect(),
    }))
}
