//! May they: the role set in force for an account, and how fresh it is.
//!
//! ```text
//!   in_force   what is known of an account when a decision is made about it
//!   handle     Authz: what the data plane holds; recall (no wait), resolve (a question to the other side)
//!   role_sets  what answers those questions: moka, filled from the store
//! ```
//!
//! As in `authn`, what is known is answered where the request is, and the rest is a question to the
//! control runtime. The rule itself is [`crate::directory::RoleSet::resolve`]: a proxy user holds no
//! more than its owner does, checked again here at every resolution, whatever the grants say (P5).

mod handle;
mod in_force;
mod role_sets;

pub use handle::{Authz, Settings};
pub use in_force::{InForce, Resolution, Withdrawn};
pub use role_sets::{RoleSets, build};
