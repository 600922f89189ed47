//! Those who run Locum, and the rights of plain people.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::page_size;
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Asking, Body, FromText, Named};
use crate::admin::problem::Problem;
use crate::admin::shape::{
    AdministratorPage, AdministratorView, EndAdministration, EndedAdministration, NewAdministrator,
};
use crate::directory::administrator::{AdministrationState, Level};
use crate::directory::rights::Right;
use crate::directory::{AppName, Username};
use crate::provision::reading::{self, Administrator};
use crate::provision::{Request, administrator};

/// Which administrators are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct AdministratorQuery {
    /// Only this level: `administrator` or `super_administrator`.
    level: Option<String>,
    /// Only those who administer this app by a right of its own.
    app: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

/// List administrators, of everything and of single apps (A3)
#[utoipa::path(get, path = "/v1/administrators", tag = "administrators", params(AdministratorQuery),
    responses((status = 200, body = AdministratorPage), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Asking(query): Asking<AdministratorQuery>,
) -> Result<Json<AdministratorPage>, Problem> {
    let size = page_size(query.limit)?;
    let level = query.level.as_deref().map(Level::from_text).transpose()?;
    let app = query.app.as_deref().map(AppName::from_text).transpose()?;
    let after = query.cursor.as_deref().map(Username::from_text).transpose()?;
    // One more than asked for, to know whether there is a next page.
    let mut found = reading::administrators(&state.provision, &request, level, app, after, size + 1).await?;
    let more = found.len() > size as usize;
    found.truncate(size as usize);
    let next = found.last().filter(|_| more).map(|last| last.account.username.to_string());
    Ok(Json(AdministratorPage { administrators: found.iter().map(view).collect(), next }))
}

/// Make a person an administrator (A1)
#[utoipa::path(post, path = "/v1/administrators", tag = "administrators", request_body = NewAdministrator,
    responses((status = 201, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn add(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Body(new): Body<NewAdministrator>,
) -> Result<(StatusCode, Json<AdministratorView>), Problem> {
    let (username, level) = (Username::from_text(&new.username)?, Level::from_text(&new.level)?);
    administrator::add(&state.provision, &request, username.clone(), level, new.new_person).await?;
    Ok((StatusCode::CREATED, shown(&state, &request, &username).await?))
}

/// Show what a person may do with Locum
#[utoipa::path(get, path = "/v1/people/{username}/rights", tag = "administrators", params(("username" = String, Path)),
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AdministratorView>, Problem> {
    shown(&state, &request, &Username::from_text(&username)?).await
}

/// Make an administrator a super administrator (A4)
#[utoipa::path(post, path = "/v1/administrators/{username}/promote", tag = "administrators",
    params(("username" = String, Path)),
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn promote(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AdministratorView>, Problem> {
    let username = Username::from_text(&username)?;
    administrator::promote(&state.provision, &request, username.clone()).await?;
    shown(&state, &request, &username).await
}

/// Make a super administrator an administrator; only from the host shell (A4)
#[utoipa::path(post, path = "/v1/administrators/{username}/downgrade", tag = "administrators",
    params(("username" = String, Path)), request_body = EndAdministration,
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn downgrade(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
    Body(end): Body<EndAdministration>,
) -> Result<Json<AdministratorView>, Problem> {
    let username = Username::from_text(&username)?;
    administrator::downgrade(&state.provision, &request, username.clone(), end.force).await?;
    shown(&state, &request, &username).await
}

/// Take an administrator's rights as such, and leave its account as it is (A5)
///
/// Of a super administrator only from the host shell (A4).
#[utoipa::path(post, path = "/v1/administrators/{username}/deactivate", tag = "administrators",
    params(("username" = String, Path)), request_body = EndAdministration,
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn deactivate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
    Body(end): Body<EndAdministration>,
) -> Result<Json<AdministratorView>, Problem> {
    let username = Username::from_text(&username)?;
    administrator::deactivate(&state.provision, &request, username.clone(), end.force).await?;
    shown(&state, &request, &username).await
}

/// Give an administrator its rights as such again (A5)
///
/// To a super administrator only from the host shell (A4).
#[utoipa::path(post, path = "/v1/administrators/{username}/reactivate", tag = "administrators",
    params(("username" = String, Path)),
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn reactivate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AdministratorView>, Problem> {
    let username = Username::from_text(&username)?;
    administrator::reactivate(&state.provision, &request, username.clone()).await?;
    shown(&state, &request, &username).await
}

/// Make a person administrator of one app (R5)
#[utoipa::path(put, path = "/v1/administrators/{username}/apps/{app}", tag = "administrators",
    params(("username" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn grant_app(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, app)): Named<(String, String)>,
) -> Result<Json<AdministratorView>, Problem> {
    set_app(&state, &request, &username, &app, true).await
}

/// End that (R5)
#[utoipa::path(delete, path = "/v1/administrators/{username}/apps/{app}", tag = "administrators",
    params(("username" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn remove_app(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, app)): Named<(String, String)>,
) -> Result<Json<AdministratorView>, Problem> {
    set_app(&state, &request, &username, &app, false).await
}

async fn set_app(
    state: &AdminState,
    request: &Request,
    username: &str,
    app: &str,
    given: bool,
) -> Result<Json<AdministratorView>, Problem> {
    let (username, app) = (Username::from_text(username)?, AppName::from_text(app)?);
    administrator::set_app(&state.provision, request, username.clone(), app, given).await?;
    shown(state, request, &username).await
}

/// Grant a plain person a right over Locum
#[utoipa::path(put, path = "/v1/people/{username}/rights/{right}", tag = "administrators",
    params(("username" = String, Path), ("right" = String, Path)),
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn grant_right(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, right)): Named<(String, String)>,
) -> Result<Json<AdministratorView>, Problem> {
    set_right(&state, &request, &username, &right, true).await
}

/// Take a right over Locum from a plain person
#[utoipa::path(delete, path = "/v1/people/{username}/rights/{right}", tag = "administrators",
    params(("username" = String, Path), ("right" = String, Path)),
    responses((status = 200, body = AdministratorView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn remove_right(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, right)): Named<(String, String)>,
) -> Result<Json<AdministratorView>, Problem> {
    set_right(&state, &request, &username, &right, false).await
}

async fn set_right(
    state: &AdminState,
    request: &Request,
    username: &str,
    right: &str,
    given: bool,
) -> Result<Json<AdministratorView>, Problem> {
    let (username, right) = (Username::from_text(username)?, Right::from_text(right)?);
    administrator::set_right(&state.provision, request, username.clone(), right, given).await?;
    shown(state, request, &username).await
}

async fn shown(state: &AdminState, request: &Request, username: &Username) -> Result<Json<AdministratorView>, Problem> {
    Ok(Json(view(&reading::administrator(&state.provision, request, username).await?)))
}

fn view(found: &Administrator) -> AdministratorView {
    let Administrator { account, held, names } = found;
    let inactive = held.administration.as_ref().and_then(|held| match &held.state {
        AdministrationState::Active => None,
        AdministrationState::Inactive { at, by } => {
            Some(EndedAdministration { at: at.to_string(), by: names.of_actor(by) })
        }
    });
    AdministratorView {
        username: account.username.to_string(),
        account: account.state.slug().to_owned(),
        level: held.level().map(|level| level.slug().to_owned()),
        state: held.administration.as_ref().map(|held| held.state.slug().to_owned()),
        inactive,
        apps: held.apps.iter().map(ToString::to_string).collect(),
        rights: held.granted.iter().map(|right| right.slug().to_owned()).collect(),
    }
}
