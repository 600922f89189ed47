//! What an account can hold: a role, or access to an app (R8). One concept, so that the cap by the
//! owner and the cascade are one rule and access to an app cannot escape it.

use std::fmt;

use super::{AppName, RoleName};

/// A thing that is granted, removed, copied and inherited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holding {
    App(AppName),
    Role(RoleName),
}

impl Holding {
    /// The stored and shown text: `app:NAME` or `role:NAME`.
    pub fn to_stored(&self) -> String {
        self.to_string()
    }

    /// Reads what [`Holding::to_stored`] wrote.
    pub fn from_stored(text: &str) -> Option<Self> {
        if let Some(role) = text.strip_prefix("role:") {
            return RoleName::parse(role).ok().map(Self::Role);
        }
        AppName::parse(text.strip_prefix("app:")?).ok().map(Self::App)
    }

    /// The app that has to be accessible for this to mean anything: the app itself, or the app of an
    /// app role. `None` for a system role.
    pub const fn app(&self) -> Option<&AppName> {
        match self {
            Self::App(app) => Some(app),
            Self::Role(role) => role.app(),
        }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => write!(f, "app:{app}"),
            Self::Role(role) => write!(f, "role:{role}"),
        }
    }
}
