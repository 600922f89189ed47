//! People.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::show::{AskedPage, page_of_accounts, shown};
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Asking, Body, FromText, Named, all_from_text};
use crate::admin::problem::Problem;
use crate::admin::shape::{AccountPage, AccountView, NewPerson, PersonChange};
use crate::directory::personal::PersonalChange;
use crate::directory::{DisplayName, Email, Personal, Phone, Username};
use crate::provision::{Wanted, person};

/// Which people are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct PeopleQuery {
    /// Only usernames that begin so.
    prefix: Option<String>,
    /// Only the person with exactly this email address, whatever the case.
    email: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

/// List people
#[utoipa::path(get, path = "/v1/people", tag = "people", params(PeopleQuery),
    responses((status = 200, body = AccountPage), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Asking(query): Asking<PeopleQuery>,
) -> Result<Json<AccountPage>, Problem> {
    let PeopleQuery { prefix, email, cursor, limit } = query;
    let asked = AskedPage { owner: None, prefix, email, cursor, limit };
    page_of_accounts(&state, &request, Wanted::Person, asked).await
}

/// Add a person
#[utoipa::path(post, path = "/v1/people", tag = "people", request_body = NewPerson,
    responses((status = 201, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn add(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Body(new): Body<NewPerson>,
) -> Result<(StatusCode, Json<AccountView>), Problem> {
    let username = Username::from_text(&new.username)?;
    let roles = all_from_text(&new.roles)?;
    let personal = Personal {
        name: new.name.as_deref().map(DisplayName::from_text).transpose()?,
        email: new.email.as_deref().map(Email::from_text).transpose()?,
        phone: new.phone.as_deref().map(Phone::from_text).transpose()?,
    };
    person::add_known(&state.provision, &request, username.clone(), roles, personal).await?;
    Ok((StatusCode::CREATED, shown(&state, &request, &username, Wanted::Person).await?))
}

/// Show a person
#[utoipa::path(get, path = "/v1/people/{username}", tag = "people", params(("username" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AccountView>, Problem> {
    shown(&state, &request, &Username::from_text(&username)?, Wanted::Person).await
}

/// Change what is known of a person (U2)
#[utoipa::path(patch, path = "/v1/people/{username}", tag = "people", params(("username" = String, Path)),
    request_body = PersonChange, responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn set(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
    Body(change): Body<PersonChange>,
) -> Result<Json<AccountView>, Problem> {
    let username = Username::from_text(&username)?;
    let change = PersonalChange { name: read(change.name)?, email: read(change.email)?, phone: read(change.phone)? };
    person::set(&state.provision, &request, username.clone(), change).await?;
    shown(&state, &request, &username, Wanted::Person).await
}

/// Reads a field that is to become something else; absent, null and a value stay three things.
#[expect(clippy::option_option, reason = "absent, null, and a value are three things")]
fn read<T: FromText>(field: Option<Option<String>>) -> Result<Option<Option<T>>, Problem> {
    field.map(|field| field.as_deref().map(T::from_text).transpose()).transpose()
}

/// Mark a person inactive, with all of its proxy users (P13)
#[utoipa::path(post, path = "/v1/people/{username}/inactivate", tag = "people", params(("username" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn inactivate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AccountView>, Problem> {
    let username = Username::from_text(&username)?;
    person::inactivate(&state.provision, &request, username.clone()).await?;
    shown(&state, &request, &username, Wanted::Person).await
}

/// Mark a person active
#[utoipa::path(post, path = "/v1/people/{username}/activate", tag = "people", params(("username" = String, Path)),
    responses((status = 200, body = AccountView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn activate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<AccountView>, Problem> {
    let username = Username::from_text(&username)?;
    person::activate(&state.provision, &request, username.clone()).await?;
    shown(&state, &request, &username, Wanted::Person).await
}

/// Delete a person, with all of its proxy users (P12, P13)
#[utoipa::path(delete, path = "/v1/people/{username}", tag = "people", params(("username" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn delete(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<StatusCode, Problem> {
    person::delete(&state.provision, &request, Username::from_text(&username)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
