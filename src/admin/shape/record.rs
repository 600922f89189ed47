//! The history, and health.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One action in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryView {
    /// From 1, without gaps.
    pub sequence: u64,
    pub at: String,
    /// A slug such as `roles_changed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether something changed with it.
    pub changed: bool,
    /// `locum`, `host:USER` or a username.
    pub actor: String,
    /// Which rule made Locum act, or who asked for a deletion.
    pub cause: Option<String>,
    pub on_behalf_of: Option<String>,
    /// The account that it was done to: its username, or its id once it is deleted.
    pub target: Option<String>,
    /// What else it was done to: a token's public id, a role, an app, a reason.
    pub object: Option<String>,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub details: Vec<FieldChange>,
}

/// What was before and after of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// A page of the history, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EntryPage {
    pub entries: Vec<EntryView>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}

/// Whether the gateway is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `ok`, or `degraded` when something works by a second way.
    pub status: String,
    pub version: String,
    /// Since when this process serves.
    pub since: String,
    /// What is degraded, in words.
    pub notes: Vec<String>,
}

/// What came of reading the configuration again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadedView {
    /// `taken_up`: the next request of every connection goes by it.
    pub outcome: String,
}

/// A restart has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestartingView {
    /// Since when the process serves that ends now; the health of the next one names another instant.
    pub since: String,
}
