//! Personal access tokens. The secret stands in one answer, once, in a buffer that is wiped.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use zeroize::Zeroizing;

use super::show;
use crate::admin::AdminState;
use crate::admin::extract::{Asked, Body, FromText, Named, all_from_text, idempotency_key};
use crate::admin::problem::Problem;
use crate::admin::shape::{CheckPat, CheckedPat, MadePat, NewPat, PatList, PatView, RevokePat, RotatePat};
use crate::authn::{self, Checked, Report};
use crate::directory::pat::Standing;
use crate::directory::rights::{Operation, Subject};
use crate::directory::{PublicId, ReasonCode, Restrictions, Token, Username};
use crate::provision::pat::{self, Made, Rotation, Wish};
use crate::provision::{Error, Request, reading};

/// List the tokens of a proxy user
#[utoipa::path(get, path = "/v1/proxy-users/{username}/pats", tag = "tokens", params(("username" = String, Path)),
    responses((status = 200, body = PatList), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
) -> Result<Json<PatList>, Problem> {
    let username = Username::from_text(&username)?;
    let (pats, names) = reading::pats(&state.provision, &request, &username).await?;
    let now = state.provision.clock().now();
    Ok(Json(PatList { pats: pats.iter().map(|pat| show::pat(pat, &names, now)).collect() }))
}

