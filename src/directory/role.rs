//! Roles and the permissions in them (R6, decision: a system role is `NAME`, an app's is `APP/NAME`).

use std::fmt;

use super::AppName;

/// The name of a role: `NAME` for the whole installation, `APP/NAME` for one app. `NAME` is 1–64 of
/// `A–Z a–z 0–9 . _ -`, so that a comma-separated header of roles cannot be misread.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName {
    app: Option<AppName>,
    full: Box<str>,
}

/// Why a text does not name a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a role: use `NAME` or `APP/NAME`, NAME being 1 to 64 of `A-Z a-z 0-9 . _ -`")]
pub struct RoleNameError(pub String);

impl RoleName {
    /// The only way to a role's name.
    ///
    /// # Errors
    /// When the text has another shape.
    pub fn parse(text: &str) -> Result<Self, RoleNameError> {
        let refuse = || RoleNameError(text.chars().take(128).flat_map(char::escape_debug).collect());
        let (app, name) = match text.split_once('/') {
            None => (None, text),
            Some((app, name)) => (Some(AppName::parse(app).map_err(|_| refuse())?), name),
        };
        if !is_plain_name(name) {
            return Err(refuse());
        }
        Ok(Self { app, full: text.into() })
    }

    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The app that the role belongs to; `None` for a system role.
    pub const fn app(&self) -> Option<&AppName> {
        self.app.as_ref()
    }
}

fn is_plain_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.full, f)
    }
}

/// The namespaces of permissions that are no app's.
const NAMESPACES: [&str; 4] = ["general", "global", "cost-centre", "notification"];

/// One permission: `NAMESPACE:NAME`, the namespace being `general`, `global`, `cost-centre`,
/// `notification` or an app's name (R6). `role:ROLE` is implied by holding the role and cannot be put
/// into one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Box<str>);

/// Why a text is not a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    #[error(
        "`{0}` is not a permission: write `NAMESPACE:NAME`, the namespace being `general`, `global`, `cost-centre`, `notification` or an app"
    )]
    Shape(String),
    #[error("`{0}` is implied by holding the role and cannot be put into one")]
    Implied(String),
}

impl Permission {
    /// Reads a permission that can be put into a role.
    ///
    /// # Errors
    /// When the text has another shape, or names a role.
    pub fn parse(text: &str) -> Result<Self, PermissionError> {
        let shown = || text.chars().take(128).flat_map(char::escape_debug).collect::<String>();
        let (namespace, name) = text.split_once(':').ok_or_else(|| PermissionError::Shape(shown()))?;
        if namespace == "role" {
            return Err(PermissionError::Implied(shown()));
        }
        if AppName::parse(namespace).is_err() || !is_plain_name(name) {
            return Err(PermissionError::Shape(shown()));
        }
        Ok(Self(text.into()))
    }

    /// The permission `role:ROLE` that a role always implies.
    pub fn implied_by(role: &RoleName) -> Self {
        Self(format!("role:{role}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The app whose permission this is; `None` for one of the general namespaces.
    pub fn app(&self) -> Option<AppName> {
        if NAMESPACES.contains(&self.namespace()) { None } else { AppName::parse(self.namespace()).ok() }
    }

    /// The part before the colon.
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(namespace, _)| namespace)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
