//! Which gateway is meant: by configuration, by state folder, by the environment, or the development
//! gateway of this folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::arguments::Global;
use super::exit::Failure;
use super::over_network::Server;
use crate::config::{self, LoadError, Purpose, Settings};
use crate::server::dev::is_ours;

/// The variable that names a running gateway's socket.
const SOCKET_VARIABLE: &str = "LOCUM_ADMIN_SOCKET";
/// The state folder that `locum serve --dev` makes where it is started.
pub(super) const DEVELOPMENT_FOLDER: &str = "locum-dev";
/// The configuration inside a state folder.
const STATE_CONFIGURATION: &str = "locum.toml";

/// The gateway that is meant.
#[derive(Debug)]
pub(super) enum Meant {
    /// By its socket alone: it has to run.
    Socket(PathBuf),
    /// By the URL of its admin API.
    Server(Box<Server>),
    /// By its configuration: where it does not run, the store can be opened.
    Configured(Box<Settings>),
}

/// Finds out which gateway is meant. Options win over the environment.
pub(super) fn meant(global: &Global) -> Result<Meant, Failure> {
    if let Some(url) = &global.server {
        return Ok(Meant::Server(Box::new(Server::parse(url, global.ca_file.as_deref())?)));
    }
    if let Some(file) = configuration(global)? {
        return Ok(Meant::Configured(Box::new(load(&file, Purpose::Administer)?)));
    }
    if let Some(socket) = std::env::var_os(SOCKET_VARIABLE).filter(|value| !value.is_empty()) {
        return Ok(Meant::Socket(socket.into()));
    }
    let development = Path::new(DEVELOPMENT_FOLDER).join(STATE_CONFIGURATION);
    if development.exists() {
        // Found, not named: in a place where everybody can make folders it may be somebody else's.
        if !is_ours(Path::new(DEVELOPMENT_FOLDER)).map_err(Failure::failed)? {
            return Err(Failure::Failed(format!(
                "the folder `{DEVELOPMENT_FOLDER}` here belongs to another user, or others can write to it: \
                 name it with `--state {DEVELOPMENT_FOLDER}` if you mean it"
            )));
        }
        return Ok(Meant::Configured(Box::new(load(&development, Purpose::Administer)?)));
    }
    Err(Failure::Usage(format!(
        "which gateway is meant? Name it with `--config FILE` or `--state DIR`, set `{SOCKET_VARIABLE}`, \
         or start one here with `locum serve --dev`"
    )))
}

/// The configuration file that the options name.
fn configuration(global: &Global) -> Result<Option<PathBuf>, Failure> {
    if let Some(file) = &global.config {
        return Ok(Some(file.clone()));
    }
    let Some(folder) = &global.state else { return Ok(None) };
    let file = folder.join(STATE_CONFIGURATION);
    if file.exists() {
        return Ok(Some(file));
    }
    Err(Failure::Failed(format!(
        "`{folder}` is no state folder: it has no `{STATE_CONFIGURATION}`; `locum serve --dev --state {folder}` makes one",
        folder = folder.display()
    )))
}

/// Loads a configuration with the overrides of the environment.
pub(super) fn load(file: &Path, purpose: Purpose) -> Result<Settings, Failure> {
    config::load(file, environment(), purpose).map_err(|error| match error {
        LoadError::Invalid(problems) | LoadError::Fixed(problems) => Failure::Configuration(problems.to_string()),
        error @ (LoadError::Missing(_) | LoadError::Unreadable { .. }) => Failure::Configuration(error.to_string()),
    })
}

/// The program's environment, for the overrides of the configuration.
pub(super) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}
