//! Legacy names: what people are called in apps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person is called in one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LegacyNameView {
    pub app: String,
    pub name: String,
}

/// What a person is called in an app from now on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkLegacyName {
    /// 1–200 characters, compared exactly; nobody else is called so in this app.
    pub name: String,
}

/// Names for the list of an app.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportLegacyNames {
    /// As many as the body holds, and at most 10,000.
    pub names: Vec<String>,
}

/// What came of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedLegacyNames {
    pub added: usize,
    /// Those that stood in the list already, or are somebody's.
    pub known: usize,
}

/// What is found in the list of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundLegacyNames {
    /// The name that was asked for, where it stands in the list and belongs to nobody.
    pub names: Vec<String>,
    /// How many names stand in the list and belong to nobody.
    pub free: u64,
}
