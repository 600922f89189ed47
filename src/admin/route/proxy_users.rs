//! Proxy users.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::show::{AskedPage, page_of_accounts, shown};
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Asking, Body, FromText, Named, all_from_text};
use crate::admin::problem::Problem;
use crate::admin::shape::{AccountNetworks, AccountPage, AccountView, NewProxyUser};
use crate::directory::Username;
use crate::provision::{Wanted, proxy_user};

/// Which proxy users are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct ProxyUserQuery {
    /// Only those of this person.
    owner: Option<String>,
    /// Only usernames that begin so.
    prefix: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

/// List proxy users
#[utoipa::path(get, path = "/v1/proxy-users", tag = "proxy users", params(ProxyUserQuery),
    responses((status = 200, body = AccountPage), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Asking(query): Asking<ProxyUserQuery>,
) -> Result<Json<AccountPage>, Problem> {
    let ProxyUserQuery { owner, prefix, cursor, limit } = query;
    let owner = owner.map(|owner| Username::from_text(&owner)).transpose()?;
    let asked = AskedPage { owner, prefix, email: None, cursor, limit };
    page_of_accounts(&state, &request, Wanted::ProxyUser, asked).await
}

/// Add a proxy user
#[utoipa::path(post, path = "/v1/proxy-users", tag = "proxy users", request_body = NewProxyUser,
    responses((status = 201, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn add(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Body(new): Body<NewProxyUser>,
) -> Result<(StatusCode, Json<AccountView>), Problem> {
    let username = Username::from_text(&new.username)?;
    let owner = Username::from_text(&new.owner)?;
    let networks = all_from_text(&new.networks)?;
    proxy_user::add(&state.provision, &request, username.clone(), owner, networks).await?;
    Ok((StatusCode::CREATED, shown(&state, &request, &username, Wanted::ProxyUser).await?))
}

/// Show a proxy user
#[utoipa::path(get, path = "/v1/proxy-users/{username}", tag = "proxy users", params(("username" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AccountView>, Problem> {
    shown(&state, &request, &Username::from_text(&username)?, Wanted::ProxyUser).await
}

/// Mark a proxy user inactive (P10)
#[utoipa::path(post, path = "/v1/proxy-users/{username}/inactivate", tag = "proxy users", params(("username" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn inactivate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AccountView>, Problem> {
    let username = Username::from_text(&username)?;
    proxy_user::inactivate(&state.provision, &request, username.clone()).await?;
    shown(&state, &request, &username, Wanted::ProxyUser).await
}

/// Mark a proxy user active (P11)
#[utoipa::path(post, path = "/v1/proxy-users/{username}/activate", tag = "proxy users", params(("username" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn activate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AccountView>, Problem> {
    let username = Username::from_text(&username)?;
    proxy_user::activate(&state.provision, &request, username.clone()).await?;
    shown(&state, &request, &username, Wanted::ProxyUser).await
}

/// Replace the networks that a proxy user may be used from (L10)
#[utoipa::path(put, path = "/v1/proxy-users/{username}/networks", tag = "proxy users", params(("username" = String, Path)),
    request_body = AccountNetworks,
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn set_networks(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
    Body(asked): Body<AccountNetworks>,
) -> Result<Json<AccountView>, Problem> {
    let username = Username::from_text(&username)?;
    let networks = all_from_text(&asked.networks)?;
    proxy_user::set_networks(&state.provision, &request, username.clone(), networks).await?;
    shown(&state, &request, &username, Wanted::ProxyUser).await
}

/// Delete a proxy user (P12)
#[utoipa::path(delete, path = "/v1/proxy-users/{username}", tag = "proxy users", params(("username" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn delete(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<StatusCode, Problem> {
    proxy_user::delete(&state.provision, &request, Username::from_text(&username)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
