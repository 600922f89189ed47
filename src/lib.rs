//! Locum: the gate in front of existing web applications.
//!
//! # The map
//!
//! ```text
//!   words      directory   who exists, and the rules between them
//!              policy      what may be done: pattern, rule, route table, decide
//!              history     what was done: actions, their types, the hash chain, its checkpoints and exports
//!              clock       instants, and the clock that is passed in
//!   keeping    seal        personal data: sealed for its place, under keys that can be destroyed
//!              store       what lasts: SQLite or PostgreSQL behind one text of each query
//!              cluster     what nodes share and may lose: failure counts in Redis
//!   deciding   authn       who is asking: schemes, tokens, the lockout, proven credentials
//!              authz       may they: role sets in force, and how fresh they are
//!   serving    gateway     the data plane: the head guard, THE STACK (one layer a file), tunnels, the connections to apps
//!              provision   operations: one function, one rule set, one transaction, its actions
//!              jobs        work by the clock: saved by name, on a schedule, once per cluster
//!              admin       the control plane's face: the admin API
//!   running    config      the TOML file, all of its problems at once, the rooms' settings
//!              telemetry   log, metrics and traces
//!              server      composition: open, build, bind, run, reload, restart, drain; how a connection comes in (TLS, ACME, proxies, HTTP/2); monitoring
//!              cli         the command line
//! ```
//!
//! # Who may import whom
//!
//! Downwards only, and `tests/architecture.rs` holds it: the words import no other floor (`directory`
//! and `history` take instants from `clock`); `seal` knows `directory`; `store` knows the words and `seal`;
//! `cluster` knows `directory` and `clock`; `authn` knows the words, `store` and `cluster`, and `authz`
//! `seal` too; the `gateway` knows `authn`, `authz`, `cluster` and the words, and **not** the `store`;
//! `provision` knows the words, `seal`, `store`, `cluster` and `authz`; `jobs` knows `provision`, the `store` and the
//! words; `admin` knows `jobs`, `provision`, `authn`, `authz` and reads of the `store`;
//! `config` knows only the settings of the rooms; `server` and `cli` know everything. Every room may
//! use `telemetry`.

pub mod admin;
pub mod authn;
pub mod authz;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod directory;
pub mod gateway;
pub mod history;
pub mod jobs;
pub mod policy;
pub mod provision;
pub mod seal;
pub mod server;
pub mod store;
pub mod telemetry;
