//! A restart that nobody notices: the process ends and begins again as another program in the same place, and the
//! listening sockets stay open all the while (decision 25).
//!
//! The embedded store has one process at a time, so the old one cannot serve while the new one starts. What comes
//! meanwhile waits in the kernel, and is accepted by the new one.
//!
//! ```text
//!   check    the new program reads the configuration, keys and certificates; what is wrong ends the matter here
//!   turn     answers say that their connection ends, so that clients open others, which are served still
//!   drain    nobody is accepted; what runs is finished, at most for `shutdown_timeout`
//!   close    the store, then its lock
//!   exec     the new program, under the same process id, with the sockets
//! ```

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use super::acme::{self, Obtained};
use super::listener;
use super::reload;
use super::secrets;
use crate::admin::NotTaken;
use crate::config::Settings;
use crate::gateway::{self, Plan};

/// How long the new program may take to look at what it will start with.
const CHECK: Duration = Duration::from_secs(30);
/// The first descriptor that the sockets get in the new process: far from those that a process opens at its start.
const FIRST: i32 = 64;
/// How often a free row of descriptors is looked for.
const ROWS: i32 = 64;

/// Looks at what a start by these settings would need and, unlike a start, touches nothing: the store may be in use.
///
/// # Errors
/// With what is wrong.
pub fn readied(settings: &Settings) -> Result<Readied, String> {
    let keys = &settings.secrets;
    secrets::read(&keys.pepper_file, &keys.tombstone_key_file).map_err(|error| error.to_string())?;
    secrets::keyring(&keys.master_key).map_err(|error| error.to_string())?;
    reload::entrance(&settings.server, &Obtained::default()).map_err(|error| error.to_string())?;
    reload::admin_shown(settings).map_err(|error| error.to_string())?;
    if let Some(acme) = settings.server.tls.as_ref().and_then(|tls| tls.acme.as_ref()) {
        acme::check(acme).map_err(|error| error.to_string())?;
    }
    Plan::compile(&settings.gateway()).map_err(|problems| gateway::in_words(&problems))?;
    Ok(Readied {
        listen: settings.server.listen,
        monitoring: settings.monitoring,
        admin: settings.admin.network.as_ref().map(|network| network.listen),
        admin_socket: settings.admin.socket.clone(),
    })
}

/// What runs, as it was started.
#[derive(Debug, Clone)]
pub struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
    /// The argument with which it looks at what it would start with, and ends.
    check: &'static str,
}

/// What the new program will listen on, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readied {
    pub listen: SocketAddr,
    pub monitoring: Option<SocketAddr>,
    pub admin: Option<SocketAddr>,
    pub admin_socket: PathBuf,
}

impl Program {
    /// To be called at the start: the file may be replaced later, and then the system knows it by another name.
    ///
    /// # Errors
    /// When the system does not say which program this is.
    pub fn this(check: &'static str) -> io::Result<Self> {
        Ok(Self { file: std::env::current_exe()?, arguments: std::env::args_os().skip(1).collect(), check })
    }

    /// Lets the new program look at what it would start with.
    pub(super) async fn ready(&self) -> Result<Readied, NotTaken> {
        let this = self.clone();
        // A process that hangs is left to end by itself; it holds nothing.
        let checked = tokio::task::spawn_blocking(move || this.command().arg(this.check).output());
        let checked = tokio::time::timeout(CHECK, checked).await;
        let failed = |why: &dyn std::fmt::Display| {
            NotTaken::Failed(format!("`{}` could not be checked: {why}", self.file.display()))
        };
        let output =
            checked.map_err(|late| failed(&late))?.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).map_err(|error| failed(&error));
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(if output.status.code() == Some(WRONG_CONFIGURATION) { NotTaken::Invalid(said) } else { failed(&said) })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.args(&self.arguments).stdin(Stdio::null());
        for variable in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_FDS_FIRST_FD"] {
            command.env_remove(variable);
        }
        command
    }

    /// Becomes the new program, which gets these sockets. Returns only when that fails.
    pub(super) fn become_new(&self, sockets: Vec<OwnedFd>) -> io::Error {
        match in_a_row(&sockets) {
            Ok((first, row)) => {
                drop(sockets);
                let mut command = self.command();
                command.env("LISTEN_FDS", row.len().to_string()).env("LISTEN_PID", std::process::id().to_string());
                command.env("LISTEN_FDS_FIRST_FD", first.to_string());
                command.exec()
            }
            Err(error) => error,
        }
    }
}

/// Lets the next process begin, once.
pub(super) struct Restarter {
    program: Program,
    /// One at a time.
    turn: Mutex<()>,
    /// Gone when this process ends anyway.
    sockets: std::sync::Mutex<Option<Sockets>>,
    begin: mpsc::Sender<Vec<OwnedFd>>,
}

