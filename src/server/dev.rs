//! `serve --dev`: from an empty machine to the first answer through the gate.
//!
//! A state folder with its own configuration, keys and store; an example app, unless a real one is
//! named; one owner, one proxy user, one PAT; and the line to try. A second start works on what is
//! there: nothing that exists is made again, overwritten or quietly repaired.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::dev_accounts::{Accounts, TokenState};
use super::secrets::{self, SecretsError, replace_private, write_new_private};
use crate::config::settings::{MasterKeySource, SecretsSettings};

/// The person who owns the proxy user.
pub const OWNER: &str = "dana";
/// The proxy user.
pub const USERNAME: &str = "dana-ci";
/// The upstream in the written configuration that stands for the built-in example app.
pub const EXAMPLE_UPSTREAM: &str = "http://example-app.invalid";

/// The configuration of a new state folder. It is the operator's from then on.
const CONFIGURATION: &str = r#"# Written once by `locum serve --dev`. Change it as you like: later starts read it and leave it alone.
# Every key that exists is explained in config/locum.toml.

[server]
listen = "127.0.0.1:8080"

[apps.example]
# This name stands for the example app that `serve --dev` starts by itself. Put a real app here, or
# start with `--upstream URL`.
upstreams = ["http://example-app.invalid"]
# Everybody who is added here may use the app; elsewhere access is given by `locum app grant`.
access_by_default = true

[[apps.example.routes]]
path = "/*"
"#;

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    #[error("the state folder `{}` cannot be used: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("the path of the state folder `{}` is too long for a Unix socket in it: choose a shorter one with `--state`", .0.display())]
    PathTooLong(PathBuf),
    #[error("the state folder `{}` belongs to another user, or others can write to it: what stands in it cannot be trusted; choose another with `--state`, or make it your own (`chown`, `chmod go-w`)", .0.display())]
    NotOurs(PathBuf),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// A state folder that is ready: configuration and keys are there.
#[derive(Debug)]
pub struct StateFolder(PathBuf);

impl StateFolder {
    /// Makes what is missing in `path`.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn prepare(path: &Path, random: impl FnMut(&mut [u8])) -> Result<Self, DevError> {
        let fault = |error| DevError::Folder { path: path.to_owned(), error };
        make_private_folder(path).map_err(fault)?;
        let path = path.canonicalize().map_err(fault)?;
        if !is_ours(&path).map_err(fault)? {
            return Err(DevError::NotOurs(path));
        }
        // The address of a Unix socket holds 108 bytes with the zero at its end.
        if path.join("locum.sock").as_os_str().len() > 107 {
            return Err(DevError::PathTooLong(path));
        }
        write_new_private(&path.join("locum.toml"), CONFIGURATION.as_bytes()).map_err(fault)?;
        let keys = SecretsSettings {
            pepper_file: path.join("pepper"),
            tombstone_key_file: path.join("tombstone.key"),
            history_key_file: path.join("history.key"),
            master_key: MasterKeySource::File(path.join("master.key")),
        };
        secrets::make_missing(&keys, random)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn configuration(&self) -> PathBuf {
        self.0.join("locum.toml")
    }

    /// The file to be sourced; the one place where Locum writes a token down (T4's exception, C3).
    pub fn environment_file(&self) -> PathBuf {
        self.0.join("dev.env")
    }

    /// The token of an earlier start, if the file still has one.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn earlier_token(&self) -> io::Result<Option<zeroize::Zeroizing<String>>> {
        let text = match std::fs::read(self.environment_file()) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&text);
        let token = text.lines().find_map(|line| line.strip_prefix("LOCUM_PAT="));
        Ok(token.filter(|token| !token.is_empty()).map(|token| zeroize::Zeroizing::new(token.to_owned())))
    }

    /// Writes the file to be sourced.
    ///
    /// # Errors
    /// As the file system says.
    pub fn write_environment(&self, environment: &Environment<'_>) -> io::Result<()> {
        replace_private(&self.environment_file(), environment.text().as_bytes())
    }
}

/// What a program or a shell needs to reach this gateway.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    pub address: SocketAddr,
    pub admin_socket: &'a Path,
    pub username: &'a str,
    pub token: &'a str,
}

