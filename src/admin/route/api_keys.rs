//! Keys of the admin API. The secret stands in one answer, once.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{page_size, pats};
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Asking, Body, FromText, Named, idempotency_key};
use crate::admin::problem::Problem;
use crate::admin::shape::{ApiKeyPage, ApiKeyView, MadeApiKey, NewApiKey, Revocation, RevokeApiKey};
use crate::clock::Timestamp;
use crate::directory::api_key::{ApiKey, KeyState, Scopes};
use crate::directory::{PublicId, ReasonCode, Username};
use crate::provision::api_key::{self, Made, Wish};
use crate::provision::reading::{self, Names};

/// Which keys are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct ApiKeyQuery {
    /// Only those that act as this person.
    person: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 1000; 100 when not said.
    limit: Option<u32>,
}

/// List the keys of the admin API
#[utoipa::path(get, path = "/v1/api-keys", tag = "api keys", params(ApiKeyQuery),
    responses((status = 200, body = ApiKeyPage), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Asking(query): Asking<ApiKeyQuery>,
) -> Result<Json<ApiKeyPage>, Problem> {
    let size = page_size(query.limit)?;
    let person = query.person.as_deref().map(Username::from_text).transpose()?;
    let after = query.cursor.as_deref().map(PublicId::from_text).transpose()?;
    // One more than asked for, to know whether there is a next page.
    let (mut keys, names) = reading::api_keys(&state.provision, &request, person, after, size + 1).await?;
    let more = keys.len() > size as usize;
    keys.truncate(size as usize);
    let next = keys.last().filter(|_| more).map(|last| last.public_id.to_string());
    let now = state.provision.clock().now();
    Ok(Json(ApiKeyPage { keys: keys.iter().map(|key| view(key, &names, now)).collect(), next }))
}

/// Make a key of the admin API (A6)
///
/// It is usable at once, acts as the person who asks, and does no more than its scopes and this person's grade allow.
/// Its secret stands in this answer and in no other: a request that is repeated under its `Idempotency-Key` is answered
/// 200, without it. The host shell names the person that the key acts as. A key makes no keys.
#[utoipa::path(post, path = "/v1/api-keys", tag = "api keys", request_body = NewApiKey,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = MadeApiKey), (status = 200, body = ApiKeyView, description = "Made before"),
        (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn add(
    State(state): State<AdminState>,
    Asked(request): Asked,
    headers: HeaderMap,
    Body(new): Body<NewApiKey>,
) -> Result<Response, Problem> {
    let scopes = Scopes::parse(new.scopes.iter().map(String::as_str));
    let wish = Wish {
        person: new.person.as_deref().map(Username::from_text).transpose()?,
        name: new.name,
        scopes: scopes.map_err(|error| Problem::invalid(error.to_string()))?,
        life: Duration::from_secs(new.life_seconds),
        idempotency_key: idempotency_key(&headers)?,
    };
    let Made { key, token } = api_key::add(&state.provision, &request, wish).await?;
    let (key, names) = reading::api_key(&state.provision, &request, key.public_id).await?;
    let view = view(&key, &names, state.provision.clock().now());
    Ok(match token {
        Some(token) => pats::with_secret(&view, &token),
        None => (StatusCode::OK, Json(view)).into_response(),
    })
}

/// Show a key
#[utoipa::path(get, path = "/v1/api-keys/{public_id}", tag = "api keys", params(("public_id" = String, Path)),
    responses((status = 200, body = ApiKeyView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(public_id): Named<String>,
) -> Result<Json<ApiKeyView>, Problem> {
    let (key, names) = reading::api_key(&state.provision, &request, public_id_of(&public_id)?).await?;
    Ok(Json(view(&key, &names, state.provision.clock().now())))
}

/// Revoke a key (A6)
#[utoipa::path(post, path = "/v1/api-keys/{public_id}/revoke", tag = "api keys", params(("public_id" = String, Path)),
    request_body = RevokeApiKey,
    responses((status = 200, body = ApiKeyView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn revoke(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(public_id): Named<String>,
    Body(revoke): Body<RevokeApiKey>,
) -> Result<Response, Problem> {
    let (public_id, reason) = (public_id_of(&public_id)?, ReasonCode::from_text(&revoke.reason)?);
    api_key::revoke(&state.provision, &request, public_id, reason).await?;
    let (key, names) = reading::api_key(&state.provision, &request, public_id).await?;
    Ok(Json(view(&key, &names, state.provision.clock().now())).into_response())
}

fn public_id_of(text: &str) -> Result<PublicId, Problem> {
    let words = "a public id has 12 letters and digits: `locum api-key list` shows them";
    PublicId::parse(text).ok_or_else(|| Problem::invalid(words))
}

fn view(key: &ApiKey, names: &Names, now: Timestamp) -> ApiKeyView {
    ApiKeyView {
        public_id: key.public_id.to_string(),
        name: key.name.clone(),
        person: names.of(key.account),
        state: key.standing(now).slug().to_owned(),
        scopes: key.scopes.iter().map(|scope| scope.to_string()).collect(),
        created_at: key.created_at.to_string(),
        created_by: names.of_actor(&key.created_by),
        expires_at: key.expires_at.to_string(),
        last_used_at: key.last_used_at.map(|at| at.to_string()),
        revoked: match &key.state {
            KeyState::Active => None,
            KeyState::Revoked { at, by, reason } => {
                Some(Revocation { at: at.to_string(), by: names.of_actor(by), reason: reason.to_string() })
            }
        },
    }
}
