//! Legacy names: what people are called in apps (U5).

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::show::shown;
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Asking, Body, FromText, Named, all_from_text};
use crate::admin::problem::Problem;
use crate::admin::shape::{AccountView, FoundLegacyNames, ImportLegacyNames, ImportedLegacyNames, LinkLegacyName};
use crate::directory::{AppName, LegacyName, Username};
use crate::provision::Wanted;
use crate::provision::legacy_name::{self, Imported};

/// Say what a person is called in an app
#[utoipa::path(put, path = "/v1/people/{username}/legacy-names/{app}", tag = "people",
    params(("username" = String, Path), ("app" = String, Path)), request_body = LinkLegacyName,
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn link(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, app)): Named<(String, String)>,
    Body(wish): Body<LinkLegacyName>,
) -> Result<Json<AccountView>, Problem> {
    let (username, app) = (Username::from_text(&username)?, AppName::from_text(&app)?);
    let name = LegacyName::from_text(&wish.name)?;
    legacy_name::link(&state.provision, &request, username.clone(), app, name).await?;
    shown(&state, &request, &username, Wanted::Person).await
}

/// Take away what a person is called in an app
#[utoipa::path(delete, path = "/v1/people/{username}/legacy-names/{app}", tag = "people",
    params(("username" = String, Path), ("app" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn remove(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((username, app)): Named<(String, String)>,
) -> Result<Json<AccountView>, Problem> {
    let (username, app) = (Username::from_text(&username)?, AppName::from_text(&app)?);
    legacy_name::remove(&state.provision, &request, username.clone(), app).await?;
    shown(&state, &request, &username, Wanted::Person).await
}

/// Which name is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct FindQuery {
    /// The whole name, exactly.
    name: Option<String>,
}

/// Look for a name in the list of an app that belongs to nobody
#[utoipa::path(get, path = "/v1/apps/{app}/legacy-names", tag = "apps", params(("app" = String, Path), FindQuery),
    responses((status = 200, body = FoundLegacyNames), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn find(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(app): Named<String>,
    Asking(FindQuery { name }): Asking<FindQuery>,
) -> Result<Json<FoundLegacyNames>, Problem> {
    let app = AppName::from_text(&app)?;
    let name = name.as_deref().map(LegacyName::from_text).transpose()?;
    let (found, free) = legacy_name::find(&state.provision, &request, &app, name.as_ref()).await?;
    let names = name.filter(|_| found).map(|name| name.as_str().to_owned()).into_iter().collect();
    Ok(Json(FoundLegacyNames { names, free }))
}

/// Add names to the list of an app, from which people are linked
#[utoipa::path(post, path = "/v1/apps/{app}/legacy-names", tag = "apps", params(("app" = String, Path)),
    request_body = ImportLegacyNames,
    responses((status = 200, body = ImportedLegacyNames), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn import(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(app): Named<String>,
    Body(wish): Body<ImportLegacyNames>,
) -> Result<Json<ImportedLegacyNames>, Problem> {
    let (app, names) = (AppName::from_text(&app)?, all_from_text(&wish.names)?);
    let Imported { added, known } = legacy_name::import(&state.provision, &request, app, names).await?;
    Ok(Json(ImportedLegacyNames { added, known }))
}
