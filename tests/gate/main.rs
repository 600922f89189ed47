//! The gate itself: the real binary, reached through sockets and the command line as its users do.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

mod acme;
mod admin_network;
mod app_floods;
mod bodies;
mod canaries;
mod crowd;
mod dev;
mod error_pages;
mod failing_apps;
mod failover;
mod full_disk;
mod https;
mod keys;
mod load;
mod lockout;
mod monitoring;
mod overload;
mod pebble;
mod reload;
mod restart;
mod rows;
mod running;
mod stories;
mod systemd;
mod tls;
#[cfg(feature = "otel")]
mod traces;
mod websockets;

#[path = "../harness/acme.rs"]
mod acme_server;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/attacks.rs"]
mod attacks;
#[path = "../harness/authority.rs"]
mod authority;
#[cfg(feature = "otel")]
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/collector.rs"]
mod collector;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/frames.rs"]
mod frames;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/h2_app.rs"]
mod h2_app;
#[path = "../harness/locum.rs"]
mod locum;
#[path = "../harness/pebble.rs"]
mod pebble_server;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/postgres.rs"]
mod postgres;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/redis.rs"]
mod redis;
#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs little of it")]
#[path = "../harness/upstream.rs"]
mod upstream;
