//! What nodes share and may lose: how fresh an account's cached answers are, what runs on its behalf,
//! and how often in a row somebody failed as it.
//!
//! Nothing here is the truth: that is in the store. So whatever is kept in this room may vanish with
//! its process or its Redis, and the rest of the house goes on, more slowly or with fewer counts, and
//! never with a wider answer.

pub mod failure_counts;
pub mod in_flight;
pub mod redis;
pub mod subjects;
mod sync;

pub use failure_counts::{FailureCounts, Unavailable};
pub use in_flight::{Cut, Guard, InFlight, Ticket};
pub use redis::{Authorities, AuthoritiesError, Probe, RedisCounts, RedisSettings, RedisUrlError};
pub use subjects::{Moment, Stamp, Subject, Subjects};
