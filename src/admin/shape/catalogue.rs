//! Roles, reasons and apps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role to be defined.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// `NAME` for the whole installation, `APP/NAME` for one app.
    pub name: String,
    /// `NAMESPACE:NAME` each.
    #[serde(default)]
    pub permissions: Vec<String>,
}

/// What a role is to contain from now on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleContents {
    /// All of its permissions, `NAMESPACE:NAME` each.
    pub permissions: Vec<String>,
}

/// One role in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleSummary {
    pub name: String,
    /// The app that it belongs to; `null` for a system role.
    pub app: Option<String>,
    pub permissions: Vec<String>,
}

/// All roles, by name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RoleList {
    pub roles: Vec<RoleSummary>,
}

/// One role with those who hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoleView {
    pub name: String,
    /// The app that it belongs to; `null` for a system role.
    pub app: Option<String>,
    /// What was put into it; `role:NAME` is implied and not listed.
    pub permissions: Vec<String>,
    /// Usernames.
    pub holders: Vec<String>,
}

/// Whose roles are to be copied.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyRoles {
    /// The username of the account whose roles are copied.
    pub from: String,
}

/// A reason to be added to the code table.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReason {
    /// A letter, then up to 47 of `a-z 0-9 _`.
    pub code: String,
    /// What it means, 1–200 characters.
    pub text: String,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonView {
    pub code: String,
    pub text: String,
}

/// The code table.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReasonList {
    pub reasons: Vec<ReasonView>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppView {
    pub name: String,
    /// Whether it stands in the configuration now.
    pub enabled: bool,
}

/// All apps that were ever configured.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AppList {
    pub apps: Vec<AppView>,
}
