//! A new connection to an app: reached, and proven to be it where TLS is spoken.
//!
//! Nothing of a request is sent before the handshake is over, and nothing that came before it is read as an
//! answer (TL-006): rustls takes the first bytes for what they are not, and ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use http::Request;
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::tls::{self, AppTlsSettings};
use super::{Failure, Instance, RequestBody};

/// How an app is spoken to.
#[derive(Debug, Clone, Default)]
pub struct TransportSettings {
    /// `None`: without TLS.
    pub tls: Option<AppTlsSettings>,
    /// HTTP/2: without TLS from the first byte on (RFC 9113 §3.3), with TLS where the app agrees by ALPN.
    pub http2: bool,
}

/// How one instance is spoken to, as one core does it.
#[derive(Clone, Default)]
pub(super) struct Way {
    tls: Option<Tls>,
    http2: bool,
}

#[derive(Clone)]
struct Tls {
    name: ServerName<'static>,
    http1: TlsConnector,
    http2: TlsConnector,
}

/// What is offered to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Http1,
    /// Where TLS is spoken, HTTP/1.1 beside it.
    Http2,
}

impl Way {
    pub(super) const fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) const fn speaks_http2(&self) -> bool {
        self.http2
    }
}

/// A connection on which nothing was said yet.
pub(super) struct Connected {
    pub(super) stream: AppStream,
    /// Whether HTTP/2 is to be spoken on it.
    pub(super) http2: bool,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unconnected {
    /// This machine has no local port, descriptor or memory for it.
    NoSocket,
    /// By the app, or on the way to it; a slug for the log.
    App(&'static str),
}

impl From<&'static str> for Unconnected {
    fn from(why: &'static str) -> Self {
        Self::App(why)
    }
}

impl Unconnected {
    /// Of the request for which there is none.
    pub(super) fn failure(self, request: Request<RequestBody>) -> Failure {
        let request = Box::new(request);
        match self {
            Self::NoSocket => Failure::NoSocket(request),
            Self::App(why) => Failure::Unreachable { request, why },
        }
    }
}

/// Whether the machine was short of something of its own. That no address is left to connect from may mean that no
/// port is, or that the machine has no address of that family at all, from which an app can never be reached.
fn is_own_want(error: &io::Error, addresses: &[SocketAddr]) -> bool {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => true,
        Some(Errno::ADDRNOTAVAIL) => addresses.iter().any(|address| has_address_for(*address)),
        _ => false,
    }
}

/// Whether packets to this address could be sent; nothing is.
fn has_address_for(address: SocketAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address)).is_ok()
}

/// The bytes of a connection to an app: plain at the left, TLS at the right.
pub(super) type AppStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl TransportSettings {
    /// The ways to instances at these places. A host that no certificate can name was refused with the settings;
    /// here it is a name for which no certificate is good.
    pub(super) fn ways(&self, authorities: &[String]) -> impl Iterator<Item = Way> {
        let connectors = self.tls.as_ref().map(|tls| (tls, tls.connector(Offer::Http1), tls.connector(Offer::Http2)));
        let nobody = || ServerName::try_from("invalid").expect("the constant is a name");
        authorities.iter().map(move |authority| {
            let tls = connectors.as_ref().map(|(tls, http1, http2)| Tls {
                name: tls.name_of(authority).unwrap_or_else(|_| nobody()),
                http1: http1.clone(),
                http2: http2.clone(),
            });
            Way { tls, http2: self.http2 }
        })
    }
}

/// Connects within `limit`, TLS included.
pub(super) async fn connect(instance: &Instance, offer: Offer, limit: Duration) -> Result<Connected, Unconnected> {
    let (way, upstream) = (instance.way(), instance.authority());
    let deadline = Instant::now() + limit;
    let tcp = match timeout_at(deadline, instance.reach()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if is_own_want(&error, &instance.addresses()) => {
            tracing::warn!(%error, %upstream, "there is no socket for a connection to an app");
            return Err(Unconnected::NoSocket);
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, %upstream, "an app could not be reached");
            return Err("connect".into());
        }
        Err(_) => {
            tracing::warn!(%upstream, "an app could not be reached in time");
            return Err("connect_timeout".into());
        }
    };
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, %upstream, "an app's connection was gone at once");
        return Err("connect".into());
    }
    let Some(Tls { name, http1, http2 }) = &way.tls else {
        return Ok(Connected { stream: Either::Left(tcp), http2: offer == Offer::Http2 });
    };
    let connector = if offer == Offer::Http2 { http2 } else { http1 };
    match timeout_at(deadline, connector.connect(name.clone(), tcp)).await {
        Ok(Ok(stream)) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2);
            Ok(Connected { stream: Either::Right(Box::new(stream)), http2 })
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, %upstream, name = %name.to_str(), "an app did not prove who it is");
            Err("tls".into())
        }
        Err(_) => {
            tracing::warn!(%upstream, "an app did not speak TLS in time");
            Err("tls_timeout".into())
        }
    }
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.tls.as_ref().map(|tls| &tls.name);
        f.debug_struct("Way").field("tls", &name).field("http2", &self.http2).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G8: an app that refuses is away, and a machine without a port left says nothing of any app.
    #[test]
    fn what_this_machine_lacks_is_not_the_apps_fault() {
        let own = [error_of(Errno::MFILE), error_of(Errno::ADDRNOTAVAIL)];
        let of_the_app = [error_of(Errno::CONNREFUSED), error_of(Errno::HOSTUNREACH), error_of(Errno::TIMEDOUT)];
        let here = [SocketAddr::from((Ipv4Addr::LOCALHOST, 80))];
        assert!(own.iter().all(|error| is_own_want(error, &here)));
        assert!(!of_the_app.iter().any(|error| is_own_want(error, &here)));
        // From nowhere here can anything be sent to it, whatever ports are free.
        let nowhere = [SocketAddr::from(([255, 255, 255, 255], 80))];
        assert!(!is_own_want(&error_of(Errno::ADDRNOTAVAIL), &nowhere));
    }

    fn error_of(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }
}
