//! Accounts: people and proxy users.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::LegacyNameView;

/// A person to be added.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// 1–64 of `A–Z a–z 0–9 . _ - @ +`.
    pub username: String,
    /// Roles to hold from the start.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What people call this person: 1–200 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// An email address, which nobody else here has.
    #[serde(default)]
    pub email: Option<String>,
    /// A phone number: `+` and 7–15 digits.
    #[serde(default)]
    pub phone: Option<String>,
}

/// What is to become of what is known of a person. A field that is absent stays, one that is `null` is taken away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonChange {
    /// What people call this person: 1–200 characters.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Option<String>>,
    /// An email address, which nobody else here has.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub email: Option<Option<String>>,
    /// A phone number: `+` and 7–15 digits.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub phone: Option<Option<String>>,
}

/// Tells a field that is `null` from one that is absent.
#[expect(clippy::option_option, reason = "absent, null, and a value are three things")]
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A proxy user to be added.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProxyUser {
    /// 1–64 of `A–Z a–z 0–9 . _ - @ +`.
    pub username: String,
    /// The username of the person that it belongs to.
    pub owner: String,
    /// Networks that it may be used from, `ADDRESS/BITS`; from everywhere when empty.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// Where a proxy user may be used from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountNetworks {
    /// Networks, `ADDRESS/BITS`; from everywhere when empty.
    pub networks: Vec<String>,
}

/// One account in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountSummary {
    pub username: String,
    /// What people call a person; `null` when it is not known.
    pub name: Option<String>,
    /// The email address of a person; `null` when it is not known.
    pub email: Option<String>,
    /// `person` or `proxy`.
    pub kind: String,
    /// `active` or `inactive`.
    pub state: String,
    /// The owner of a proxy user; `null` for a person.
    pub owner: Option<String>,
    pub created_at: String,
}

/// A page of accounts, by username.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountPage {
    pub accounts: Vec<AccountSummary>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}

/// One account with what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    pub username: String,
    /// The account's id, which the history keeps when the account is deleted.
    pub id: String,
    /// What people call a person; `null` when it is not known.
    pub name: Option<String>,
    /// The email address of a person; `null` when it is not known.
    pub email: Option<String>,
    /// The phone number of a person; `null` when it is not known.
    pub phone: Option<String>,
    /// What a person is called in apps, by app.
    pub legacy_names: Vec<LegacyNameView>,
    /// `person` or `proxy`.
    pub kind: String,
    /// `active` or `inactive`.
    pub state: String,
    /// Since when, by whom and why it is inactive; `null` while it is active.
    pub inactive: Option<Inactivity>,
    /// The owner of a proxy user; `null` for a person.
    pub owner: Option<String>,
    /// The roles that it holds.
    pub roles: Vec<String>,
    /// The apps that it has access to.
    pub apps: Vec<String>,
    /// The proxy users of a person.
    pub proxy_users: Vec<String>,
    /// The networks that it may be used from; from everywhere when empty.
    pub networks: Vec<String>,
    pub created_at: String,
}

/// Since when, by whom and why an account is inactive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inactivity {
    pub at: String,
    /// `locum`, `host:USER` or a username.
    pub by: String,
    /// A code such as `marked_inactive`, `owner_inactivated`, `failed_attempts`.
    pub reason: String,
}
