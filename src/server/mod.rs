//! The composition root: opens what lasts, builds the rooms, binds, serves, drains.
//!
//! Two kinds of threads. Each *data-plane* thread is a current-thread runtime with its own listening
//! socket (`SO_REUSEPORT`), so that a connection lives and dies on one core. The *control runtime*
//! owns every socket to the database and to Redis, the admin API and the work by the clock; the data
//! plane reaches it by bounded messages only.
//!
//! ```text
//!   serve            the start and the end, in their order; house: the rooms, opened and joined
//!   reload restart   a new configuration; a new process in place of the old one; signals: what asks for them
//!   listener inherited descriptors   the sockets, new or handed down, and how many files there may be
//!   data_plane       the threads; connection, entrance: how a client comes in
//!   proxy_protocol tls acme stream taken http2   what a client's connection is made of, from the outside in
//!   administration   the admin API, on the host's socket and over the network
//!   monitoring       what orchestrators and Prometheus ask
//!   secrets          the key files
//!   dev dev_accounts example_app   `serve --dev`
//! ```

pub mod acme;
mod administration;
mod connection;
pub mod data_plane;
mod descriptors;
pub mod dev;
pub mod dev_accounts;
pub mod entrance;
pub mod example_app;
pub mod house;
mod http2;
pub mod inherited;
pub mod listener;
mod monitoring;
mod proxy_protocol;
pub mod reload;
pub mod restart;
pub mod secrets;
pub mod serve;
mod signals;
mod stream;
mod taken;
pub mod tls;

/// The header of a proxy by itself, for its fuzz target: the client, whether it speaks TLS, and what is
/// behind the header. `None` when there is no header, or not all of it.
#[cfg(fuzzing)]
pub fn hear_a_proxy(bytes: &[u8]) -> Option<(Option<std::net::IpAddr>, bool, Vec<u8>)> {
    use futures_util::FutureExt as _;

    let (said, rest) = proxy_protocol::read(&mut std::io::Cursor::new(bytes)).now_or_never()?.ok()?;
    Some((said.client, said.tls, rest))
}
