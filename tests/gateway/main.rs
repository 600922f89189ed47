//! The gateway, asked through real sockets by raw bytes, before apps that remember raw bytes.
//!
//! ```text
//!   agreement   the head guard and hyper read alike, whatever is sent
//!   rows        tables of requests: what is refused, what arrives, and byte for byte how
//!   log         what the access log says, and what it never says
//!   identity    who an app is told of, and what no client can tell it
//!   answers     what a refused caller is told
//!   streams     bodies both ways, of any size, and connections used again
//!   faults      apps that fail in every way
//!   failing_apps  apps and instances that are not well for a while: who is asked, and how often
//!   provoked    callers who try to make an app seem to be ill
//!   crowds      many clients at once, and some that leave in the middle
//!   full        as many connections to apps as there may be
//!   cuts        what runs ends when the access does
//!   http2       frames by hand: requests of HTTP/2, and floods
//!   floods      frames that ask for nothing, and streams of which nothing is taken
//!   expectations  clients that wait to be asked for their body
//!   http2_apps  apps of HTTP/2: streams, trailers, and what becomes of one that ends early
//!   app_tls     apps behind TLS, and who is believed to be one
//!   proxied     who the client is when proxies stand in front
//!   tunnels     WebSockets and other protocols: how they begin, and what flows
//!   tunnel_ends    how they end
//!   tunnels_http2  the same over HTTP/2
//!   shed        more requests than may run: strangers are turned away first
//!   slow        clients that hold a connection and do little or nothing with it
//!   limits      how large a body may be, and how often who may ask
//!   traces      what a collector and an app are told of a trace, and which requests have a line in the log
//! ```

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

#[cfg(feature = "otel")]
#[path = "../harness/collector.rs"]
mod collector;
#[path = "../harness/frames.rs"]
mod frames;
#[path = "../harness/h2_app.rs"]
mod h2_app;
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the harness is shared by several tests, and this one needs little of it"
)]
#[path = "../harness/key_files.rs"]
mod key_files;
#[path = "../harness/upstream.rs"]
mod upstream;

mod agreement;
mod answers;
mod app_tls;
mod client;
mod crowds;
mod cuts;
mod early_hints;
mod expectations;
mod failing_apps;
mod faults;
mod floods;
mod full;
mod http2;
mod http2_apps;
mod identity;
mod limits;
mod log;
mod provoked;
mod proxied;
mod rows;
mod schemes;
mod shed;
mod slow;
mod streams;
#[cfg(feature = "otel")]
mod traces;
mod tunnel_ends;
mod tunnels;
mod tunnels_http2;
mod world;
