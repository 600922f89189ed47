//! Keys of the admin API.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PresentedToken, Revocation};

/// A key to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// The service or process that will use it, 1–200 characters.
    pub name: String,
    /// The username of the administrator that it acts as; only the host shell names somebody. Who asks, when absent.
    #[serde(default)]
    pub person: Option<String>,
    /// `AREA:read` or `AREA:write`; `all` stands for every area.
    pub scopes: Vec<String>,
    /// How long it lives, at most 365 days.
    pub life_seconds: u64,
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyView {
    pub public_id: String,
    pub name: String,
    /// The person that it acts as.
    pub person: String,
    /// `usable`, `expired` or `revoked`.
    pub state: String,
    pub scopes: Vec<String>,
    pub created_at: String,
    pub created_by: String,
    pub expires_at: String,
    /// Noted once a minute at most.
    pub last_used_at: Option<String>,
    pub revoked: Option<Revocation>,
}

/// A key that was just made. The secret stands in this answer and in no other.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MadeApiKey {
    #[serde(flatten)]
    pub key: ApiKeyView,
    /// Absent when the request was repeated.
    #[schema(value_type = Option<String>)]
    pub token: Option<PresentedToken>,
}

/// Why a key is revoked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeApiKey {
    /// A code of the table of reasons.
    pub reason: String,
}

/// A page of keys, by public id.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyPage {
    pub keys: Vec<ApiKeyView>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}
