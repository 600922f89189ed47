//! The admin API as a command calls it: over the socket of a running gateway, or in-process.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use super::arguments::Global;
use super::exit::Failure;
use super::find::{self, Meant};
use super::in_process::InProcess;
use super::over_network::{Server, Stream};
use crate::admin::Problem;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take; the gateway gives up a little earlier, with words.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// How long following the whole history may take.
const AUDIT_TIMEOUT: Duration = Duration::from_mins(31);
/// The longest answer that is read.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;
/// What is kept as it is in a segment of a path (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A way to the admin API.
pub(super) enum Client {
    Socket(PathBuf),
    Server(Box<Server>),
    InProcess(Box<InProcess>),
}

impl Client {
    /// Finds the gateway that is meant: its socket where it runs, else its store.
    pub(super) async fn connect(global: &Global) -> Result<Self, Failure> {
        match find::meant(global)? {
            Meant::Server(server) => Ok(Self::Server(server)),
            Meant::Socket(socket) => match dial(&socket).await {
                Ok(_) => Ok(Self::Socket(socket)),
                Err(error) => Err(unreachable_socket(&socket, &error)),
            },
            Meant::Configured(settings) => {
                let socket = &settings.admin.socket;
                match dial(socket).await {
                    Ok(_) => Ok(Self::Socket(socket.clone())),
                    Err(error) if is_absent(&error) => Ok(Self::InProcess(Box::new(InProcess::open(&settings).await?))),
                    Err(error) => Err(unreachable_socket(socket, &error)),
                }
            }
        }
    }

    /// A running gateway only.
    pub(super) async fn connect_to_running(global: &Global) -> Result<Self, Failure> {
        let socket = match find::meant(global)? {
            Meant::Server(server) => return Ok(Self::Server(server)),
            Meant::Socket(socket) => socket,
            Meant::Configured(settings) => settings.admin.socket,
        };
        match dial(&socket).await {
            Ok(_) => Ok(Self::Socket(socket)),
            Err(error) => Err(unreachable_socket(&socket, &error)),
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Socket(_) | Self::Server(_) => {}
            Self::InProcess(in_process) => in_process.close().await,
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(&self.send(Method::GET, path, None, ANSWER_TIMEOUT).await?)
    }

    /// Hands out what comes, piece by piece, however much it is.
    pub(super) async fn stream(
        &self,
        path: &str,
        take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.stream_of(Method::GET, path, ANSWER_TIMEOUT, take).await
    }

    /// The same for what takes long to begin.
    pub(super) async fn stream_slowly(
        &self,
        path: &str,
        take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.stream_of(Method::POST, path, AUDIT_TIMEOUT, take).await
    }

    async fn stream_of(
        &self,
        method: Method,
        path: &str,
        patience: Duration,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let late = || Failure::failed("no answer in time");
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        let opening = self.open(request.body(Body::empty()).map_err(Failure::failed)?);
        let (response, connection) = tokio::time::timeout(patience, opening).await.map_err(|_| late())??;
        let streamed = async {
            if !response.status().is_success() {
                return answer(response).await.map(|_| ());
            }
            let mut body = response.into_body();
            while let Some(frame) = tokio::time::timeout(ANSWER_TIMEOUT, body.frame()).await.map_err(|_| late())? {
                let frame = frame.map_err(|error| Failure::failed(format!("the answer broke off: {error}")))?;
                frame.data_ref().map_or(Ok(()), |data| take(data))?;
            }
            Ok(())
        };
        let streamed = streamed.await;
        end(connection);
        streamed
    }

    /// Posts with the patience that following a whole history needs.
    pub(super) async fn post_slowly<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        read(&self.send(Method::POST, path, Some(json(body)?), AUDIT_TIMEOUT).await?)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        read(&self.send(Method::POST, path, Some(json(body)?), ANSWER_TIMEOUT).await?)
    }

