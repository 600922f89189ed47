//! From an accepted socket to a peer that speaks HTTP: what a connection says before its first request.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::data_plane::Limits;
use super::proxy_protocol;
use super::stream::Stream;
use crate::gateway::{Peer, Scheme, TrustedProxies};

/// What clients have to do before they are served.
#[derive(Debug, Clone, Default)]
pub struct Entrance {
    /// Proxies that begin each connection with a header of the PROXY protocol. Everybody else is an
    /// ordinary client, in whose mouth such a header is no HTTP.
    pub proxy_protocol: TrustedProxies,
}

impl Entrance {
    /// Waits for what has to come first, and no longer than `limits` allow.
    ///
    /// # Errors
    /// When the connection ended, said something else, or took too long.
    pub(super) async fn enter(&self, tcp: TcpStream, from: SocketAddr, limits: &Limits) -> io::Result<(Stream, Peer)> {
        if !self.proxy_protocol.contains(from.ip()) {
            return Ok((Stream::new(tcp, Vec::new()), Peer::new(from.ip(), Scheme::Http)));
        }
        tokio::time::timeout(limits.handshake_timeout, self.enter_by_proxy(tcp, from)).await?
    }

    async fn enter_by_proxy(&self, mut tcp: TcpStream, from: SocketAddr) -> io::Result<(Stream, Peer)> {
        let (said, early) = proxy_protocol::read(&mut tcp).await?;
        let scheme = if said.tls { Scheme::Https } else { Scheme::Http };
        Ok((Stream::new(tcp, early), Peer::new(said.client.unwrap_or(from.ip()), scheme)))
    }
}