/// What this process listens on.
pub(super) struct Sockets {
    /// As the configuration says it: the port may be 0.
    pub(super) listen: SocketAddr,
    pub(super) threads: usize,
    pub(super) clients: Vec<TcpListener>,
    /// Where the port is not 0, which would name another's socket as well.
    pub(super) monitoring: Option<(SocketAddr, TcpListener)>,
    /// As that, of the admin API.
    pub(super) network: Option<(SocketAddr, TcpListener)>,
    pub(super) admin_socket: PathBuf,
    pub(super) admin: OwnedFd,
}

impl Restarter {
    /// With where the sockets for the next process arrive when it is to begin.
    pub(super) fn new(program: Program, sockets: Sockets) -> (Self, mpsc::Receiver<Vec<OwnedFd>>) {
        let (begin, begins) = mpsc::channel(1);
        (Self { program, turn: Mutex::default(), sockets: std::sync::Mutex::new(Some(sockets)), begin }, begins)
    }

    /// Checks whether the next process could begin, and if so lets this one end.
    pub(super) async fn restart(&self) -> Result<(), NotTaken> {
        let restarted = self.begin().await;
        if let Err(why) = &restarted {
            tracing::error!(%why, "no restart: this process goes on");
            metrics::counter!("locum_restarts_refused_total").increment(1);
        }
        restarted
    }

    async fn begin(&self) -> Result<(), NotTaken> {
        let _turn = self.turn.lock().await;
        let readied = self.program.ready().await?;
        let next = self.next_sockets(&readied)?;
        self.begin.send(next).await.map_err(|_gone| Self::ending())
    }

    fn next_sockets(&self, readied: &Readied) -> Result<Vec<OwnedFd>, NotTaken> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let next = sockets.as_ref().ok_or_else(Self::ending)?.for_next(readied)?;
        *sockets = None;
        Ok(next)
    }

    fn ending() -> NotTaken {
        NotTaken::Failed("this process is ending already".to_owned())
    }

    /// Nobody else is going to listen where this process does.
    pub(super) fn give_up_sockets(&self) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Sockets {
    /// What the next process gets: these where it is going to listen too, and others where it is not, so that it is
    /// known before anything ends that it can.
    fn for_next(&self, readied: &Readied) -> Result<Vec<OwnedFd>, NotTaken> {
        let failed = |error: io::Error| NotTaken::Failed(format!("a socket could not be handed over: {error}"));
        let mut next: Vec<OwnedFd> = if readied.listen == self.listen {
            let clients = self.clients.iter().map(|listener| Ok(listener.try_clone()?.into()));
            clients.collect::<io::Result<_>>().map_err(failed)?
        } else {
            let bound = listener::bind(readied.listen, self.threads);
            let bound = bound.map_err(|error| NotTaken::Failed(error.to_string()))?;
            bound.into_iter().map(OwnedFd::from).collect()
        };
        for (wanted, ours) in [(readied.monitoring, &self.monitoring), (readied.admin, &self.network)] {
            match (wanted, ours) {
                (Some(listen), Some((ours, listener))) if listen == *ours => {
                    next.push(listener.try_clone().map_err(failed)?.into());
                }
                (Some(listen), _) if listen.port() != 0 => {
                    let bound = listener::bind(listen, 1).map_err(|error| NotTaken::Failed(error.to_string()))?;
                    next.extend(bound.into_iter().map(OwnedFd::from));
                }
                (Some(_) | None, _) => {}
            }
        }
        if readied.admin_socket == self.admin_socket {
            next.push(self.admin.try_clone().map_err(failed)?);
        }
        Ok(next)
    }
}

/// `EX_CONFIG`, with which the command line ends for a wrong configuration.
const WRONG_CONFIGURATION: i32 = 78;

/// Copies of the sockets whose descriptors follow each other, as who takes them expects it, and which outlive `exec`.
fn in_a_row(sockets: &[OwnedFd]) -> io::Result<(i32, Vec<OwnedFd>)> {
    let length = i32::try_from(sockets.len()).map_err(io::Error::other)?;
    for row in 0..ROWS {
        let first = FIRST + row * length.max(1);
        let copies = (first..).zip(sockets).map(|(at, socket)| Ok((at, fcntl_dupfd_cloexec(socket, at)?)));
        let copies = copies.collect::<io::Result<Vec<_>>>()?;
        if copies.iter().all(|(at, copy)| copy.as_raw_fd() == *at) {
            for (_, copy) in &copies {
                fcntl_setfd(copy, FdFlags::empty())?;
            }
            return Ok((first, copies.into_iter().map(|(_, copy)| copy).collect()));
        }
    }
    Err(io::Error::other("there is no free row of file descriptors"))
}
