//! From an accepted socket to a peer that speaks HTTP: what a connection says before its first request,
//! and which HTTP it is going to speak.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::server::{Acceptor, ClientHello};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use super::acme::PROOF;
use super::data_plane::Limits;
use super::proxy_protocol;
use super::stream::{Stream, rewound};
use super::tls::clients::note_refusal;
use super::tls::{self, Certificates};
use crate::gateway::{Peer, Scheme, TrustedProxies};

/// What clients have to do before they are served, and may.
#[derive(Debug, Clone, Default)]
pub struct Entrance {
    /// Proxies that begin each connection with a header of the PROXY protocol. Everybody else is an
    /// ordinary client, in whose mouth such a header is no HTTP.
    pub proxy_protocol: TrustedProxies,
    /// Whether clients may speak HTTP/2 without TLS, by beginning with it (RFC 9113 §3.3).
    pub h2c: bool,
    /// Clients have to speak TLS, and by it agree on which HTTP follows.
    pub tls: Option<Certificates>,
}

/// A connection that came in.
pub(super) struct Entered {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    pub(super) protocol: Protocol,
}

/// Which HTTP a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What a connection of HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Entrance {
    /// Waits for what has to come first, and no longer than `limits` allow.
    ///
    /// # Errors
    /// When the connection ended, said something else, or took too long. `None`: it wanted nothing more.
    pub(super) async fn enter(&self, tcp: TcpStream, from: SocketAddr, limits: &Limits) -> io::Result<Option<Entered>> {
        let port = tcp.local_addr()?.port();
        let mut entering = Entering { tcp, early: Vec::new(), address: from.ip(), scheme: Scheme::Http, port };
        let by_proxy = self.proxy_protocol.contains(from.ip());
        if !by_proxy && self.tls.is_none() {
            return entering.plain(self.h2c, limits).await.map(Some);
        }
        let handshake = async {
            if by_proxy {
                entering.hear_the_proxy().await?;
            }
            match &self.tls {
                Some(certificates) => entering.by_tls(certificates, limits).await.map(Ok),
                None => Ok(Err(entering)),
            }
        };
        match tokio::time::timeout(limits.handshake_timeout, handshake).await?? {
            Ok(entered) => Ok(entered),
            Err(entering) => entering.plain(self.h2c, limits).await.map(Some),
        }
    }
}

/// A connection on its way in.
struct Entering {
    tcp: TcpStream,
    early: Vec<u8>,
    address: IpAddr,
    scheme: Scheme,
    /// That the client connected to.
    port: u16,
}

impl Entering {
    async fn hear_the_proxy(&mut self) -> io::Result<()> {
        let (said, rest) = proxy_protocol::read(&mut self.tcp).await?;
        self.early = rest;
        self.address = said.client.unwrap_or(self.address);
        self.port = said.port.unwrap_or(self.port);
        if said.tls {
            self.scheme = Scheme::Https;
        }
        Ok(())
    }

    async fn by_tls(self, certificates: &Certificates, limits: &Limits) -> io::Result<Option<Entered>> {
        let stream = rewound(self.tcp, self.early, limits);
        let accepted = if let Some(proofs) = certificates.proofs() {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            if asks_for_a_proof(&start.client_hello()) {
                // The handshake is all that an ACME server wants.
                start.into_stream(Arc::clone(proofs)).await?.shutdown().await?;
                return Ok(None);
            }
            start.into_stream(certificates.config()).await
        } else {
            TlsAcceptor::from(certificates.config()).accept(stream).await
        };
        let stream = accepted.inspect_err(note_refusal)?;
        let agreed = stream.get_ref().1.alpn_protocol();
        let protocol = if agreed == Some(tls::HTTP2) { Protocol::Http2 } else { Protocol::Http1 };
        let peer = Peer::new(self.address, Scheme::Https, self.port);
        Ok(Some(Entered { stream: Stream::Right(Box::new(stream)), peer, protocol }))
    }

    async fn plain(mut self, h2c: bool, limits: &Limits) -> io::Result<Entered> {
        let protocol = if h2c {
            tokio::time::timeout(limits.head_timeout, protocol_of(&mut self.tcp, &mut self.early)).await??
        } else {
            Protocol::Http1
        };
        let stream = Stream::Left(rewound(self.tcp, self.early, limits));
        Ok(Entered { stream, peer: Peer::new(self.address, self.scheme, self.port), protocol })
    }
}

/// Reads until it is clear which HTTP this is: most often the first byte says it.
async fn protocol_of(tcp: &mut TcpStream, early: &mut Vec<u8>) -> io::Result<Protocol> {
    loop {
        let length = early.len().min(PREFACE.len());
        if early[..length] != PREFACE[..length] {
            return Ok(Protocol::Http1);
        }
        if length == PREFACE.len() {
            return Ok(Protocol::Http2);
        }
        early.reserve(4096);
        if tcp.read_buf(early).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Who offers this protocol offers no other (RFC 8737 §3).
fn asks_for_a_proof(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|offers| offers.eq([PROOF]))
}
