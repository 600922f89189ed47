//! Apps: one web application behind the gateway, known here by its name in the configuration.

use std::fmt;

/// The name of an app: `[a-z][a-z0-9-]{0,31}`, as in `[apps.NAME]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName(Box<str>);

/// Why a text does not name an app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name an app: use a letter, then up to 31 of `a-z 0-9 -`")]
pub struct AppNameError(pub String);

impl AppName {
    /// The only way to an app's name.
    ///
    /// # Errors
    /// When the text has another shape.
    pub fn parse(text: &str) -> Result<Self, AppNameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        if starts_well && text.len() <= 32 && text.chars().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(AppNameError(text.chars().take(64).flat_map(char::escape_debug).collect()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
