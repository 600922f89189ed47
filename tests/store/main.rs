//! The battery of the store: every claim against SQLite and against a real PostgreSQL.
//!
//! A claim is a function of a [`Backend`]; `claims!` makes one test of it for each database. What only
//! one of them can suffer (a file that is deleted, a server that is stopped) has a file of its own.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

mod changes;
mod child;
mod counts;
mod directory;
mod files;
mod full_disk;
mod history;
mod kills;
mod locks;
mod model;
mod opening;
mod servers;
mod tls;
mod tokens;
mod transfer;
mod world;

#[expect(dead_code, reason = "the harness is shared by several tests, and this one needs one kind of server")]
#[path = "../harness/authority.rs"]
mod authority;
#[path = "../harness/postgres.rs"]
mod postgres;
