//! From an accepted socket to a peer that speaks HTTP: what a connection says before its first request,
//! and which HTTP it is going to speak.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::data_plane::Limits;
use super::proxy_protocol;
use super::stream::Stream;
use crate::gateway::{Peer, Scheme, TrustedProxies};

/// What clients have to do before they are served, and may.
#[derive(Debug, Clone, Default)]
pub struct Entrance {
    /// Proxies that begin each connection with a header of the PROXY protocol. Everybody else is an
    /// ordinary client, in whose mouth such a header is no HTTP.
    pub proxy_protocol: TrustedProxies,
    /// Whether clients may speak HTTP/2 without TLS, by beginning with it (RFC 9113 §3.3).
    pub h2c: bool,
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
    /// When the connection ended, said something else, or took too long.
    pub(super) async fn enter(&self, mut tcp: TcpStream, from: SocketAddr, limits: &Limits) -> io::Result<Entered> {
        let (mut address, mut scheme, mut early) = (from.ip(), Scheme::Http, Vec::new());
        if self.proxy_protocol.contains(address) {
            let reading = proxy_protocol::read(&mut tcp);
            let (said, rest) = tokio::time::timeout(limits.handshake_timeout, reading).await??;
            (address, early) = (said.client.unwrap_or(address), rest);
            if said.tls {
                scheme = Scheme::Https;
            }
        }
        let protocol = if self.h2c {
            tokio::time::timeout(limits.head_timeout, protocol_of(&mut tcp, &mut early)).await??
        } else {
            Protocol::Http1
        };
        Ok(Entered { stream: Stream::new(tcp, early), peer: Peer::new(address, scheme), protocol })
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
