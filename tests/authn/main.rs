//! Authentication through its public doors, over a real SQLite store: what is accepted, what is
//! refused and what that leaves behind, what a cache may answer, and what a check says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accepted;
mod bounded;
mod checked;
mod counted;
mod fresh;
mod house;
mod in_force;
mod refused;
mod steps;
