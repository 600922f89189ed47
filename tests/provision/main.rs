//! The operations, against SQLite and against a real PostgreSQL: rules, actions, and what is known on
//! this node when an operation returns.
//!
//! A claim is a function of a [`world::World`]; `claims!` makes one test of it for each database.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(unreachable_pub, reason = "the harness is shared by several tests, each a crate of its own")]

mod access;
mod actions;
mod administrators;
mod api_keys;
mod arbitrary;
mod expiry;
mod jobs;
mod keys;
mod legacy_names;
mod life;
mod lockout;
mod names;
mod personal;
mod retention;
mod rights;
mod roles;
mod tokens;
mod world;

#[expect(dead_code, reason = "the harness is shared, and not all of it is needed here")]
#[path = "../harness/key_files.rs"]
mod key_files;
#[path = "../harness/postgres.rs"]
#[expect(dead_code, reason = "the harness is shared, and not all of it is needed here")]
mod postgres;
