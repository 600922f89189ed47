//! The keys that have versions.

use axum::Json;
use axum::extract::State;

use crate::admin::AdminState;
use crate::admin::extract::{Asked, Body};
use crate::admin::problem::Problem;
use crate::admin::shape::{KeysView, PepperView, RotateKeys, VersionUse, VersionedKeyView};
use crate::provision::Request;
use crate::provision::keys::{self, Progress, VersionedKey};

/// Show which versions of the keys are in force, and how much is still under older ones
#[utoipa::path(get, path = "/v1/keys", tag = "operation",
    responses((status = 200, body = KeysView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<KeysView>, Problem> {
    shown(&state, &request).await
}

/// Bring new versions of keys into force; what is under older ones is moved in the background (E2)
#[utoipa::path(post, path = "/v1/keys/rotate", tag = "operation", request_body = RotateKeys,
    responses((status = 200, body = KeysView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn rotate(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Body(wish): Body<RotateKeys>,
) -> Result<Json<KeysView>, Problem> {
    let read = |slug: &String| {
        VersionedKey::from_slug(slug)
            .ok_or_else(|| Problem::invalid("`keys` names what is rotated: `master`, `pepper`, or both"))
    };
    let keys: Vec<VersionedKey> = wish.keys.iter().map(read).collect::<Result<_, _>>()?;
    keys::rotate(&state.provision, &request, &keys).await?;
    shown(&state, &request).await
}

async fn shown(state: &AdminState, request: &Request) -> Result<Json<KeysView>, Problem> {
    let Progress { master, data_keys, pepper, tokens } = keys::progress(&state.provision, request).await?;
    let older = data_keys.iter().filter(|used| Some(used.version) != master).map(|used| used.keys).sum();
    let data_keys = data_keys.iter().map(|used| VersionUse { version: used.version.0, count: used.keys }).collect();
    let tokens = tokens.iter().map(|used| VersionUse { version: used.version.0, count: used.tokens }).collect();
    Ok(Json(KeysView {
        master: VersionedKeyView { version: master.map(|version| version.0), data_keys, to_move: older },
        pepper: PepperView { version: pepper.0, tokens },
    }))
}
