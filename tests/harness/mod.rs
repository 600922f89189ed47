//! What the stories need: the real binary, real servers beside it, and an app behind it.

pub mod locum;
pub mod redis;

use std::net::{SocketAddr, TcpListener};

/// A loopback address on which nothing listens.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}
