//! Who is asking: from the head of a request to a proven account, or to a refusal that tells nothing.
//!
//! ```text
//!   presented   what the head carries, for the schemes that the route accepts   (parse only)
//!   scheme      Basic and Bearer: absent, not mine, claimed
//!   handle      Authn: what the data plane holds; recall (no wait), judge (a question to the other side)
//!   verified    the proven credentials of this node
//!   sources     the budget of failures of each source address
//!   verdict     proven, refused, throttled, unavailable
//! ```
//!
//! A known credential is answered where it arrives, from memory. Everything else is a question to the
//! control runtime, over a bounded channel with a timeout: no database and no Redis is ever polled on a
//! thread that serves.

mod digest;
mod handle;
pub mod lockout;
mod presented;
mod proven;
pub mod scheme;
mod sources;
mod verdict;
mod verified;

pub use handle::{Authn, Settings};
pub use presented::{Accepts, Fault, Presentation, Presented};
pub use proven::Proven;
pub use sources::{Sources, ThrottleSettings};
pub use verdict::{RefusalReason, Source, Verdict};