/// Make a token (T1–T3)
///
/// The token is pending until it is confirmed. Its secret stands in this answer and in no other: a
/// request that is repeated under its `Idempotency-Key` is answered 200, without it.
#[utoipa::path(post, path = "/v1/proxy-users/{username}/pats", tag = "tokens", request_body = NewPat,
    params(("username" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = MadePat), (status = 200, body = PatView, description = "Made before"),
        (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn add(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(username): Named<String>,
    headers: HeaderMap,
    Body(new): Body<NewPat>,
) -> Result<Response, Problem> {
    let wish = Wish {
        account: Username::from_text(&username)?,
        service: new.service,
        life: new.life_seconds.map(Duration::from_secs),
        restrictions: Restrictions {
            networks: all_from_text(&new.networks)?,
            apps: all_from_text(&new.apps)?,
            read_only: new.read_only,
        },
        idempotency_key: idempotency_key(&headers)?,
    };
    let made = pat::add(&state.provision, &request, wish).await?;
    answer(&state, &request, made).await
}

/// Make a token that takes the place of another (T7)
///
/// It is for the same service, with the same restrictions, and pending until it is confirmed. From then on both are
/// valid until the overlap is over. Its secret stands in this answer and in no other.
#[utoipa::path(post, path = "/v1/pats/{public_id}/rotate", tag = "tokens", request_body = RotatePat,
    params(("public_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = MadePat), (status = 200, body = PatView, description = "Made before"),
        (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn rotate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(public_id): Named<String>,
    headers: HeaderMap,
    Body(asked): Body<RotatePat>,
) -> Result<Response, Problem> {
    let rotation = Rotation {
        of: PublicId::from_text(&public_id)?,
        overlap: Duration::from_secs(asked.overlap_seconds),
        silence: asked.silence_seconds.map(Duration::from_secs),
        life: asked.life_seconds.map(Duration::from_secs),
        idempotency_key: idempotency_key(&headers)?,
    };
    let made = pat::rotate(&state.provision, &request, rotation).await?;
    answer(&state, &request, made).await
}

async fn answer(state: &AdminState, request: &Request, made: Made) -> Result<Response, Problem> {
    let view = view(state, request, made.pat.public_id).await?;
    Ok(match made.token {
        Some(token) => with_secret(&view, &token),
        None => (StatusCode::OK, Json(view)).into_response(),
    })
}

/// The one kind of body that holds a secret. The buffer is wiped once it is sent.
pub(super) fn with_secret(view: &impl Serialize, token: &Token) -> Response {
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    let written = serde_json::to_writer(&mut *body, view);
    if written.is_err() || body.pop() != Some(b'}') {
        return Problem::panicked().into_response();
    }
    // A token is ASCII letters, digits and `_`: nothing in it has to be escaped.
    body.extend_from_slice(b",\"token\":\"");
    body.extend_from_slice(token.expose().as_bytes());
    body.extend_from_slice(b"\"}");
    let mut response = (StatusCode::CREATED, Bytes::from_owner(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Show a token
#[utoipa::path(get, path = "/v1/pats/{public_id}", tag = "tokens", params(("public_id" = String, Path)),
    responses((status = 200, body = PatView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(public_id): Named<String>,
) -> Result<Json<PatView>, Problem> {
    Ok(Json(view(&state, &request, PublicId::from_text(&public_id)?).await?))
}

/// Confirm that a token's secret was copied (T3)
#[utoipa::path(post, path = "/v1/pats/{public_id}/confirm", tag = "tokens", params(("public_id" = String, Path)),
    responses((status = 200, body = PatView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn confirm(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(public_id): Named<String>,
) -> Result<Json<PatView>, Problem> {
    let public_id = PublicId::from_text(&public_id)?;
    pat::confirm(&state.provision, &request, public_id).await?;
    Ok(Json(view(&state, &request, public_id).await?))
}

/// Revoke a token (T6)
#[utoipa::path(post, path = "/v1/pats/{public_id}/revoke", tag = "tokens", params(("public_id" = String, Path)),
    request_body = RevokePat,
    responses((status = 200, body = PatView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn revoke(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(public_id): Named<String>,
    Body(revoke): Body<RevokePat>,
) -> Result<Json<PatView>, Problem> {
    let (public_id, reason) = (PublicId::from_text(&public_id)?, ReasonCode::from_text(&revoke.reason)?);
    pat::revoke(&state.provision, &request, public_id, reason).await?;
    Ok(Json(view(&state, &request, public_id).await?))
}

async fn view(state: &AdminState, request: &Request, public_id: PublicId) -> Result<PatView, Problem> {
    let (pat, names) = reading::pat(&state.provision, request, public_id).await?;
    Ok(show::pat(&pat, &names, state.provision.clock().now()))
}

/// Check a token without using it (T13)
#[utoipa::path(post, path = "/v1/pats/check", tag = "tokens", request_body = CheckPat,
    responses((status = 200, body = CheckedPat), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn check(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Body(asked): Body<CheckPat>,
) -> Result<Json<CheckedPat>, Problem> {
    let everybody = Operation::SeeAccount { subject: Subject::Everybody };
    reading::demand(&state.provision, &request, &everybody, "pat_check").await?;
    let from = asked.from.as_deref().map(address).transpose()?;
    let provision = &state.provision;
    let settings = provision.settings();
    let now = provision.clock().now();
    let checked =
        authn::check(provision.store(), provision.peppers(), &settings.prefix, asked.token.expose(), from, now);
    Ok(Json(match checked.await.map_err(Error::from)? {
        Checked::Unknown => unknown(),
        Checked::Known(report) => known(*report),
    }))
}

fn address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| Problem::invalid("`from` has to be an IP address, such as `10.1.2.3` or `2001:db8::1`"))
}

/// One answer for a wrong secret, an unknown token and what is no token.
fn unknown() -> CheckedPat {
    CheckedPat {
        state: "unknown".to_owned(),
        accepted: false,
        public_id: None,
        account: None,
        owner: None,
        service: None,
        expires_at: None,
        days_left: None,
        apps: Vec::new(),
        roles: Vec::new(),
        read_only: false,
    }
}

fn known(report: Report) -> CheckedPat {
    let state = match report.standing {
        Standing::Usable if !report.account_active => "account_inactive",
        Standing::Usable if !report.owner_active => "owner_inactive",
        Standing::Usable if !report.source_allowed => "outside_networks",
        standing => standing.slug(),
    };
    CheckedPat {
        state: state.to_owned(),
        accepted: report.usable,
        public_id: Some(report.public_id.to_string()),
        account: Some(report.account.to_string()),
        owner: report.owner.map(|owner| owner.to_string()),
        service: Some(report.service),
        expires_at: Some(report.expires_at.to_string()),
        days_left: Some(report.days_left),
        apps: report.apps.iter().map(ToString::to_string).collect(),
        roles: report.roles.iter().map(ToString::to_string).collect(),
        read_only: report.read_only,
    }
}
