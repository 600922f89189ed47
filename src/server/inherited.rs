//! Listening sockets that were open before the process was: by systemd's socket activation, or left by the process
//! that this one takes the place of.
//!
//! Both hand them over in the same way (`LISTEN_FDS` and `LISTEN_PID` of `sd_listen_fds(3)`), so there is one way to
//! begin. They are taken as a set: each belongs to an address of the configuration, and one that belongs to none is
//! an error, because connections would wait in it for nobody.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;

/// Why what was handed over cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    #[error("socket no. {number} that was handed over (`LISTEN_FDS`) cannot be used: {error}")]
    Unusable { number: usize, error: io::Error },
    #[error(
        "`{address}` was handed over as a socket to listen on, and the configuration names it nowhere: let `[server] listen`, `[admin] listen`, `[monitoring] listen` or `[admin] socket` and `ListenStream=` agree"
    )]
    Unnamed { address: String },
}

/// What was handed over, and not claimed yet.
#[derive(Debug, Default)]
pub struct Inherited {
    tcp: Vec<(SocketAddr, TcpListener)>,
    unix: Vec<UnixListener>,
}

impl Inherited {
    /// Takes what was handed over to this process. To be called once, before there are threads: it takes the
    /// variables out of the environment.
    ///
    /// # Errors
    /// When something else than listening sockets was handed over.
    pub fn take() -> Result<Self, InheritedError> {
        let mut handed_over = ListenFd::from_env();
        let mut inherited = Self::default();
        for number in 0..handed_over.len() {
            let unusable = |error| InheritedError::Unusable { number, error };
            if let Ok(Some(listener)) = handed_over.take_unix_listener(number) {
                inherited.unix.push(listener);
            } else if let Some(listener) = handed_over.take_tcp_listener(number).map_err(unusable)? {
                // A name that is inherited, and a socket that blocks, would block its thread.
                listener.set_nonblocking(true).map_err(unusable)?;
                inherited.tcp.push((listener.local_addr().map_err(unusable)?, listener));
            }
        }
        Ok(inherited)
    }

    /// The sockets of an address; with port 0, of any port.
    pub(super) fn tcp(&mut self, address: SocketAddr) -> Vec<TcpListener> {
        let fits = |bound: SocketAddr| bound == address || (address.port() == 0 && bound.ip() == address.ip());
        let (fitting, others) = std::mem::take(&mut self.tcp).into_iter().partition(|(bound, _)| fits(*bound));
        self.tcp = others;
        let fitting: Vec<(SocketAddr, TcpListener)> = fitting;
        fitting.into_iter().map(|(_, listener)| listener).collect()
    }

    /// The Unix socket at a path.
    pub(super) fn unix(&mut self, path: &Path) -> Option<UnixListener> {
        let is_there =
            |listener: &UnixListener| listener.local_addr().is_ok_and(|address| address.as_pathname() == Some(path));
        let at = self.unix.iter().position(is_there)?;
        Some(self.unix.remove(at))
    }

    /// To be called when everybody has taken what is theirs.
    ///
    /// # Errors
    /// When something is left.
    pub(super) fn nothing_is_left(&self) -> Result<(), InheritedError> {
        let unix = |listener: &UnixListener| {
            let address = listener.local_addr().ok()?;
            Some(address.as_pathname()?.display().to_string())
        };
        let tcp = self.tcp.first().map(|(address, _)| address.to_string());
        let left = tcp.or_else(|| {
            self.unix
                .first()
                .map(|listener| unix(listener).unwrap_or_else(|| "a Unix socket without a name".to_owned()))
        });
        left.map_or(Ok(()), |address| Err(InheritedError::Unnamed { address }))
    }
}
