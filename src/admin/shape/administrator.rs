//! Those who run Locum, and what one person may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person to be made an administrator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdministrator {
    /// The username of the person.
    pub username: String,
    /// `administrator` or `super_administrator`.
    pub level: String,
    /// Add the person first; otherwise it has to exist.
    #[serde(default)]
    pub new_person: bool,
}

/// How somebody's administration is ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndAdministration {
    /// Even if it is the last active super administrator; only from the host shell.
    #[serde(default)]
    pub force: bool,
}

/// What one person may do with Locum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdministratorView {
    pub username: String,
    /// Of the account: `active` or `inactive`.
    pub account: String,
    /// `administrator` or `super_administrator`; `null` for who has none.
    pub level: Option<String>,
    /// Of the administration: `active` or `inactive`; `null` without a level. While it is inactive, none of its
    /// rights is in force.
    pub state: Option<String>,
    /// Since when, and by whom, the administration is inactive.
    pub inactive: Option<EndedAdministration>,
    /// The apps that it administers by a right of its own.
    pub apps: Vec<String>,
    /// Rights granted to it as a plain person: `add_proxy_users`, `update_users_and_permissions`.
    pub rights: Vec<String>,
}

/// Since when, and by whom, an administration is inactive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndedAdministration {
    pub at: String,
    /// `locum`, `host:USER` or a username.
    pub by: String,
}

/// A page of administrators, by username.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdministratorPage {
    pub administrators: Vec<AdministratorView>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}