    /// Sends a body that holds a secret; it is wiped once it is sent.
    pub(super) async fn post_secret<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<T, Failure> {
        read(&self.send(Method::POST, path, Some(Bytes::from_owner(body)), ANSWER_TIMEOUT).await?)
    }

    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        read(&self.send(Method::PUT, path, Some(json(body)?), ANSWER_TIMEOUT).await?)
    }

    pub(super) async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        read(&self.send(Method::PATCH, path, Some(json(body)?), ANSWER_TIMEOUT).await?)
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read(&self.send(Method::DELETE, path, None, ANSWER_TIMEOUT).await?)
    }

    /// Deletes what answers with nothing.
    pub(super) async fn remove(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, None, ANSWER_TIMEOUT).await.map(|_| ())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.map_or_else(Body::empty, Body::from)).map_err(Failure::failed)?;
        match tokio::time::timeout(patience, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::failed("no answer in time; it may still take effect: ask for the present state")),
        }
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let (response, connection) = self.open(request).await?;
        let answer = answer(response).await;
        end(connection);
        answer
    }

    /// Sends a request; with the task that drives its connection, where there is one.
    async fn open(&self, mut request: Request<Body>) -> Result<Opened, Failure> {
        match self {
            Self::Socket(socket) => {
                let stream = dial(socket).await.map_err(|error| unreachable_socket(socket, &error))?;
                exchange_over(stream, &socket.display(), request).await
            }
            Self::Server(server) => {
                server.sign(request.headers_mut())?;
                let stream = server.dial().await?;
                exchange_over(stream, server.authority(), request).await
            }
            Self::InProcess(in_process) => {
                request.extensions_mut().insert(in_process.peer.clone());
                match in_process.router.clone().oneshot(request).await {
                    Ok(response) => Ok((response, None)),
                    Err(never) => match never {},
                }
            }
        }
    }
}

/// An answer, with the task that drives its connection, where there is one.
type Opened = (http::Response<Body>, Option<JoinHandle<Result<(), hyper::Error>>>);

async fn exchange_over(
    stream: impl Stream + 'static,
    place: &impl std::fmt::Display,
    request: Request<Body>,
) -> Result<Opened, Failure> {
    let broken = |error: hyper::Error| Failure::failed(format!("the connection to `{place}` broke: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok((response.map(Body::new), Some(connection)))
}

fn end(connection: Option<JoinHandle<Result<(), hyper::Error>>>) {
    if let Some(connection) = connection {
        connection.abort();
    }
}

async fn answer(response: http::Response<Body>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (head, body) = response.into_parts();
    let collected = Limited::new(body, LARGEST_ANSWER).collect().await;
    let bytes = collected.map_err(|error| Failure::failed(format!("the answer cannot be read: {error}")))?.to_bytes();
    let bytes = Zeroizing::new(bytes.to_vec());
    if head.status.is_success() {
        return Ok(bytes);
    }
    Err(match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => Failure::Problem(Box::new(problem)),
        Err(_) => Failure::failed(format!("the gateway answered {} in words that are not Locum's", head.status)),
    })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let words = "the gateway's answer cannot be read: is it another version of locum?";
        Failure::failed(format!("{words} ({error})"))
    })
}

fn json(body: &impl Serialize) -> Result<Bytes, Failure> {
    serde_json::to_vec(body).map(Bytes::from).map_err(Failure::failed)
}

/// Connects, and makes sure that a gateway listens that may be trusted: root's, or our own user's.
async fn dial(socket: &Path) -> io::Result<UnixStream> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "nobody accepts");
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(socket)).await.map_err(|_| late())??;
    let peer = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if peer != 0 && peer != own && own != 0 {
        return Err(io::Error::other("another user listens there"));
    }
    Ok(stream)
}

/// Whether nobody listens.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn unreachable_socket(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    Failure::Failed(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("no gateway listens on `{socket}`: start it, or name its configuration with `--config FILE`")
        }
        io::ErrorKind::PermissionDenied => {
            format!("this user may not use the admin socket `{socket}`: be root, or the user that runs the gateway")
        }
        _ => format!("the gateway on `{socket}` cannot be reached: {error}"),
    })
}

/// A path of the API, its variable segments encoded.
pub(super) fn path(segments: &[&str]) -> String {
    let mut path = "/v1".to_owned();
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    path
}

/// The same with a query of the parameters that have a value.
pub(super) fn path_with(segments: &[&str], query: &[(&str, Option<&str>)]) -> String {
    let mut path = path(segments);
    let given = query.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    for (index, (name, value)) in given.enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.extend(utf8_percent_encode(value, SEGMENT));
    }
    path
}
