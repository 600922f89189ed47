//! Proving the history: verification, checkpoints, export; and moving old entries out of it.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::admin::AdminState;
use crate::admin::extract::{Asked, Asking, Body as Read};
use crate::admin::problem::Problem;
use crate::admin::shape::{AuditKeyView, AuditView, AuditWish, CheckpointView, TrimView, TrimWish};
use crate::clock::Timestamp;
use crate::history::checkpoint::{PublicKey, Signed};
use crate::provision::{Request, reading, retention};

/// Follow the chain of the whole history (H5)
#[utoipa::path(get, path = "/v1/audit", tag = "history",
    responses((status = 200, body = AuditView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn verify(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<AuditView>, Problem> {
    follow(&state, &request, AuditWish::default()).await
}

/// Follow the chain, and compare it with checkpoints that were kept elsewhere (H5)
#[utoipa::path(post, path = "/v1/audit", tag = "history", request_body = AuditWish,
    responses((status = 200, body = AuditView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn verify_by(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Read(wish): Read<AuditWish>,
) -> Result<Json<AuditView>, Problem> {
    follow(&state, &request, wish).await
}

async fn follow(state: &AdminState, request: &Request, wish: AuditWish) -> Result<Json<AuditView>, Problem> {
    let key = wish.public_key.as_deref().map(public_key).transpose()?;
    let checkpoints: Result<Vec<Signed>, _> = wish.checkpoints.into_iter().map(Signed::try_from).collect();
    let checkpoints = checkpoints.map_err(|why| Problem::invalid(format!("a checkpoint cannot be read: {why}")))?;
    let audit = reading::audit(&state.provision, request, &checkpoints, key).await?;
    Ok(Json(AuditView {
        whole: audit.broken.is_none(),
        entries: audit.head.sequence,
        begins_after: audit.begins_after.sequence,
        begins_after_hash: audit.begins_after.hash.to_string(),
        head: audit.head.hash.to_string(),
        checkpoints: audit.checkpoints,
        broken: audit.broken,
    }))
}

fn public_key(text: &str) -> Result<PublicKey, Problem> {
    PublicKey::parse(text).ok_or_else(|| Problem::invalid("`public_key` has to be 64 hexadecimal digits"))
}

/// Where the history stands, signed, to be kept elsewhere (H5)
#[utoipa::path(get, path = "/v1/audit/checkpoint", tag = "history",
    responses((status = 200, body = CheckpointView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn checkpoint(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<CheckpointView>, Problem> {
    Ok(Json((&reading::checkpoint(&state.provision, &request).await?).into()))
}

/// The public key that signatures of this installation are checked with (H5)
#[utoipa::path(get, path = "/v1/audit/key", tag = "history",
    responses((status = 200, body = AuditKeyView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn key(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<AuditKeyView>, Problem> {
    let (installation, public_key, begins_after) = reading::audit_key(&state.provision, &request).await?;
    Ok(Json(AuditKeyView {
        installation: installation.to_string(),
        public_key: public_key.to_string(),
        begins_after: begins_after.sequence,
    }))
}

/// Move old entries to the archive, or say which would be (H7)
#[utoipa::path(post, path = "/v1/audit/trim", tag = "history", request_body = TrimWish,
    responses((status = 200, body = TrimView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn trim(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Read(wish): Read<TrimWish>,
) -> Result<Json<TrimView>, Problem> {
    let before = wish.before.as_deref().map(Timestamp::parse).transpose().map_err(Problem::invalid)?;
    let dry_run = wish.dry_run;
    let trimmed = retention::trim(&state.provision, &request, retention::Wish { before, dry_run }).await?;
    Ok(Json(TrimView {
        dry_run,
        before: trimmed.before.to_string(),
        from: trimmed.from,
        entries: trimmed.entries,
        files: trimmed.files.iter().map(|file| file.display().to_string()).collect(),
    }))
}

/// Where an export begins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct ExportQuery {
    /// The number of the first entry; that of the first one that is kept when not said.
    from: Option<u64>,
}

/// The whole history as JSON Lines, its end signed (H5)
#[utoipa::path(get, path = "/v1/audit/export", tag = "history", params(ExportQuery), responses(
    (status = 200, body = String, content_type = "application/x-ndjson"), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn export(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Asking(query): Asking<ExportQuery>,
) -> Result<Response, Problem> {
    let export = reading::export(&state.provision, &request, query.from).await?;
    let pages = stream::try_unfold(export, async |mut export| {
        Ok::<_, crate::provision::Error>(export.next().await?.map(|lines| (lines, export)))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response())
}
