//! What may be done: patterns of paths, the route table, rules, and the decision.
//!
//! Pure words, as the directory is. The request line goes in, a route or a refusal comes out; a
//! principal and a rule go in, a [`Permit`] or a [`Denial`] comes out. Nothing else in the program can
//! make a `Permit`, so what is forwarded was decided here.

pub mod decide;
pub mod host;
pub mod path;
pub mod path_reading;
pub mod pattern;
pub mod rate_limit;
pub mod route_table;
pub mod rule;
pub mod upgrades;

pub use decide::{Denial, Permit, Principal, decide};
pub use host::HostName;
pub use path::{PathRefusal, Readings};
pub use path_reading::PathReading;
pub use pattern::{PathPrefix, Pattern};
pub use rate_limit::{Per, RateLimit};
pub use route_table::{AppRoutes, Miss, Route, RouteSettings, RouteTable, TableProblem};
pub use rule::{Accept, OwnTimeouts, Rule};
pub use upgrades::{UpgradeError, Upgrades};