impl Environment<'_> {
    fn text(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(format!(
            "LOCUM_URL=http://{address}\nLOCUM_ADMIN_SOCKET={socket}\nLOCUM_OWNER={OWNER}\nLOCUM_USERNAME={username}\n\
             LOCUM_PAT={token}\nexport LOCUM_URL LOCUM_ADMIN_SOCKET LOCUM_OWNER LOCUM_USERNAME LOCUM_PAT\n",
            address = reachable(self.address),
            socket = quoted(&self.admin_socket.display().to_string()),
            username = self.username,
            token = self.token,
        ))
    }
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where a client on this machine reaches a listener that may be bound to every address.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(address) if address.ip().is_unspecified() => ([127, 0, 0, 1], address.port()).into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, address.port()).into()
        }
        address => address,
    }
}

/// A word for a POSIX shell; plain where no quoting is needed.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '+' | '@' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Whether nobody else could have put there what is read from it, or watch what is written to it. A
/// folder of a well-known name, in a place where everybody can make folders, may be somebody else's.
///
/// # Errors
/// When the folder cannot be looked at.
pub fn is_ours(folder: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(folder)?;
    Ok(metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0)
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What a newcomer reads first. The token is shown once, when it was made.
pub(super) fn welcome(folder: &StateFolder, address: SocketAddr, accounts: &Accounts) -> io::Result<()> {
    let (folder, address) = (shown(folder.path()), reachable(address));
    let mut out = io::stdout().lock();
    let (bold, plain) = if io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    writeln!(out, "\n{bold}Locum is running{plain} on http://{address}, with everything it keeps in {folder}")?;
    match accounts.state {
        TokenState::New => {
            let token = accounts.token.as_str();
            writeln!(out, "\nTry it (the token is shown this once, and kept in {folder}/dev.env):\n")?;
            writeln!(out, "    curl -u '{USERNAME}:{token}' http://{address}/hello\n")?;
        }
        TokenState::Earlier => {
            writeln!(out, "\nTry it, with the token of the first start:\n")?;
            writeln!(out, "    . {folder}/dev.env && curl -u \"$LOCUM_USERNAME:$LOCUM_PAT\" \"$LOCUM_URL/hello\"\n")?;
        }
        TokenState::Shut => {
            writeln!(out, "\nThe proxy user `{USERNAME}` was made inactive or deleted. To go on:\n")?;
            writeln!(out, "    locum history --account {USERNAME} --state {folder}")?;
            writeln!(out, "    locum proxy-user activate {USERNAME} --state {folder}")?;
            writeln!(out, "    locum pat add {USERNAME} --service 'trying Locum out' --confirm --state {folder}\n")?;
        }
    }
    out.flush()
}

fn shown(path: &Path) -> String {
    let here: Option<PathBuf> = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    relative.map_or_else(|| path.display().to_string(), |relative| format!("./{}", relative.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// C3
    #[test]
    fn a_second_preparation_keeps_what_the_operator_changed() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::prepare(&folder.path().join("dev"), |bytes| bytes.fill(1)).unwrap();
        std::fs::write(state.configuration(), "# mine").unwrap();
        let again = StateFolder::prepare(state.path(), |bytes| bytes.fill(2)).unwrap();
        assert_eq!(std::fs::read(again.configuration()).unwrap(), b"# mine");
    }

    /// C3, T4: nothing is read from, or written to, a folder in which somebody else could have a hand.
    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let refused = StateFolder::prepare(folder.path(), |bytes| bytes.fill(1));
        assert!(matches!(refused, Err(DevError::NotOurs(_))), "{refused:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    /// C3, T4: mode 0600, and a token that reads back.
    #[test]
    fn the_environment_file_is_private_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::prepare(folder.path(), |bytes| bytes.fill(1)).unwrap();
        assert_eq!(state.earlier_token().unwrap(), None);
        let socket = folder.path().join("it's here.sock");
        let environment = Environment {
            address: "0.0.0.0:8080".parse().unwrap(),
            admin_socket: &socket,
            username: USERNAME,
            token: "locum_pat_x",
        };
        state.write_environment(&environment).unwrap();
        let mode = std::fs::metadata(state.environment_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(state.earlier_token().unwrap().unwrap().as_str(), "locum_pat_x");

        let script = format!(
            ". '{}' && printf '%s %s' \"$LOCUM_URL\" \"$LOCUM_ADMIN_SOCKET\"",
            state.environment_file().display()
        );
        let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), format!("http://127.0.0.1:8080 {}", socket.display()));
    }
}
