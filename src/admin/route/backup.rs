//! A copy of the embedded database, and revoking every token after one was restored.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use futures_util::stream;
use http::header;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::admin::AdminState;
use crate::admin::extract::{Asked, Body as Read, FromText as _};
use crate::admin::problem::Problem;
use crate::admin::shape::{RevokeAllPats, RevokedPats};
use crate::directory::ReasonCode;
use crate::provision::{backup, pat};

/// So much is read at once.
const PIECE: usize = 64 * 1024;

/// A copy of the embedded database, as it is at one moment while the gateway serves (C5)
#[utoipa::path(post, path = "/v1/backup", tag = "gateway", responses(
    (status = 200, body = String, content_type = "application/vnd.sqlite3"), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn take(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Response, Problem> {
    let file = File::from_std(backup::take(&state.provision, &request).await?);
    let pieces = stream::try_unfold(file, async |mut file| {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (piece.freeze(), file)))
    });
    Ok(([(header::CONTENT_TYPE, "application/vnd.sqlite3")], Body::from_stream(pieces)).into_response())
}

/// Revoke every token of everybody
#[utoipa::path(post, path = "/v1/pats/revoke-all", tag = "tokens", request_body = RevokeAllPats,
    responses((status = 200, body = RevokedPats), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn revoke_all_pats(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Read(asked): Read<RevokeAllPats>,
) -> Result<Json<RevokedPats>, Problem> {
    let reason = ReasonCode::from_text(&asked.reason)?;
    let revoked = pat::revoke_all(&state.provision, &request, &reason).await?;
    Ok(Json(RevokedPats { revoked }))
}
