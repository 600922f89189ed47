//! What the tunnels of one app are held to.

use std::time::Duration;

use super::Origin;

/// Of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelSettings {
    /// How long both sides may be silent.
    pub idle: Duration,
    /// Pages elsewhere that may open a tunnel with a caller's credential.
    pub allowed_origins: Vec<Origin>,
}

impl Default for TunnelSettings {
    fn default() -> Self {
        Self { idle: Duration::from_hours(1), allowed_origins: Vec::new() }
    }
}
