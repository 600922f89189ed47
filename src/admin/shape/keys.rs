//! The keys that have versions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which keys get a new version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// `master`, `pepper`, or both.
    pub keys: Vec<String>,
}

/// Which versions are in force, and what is under which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeysView {
    pub master: VersionedKeyView,
    pub pepper: PepperView,
}

/// The master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionedKeyView {
    /// The version in force; `null` when there is no master key.
    pub version: Option<u32>,
    /// How many data keys are wrapped under which version.
    pub data_keys: Vec<VersionUse>,
    /// How many of them are under older versions, and move by themselves. An older version is needed until this is 0.
    pub to_move: u64,
}

/// The pepper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PepperView {
    pub version: u32,
    /// How many tokens that are not revoked are hashed under which version. A token moves when it is used.
    pub tokens: Vec<VersionUse>,
}

/// How much is under a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionUse {
    pub version: u32,
    pub count: u64,
}
