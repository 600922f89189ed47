//! The admin API on a listener of its own: HTTP/1.1 over TLS, or in plain text on the loopback interface.
//!
//! Every connection holds one of a bounded number of places, and one source only some of them. Before anything is
//! judged, a request has to name this listener in `Host`: a page that was made to resolve to this address in somebody's
//! browser does not, nor does a request that came by way of a proxied app.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::uri::Authority;
use http::{HeaderValue, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::peer::FromNetwork;
use super::problem::Problem;
use crate::authn::{Prefix, Sources};

/// How many connections are served at once; more wait in the backlog.
const CONNECTIONS: usize = 64;
/// How many of them one source may hold; more are closed.
const OF_ONE_SOURCE: usize = 16;
/// How long a client may take for the handshake of TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's head, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head that is read, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;
/// How many header fields a head may have.
const FIELDS: usize = 64;
/// How long running requests may take once the gateway ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests after it failed, for want of file descriptors for instance.
const REST: Duration = Duration::from_millis(100);

/// The certificates that are shown, exchanged when they are renewed.
pub type Shown = Arc<ArcSwap<ServerConfig>>;

/// Where the API is served over the network.
pub struct Network {
    pub listener: TcpListener,
    /// What may stand in `Host`, without a port, IPv6 in brackets.
    pub hosts: Vec<String>,
    /// `None`: plain text.
    pub tls: Option<Shown>,
    /// What failures are charged to.
    pub budgets: Arc<Sources>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("hosts", &self.hosts).field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

/// Serves `router` until `shutdown` is done; then lets running requests end.
pub async fn serve_network(network: Network, router: Router, shutdown: impl Future<Output = ()> + Send) {
    let Network { listener, hosts, tls, budgets } = network;
    let router = router.layer(from_fn_with_state(Arc::<[String]>::from(hosts), demand_host));
    let (places, sources) = (Arc::new(Semaphore::new(CONNECTIONS)), Places::default());
    let connections = TaskTracker::new();
    let (ending, ended) = watch::channel(false);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let Some(of_source) = sources.take(from.ip()) else {
                    tracing::warn!(address = %from.ip(), "a source holds too many connections to the admin API");
                    continue;
                };
                let from = FromNetwork { address: from.ip().to_canonical(), budgets: Arc::clone(&budgets) };
                let router = router.clone().map_request(move |mut request: http::Request<hyper::body::Incoming>| {
                    request.extensions_mut().insert(from.clone());
                    request.map(axum::body::Body::new)
                });
                let (tls, ended) = (tls.clone(), ended.clone());
                connections.spawn(async move {
                    serve_connection(stream, tls, TowerToHyperService::new(router), ended).await;
                    drop((place, of_source));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin API was not accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    ending.send_replace(true);
    connections.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
        tracing::warn!("requests to the admin API over the network did not end in time and were given up");
    }
}

async fn serve_connection<S>(stream: TcpStream, tls: Option<Shown>, service: S, ended: watch::Receiver<bool>)
where
    S: hyper::service::Service<
            http::Request<hyper::body::Incoming>,
            Response = Response,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send,
{
    let Some(shown) = tls else { return serve_stream(stream, service, ended).await };
    let acceptor = TlsAcceptor::from(shown.load_full());
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve_stream(stream, service, ended).await,
        Ok(Err(error)) => tracing::debug!(%error, "a handshake with the admin API failed"),
        Err(_late) => tracing::debug!("a handshake with the admin API took too long"),
    }
}

async fn serve_stream<I, S>(stream: I, service: S, mut ended: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send,
    S: hyper::service::Service<
            http::Request<hyper::body::Incoming>,
            Response = Response,
            Error = std::convert::Infallible,
            Future: Send,
        > + Send,
{
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(LARGEST_HEAD).max_headers(FIELDS);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = ending(&mut ended) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to the admin API ended early");
    }
}

/// Waits until the gateway ends; its sender goes only with it.
async fn ending(ended: &mut watch::Receiver<bool>) {
    while !*ended.borrow_and_update() {
        if ended.changed().await.is_err() {
            return;
        }
    }
}

/// Refuses a request that names another host. Whoever is refused, here or for want of a key, asks anew on another
/// connection.
async fn demand_host(State(hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let mut response =
        if names_us(&hosts, &request) { next.run(request).await } else { Problem::wrong_host().into_response() };
    let refused = [StatusCode::UNAUTHORIZED, StatusCode::MISDIRECTED_REQUEST, StatusCode::TOO_MANY_REQUESTS];
    if refused.contains(&response.status()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn names_us(hosts: &[String], request: &Request) -> bool {
    let ours = |authority: &str| {
        let host = authority.parse::<Authority>().ok().filter(|authority| !authority.as_str().contains('@'));
        host.is_some_and(|authority| hosts.iter().any(|ours| ours.eq_ignore_ascii_case(authority.host())))
    };
    let mut named = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    host.to_str().is_ok_and(ours) && request.uri().authority().is_none_or(|authority| ours(authority.as_str()))
}

/// What may stand in `Host` of a listener: its names, its own address, and on the loopback interface `localhost`.
pub fn hosts(listen: SocketAddr, names: &[String]) -> Vec<String> {
    let mut hosts = names.to_vec();
    match listen.ip() {
        address if address.is_unspecified() => {}
        IpAddr::V4(address) => hosts.push(address.to_string()),
        IpAddr::V6(address) => hosts.push(format!("[{address}]")),
    }
    if listen.ip().is_loopback() {
        hosts.push("localhost".to_owned());
    }
    hosts
}

/// How many connections each source holds.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<HashMap<Prefix, usize>>>);

impl Places {
    fn take(&self, address: IpAddr) -> Option<Place> {
        let source = Prefix::of(Some(address));
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(source).or_default();
        if *count >= OF_ONE_SOURCE {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), source })
    }
}

/// One connection of a source.
struct Place {
    places: Places,
    source: Prefix,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AD-002: what names another host, none, two, or somebody with it, is not for us.
    #[test]
    fn only_our_own_names_are_taken() {
        let hosts = hosts("127.0.0.1:8444".parse().unwrap(), &["admin.test".to_owned()]);
        assert_eq!(hosts, ["admin.test", "127.0.0.1", "localhost"]);
        let names = |uri: &str, all: &[&str]| {
            let mut request = Request::get(uri).body(axum::body::Body::empty()).unwrap();
            for host in all {
                request.headers_mut().append(header::HOST, host.parse().unwrap());
            }
            names_us(&hosts, &request)
        };
        for host in ["admin.test", "Admin.Test:8444", "127.0.0.1:8444", "localhost"] {
            assert!(names("/", &[host]), "{host}");
        }
        for all in [
            &[][..],
            &["evil.test"],
            &["admin.test", "admin.test"],
            &["x@admin.test"],
            &["admin.test.evil.test"],
            &[""],
        ] {
            assert!(!names("/", all), "{all:?}");
        }
        assert!(names("http://admin.test/", &["admin.test"]));
        assert!(!names("http://evil.test/", &["admin.test"]));
        assert!(super::hosts("[::1]:1".parse().unwrap(), &[]).contains(&"[::1]".to_owned()));
        assert!(super::hosts("0.0.0.0:1".parse().unwrap(), &[]).is_empty());
    }

    /// One source leaves places to the others, and gets its own back.
    #[test]
    fn one_source_holds_some_places_only() {
        let places = Places::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut held: Vec<_> = std::iter::from_fn(|| places.take(address)).collect();
        assert_eq!(held.len(), OF_ONE_SOURCE);
        assert!(places.take(IpAddr::from([192, 0, 2, 2])).is_some());
        held.pop();
        assert!(places.take(address).is_some());
    }
}
