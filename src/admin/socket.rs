//! The Unix socket of the admin API: made so that nobody else can stand in its place, served with
//! bounds, removed at the end.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::peer::{Peer, unix_user};

/// How many connections are served at once; more wait in the backlog.
const CONNECTIONS: usize = 64;
/// How many connections wait to be accepted.
const BACKLOG: i32 = 64;
/// How long a peer may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long running requests may take once the gateway ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests after it failed, for want of file descriptors for instance.
const REST: Duration = Duration::from_millis(100);
/// The longest path of a Unix socket, in bytes: `sun_path` without its final zero.
const LONGEST_PATH: usize = 107;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("the path of the admin socket `{}` is too long: it may have {LONGEST_PATH} bytes, choose a shorter `[admin] socket`", .0.display())]
    TooLong(PathBuf),
    #[error("the folder `{}` of the admin socket cannot be used: {error}", folder.display())]
    Folder { folder: PathBuf, error: io::Error },
    #[error("others can write to the folder `{}` of the admin socket (mode {mode:o}): run `chmod go-w` on it, or choose another `[admin] socket`", folder.display())]
    Open { folder: PathBuf, mode: u32 },
    #[error("`{}` is no socket: remove it, or choose another `[admin] socket`", .0.display())]
    NotASocket(PathBuf),
    #[error("another process serves the admin socket `{}`: end it first", .0.display())]
    InUse(PathBuf),
    #[error("the admin socket `{}` cannot be made: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Serves `router` on a Unix socket at `path` (mode 0600) until `shutdown` is done; then lets running
/// requests end and removes the socket.
///
/// # Errors
/// When the socket cannot be made safely.
pub async fn serve_unix(
    router: Router,
    path: &Path,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), SocketError> {
    let bound = BoundSocket::bind(path).await?;
    let shutdown = async {
        shutdown.await;
        Afterwards::Remove
    };
    bound.serve(router, shutdown).await;
    Ok(())
}

/// What becomes of the socket's file once nobody serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    Remove,
    /// Somebody has a handle on the socket and is going to serve it.
    Keep,
}

/// A socket that is listened on, and not yet served: so that whoever starts knows that it can be had.
#[derive(Debug)]
pub struct BoundSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that only our own file is removed at the end.
    identity: (u64, u64),
}

impl BoundSocket {
    /// Binds `path` with mode 0600. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// When the folder is open to others, something else stands at the path, or it is in use.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        check_folder(path).await?;
        remove_stale(path).await?;
        let fault = |error| SocketError::Io { path: path.to_owned(), error };
        let listener = listen(path).map_err(fault)?;
        let metadata = tokio::fs::metadata(path).await.map_err(fault)?;
        Ok(Self { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// Takes a socket that listens on `path` already, handed over by whoever was there before.
    ///
    /// # Errors
    /// When the folder is open to others, or the socket cannot be used.
    pub async fn adopt(listener: std::os::unix::net::UnixListener, path: &Path) -> Result<Self, SocketError> {
        check_folder(path).await?;
        let fault = |error| SocketError::Io { path: path.to_owned(), error };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let listener = UnixListener::from_std(listener).map_err(fault)?;
        let metadata = tokio::fs::metadata(path).await.map_err(fault)?;
        Ok(Self { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// Another handle on the same socket: while it is held, who connects waits, and the file stays where it is.
    ///
    /// # Errors
    /// When the system refuses another descriptor.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    /// Serves `router` until `shutdown` is done; then lets running requests end, and removes the socket unless
    /// somebody else is to take it over.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = Afterwards> + Send) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let connections = TaskTracker::new();
        let (ending, ended) = tokio::sync::watch::channel(false);
        let mut shutdown = std::pin::pin!(shutdown);
        let afterwards = loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                afterwards = &mut shutdown => break afterwards,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (router, ended) = (router.clone(), ended.clone());
                    connections.spawn(async move {
                        serve_connection(stream, router, ended).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the admin socket was not accepted");
                    tokio::time::sleep(REST).await;
                }
            }
        };
        self.end(afterwards, &connections, &ending).await;
    }

    async fn end(self, afterwards: Afterwards, connections: &TaskTracker, ending: &tokio::sync::watch::Sender<bool>) {
        let ours = std::fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours
            && afterwards == Afterwards::Remove
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the admin socket could not be removed");
        }
        drop(self.listener);
        ending.send_replace(true);
        connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
            tracing::warn!("requests on the admin socket did not end in time and were given up");
        }
    }
}

async fn serve_connection(stream: UnixStream, router: Router, mut ended: tokio::sync::watch::Receiver<bool>) {
    let peer = match stream.peer_cred() {
        Ok(credentials) => Peer { uid: credentials.uid(), unix_user: unix_user(credentials.uid()).await },
        Err(error) => {
            tracing::warn!(%error, "the peer of a connection to the admin socket is unknown: refused");
            return;
        }
    };
    let service = router.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.map(axum::body::Body::new)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = ending(&mut ended) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the admin socket ended early");
    }
}

/// Waits until the gateway ends; its sender goes only with it.
async fn ending(ended: &mut tokio::sync::watch::Receiver<bool>) {
    while !*ended.borrow_and_update() {
        if ended.changed().await.is_err() {
            return;
        }
    }
}

/// The mode is set between binding and listening: at no time can another user connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

/// Whoever can write to the folder could put a socket of their own in the place of ours.
async fn check_folder(path: &Path) -> Result<(), SocketError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let metadata = match tokio::fs::metadata(&folder).await {
        Ok(metadata) => metadata,
        Err(error) => return Err(SocketError::Folder { folder, error }),
    };
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    let sticky = mode & 0o1000 != 0;
    let trusted = owner == 0 || owner == rustix::process::geteuid().as_raw();
    if !trusted || (mode & 0o022 != 0 && !sticky) {
        return Err(SocketError::Open { folder, mode });
    }
    Ok(())
}

async fn remove_stale(path: &Path) -> Result<(), SocketError> {
    use std::os::unix::fs::FileTypeExt as _;
    let fault = |error| SocketError::Io { path: path.to_owned(), error };
    match tokio::fs::symlink_metadata(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tokio::fs::remove_file(path).await.map_err(fault)
        }
        Err(error) => Err(fault(error)),
    }
}
