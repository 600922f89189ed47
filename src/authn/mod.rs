//! Who is asking: from the head of a request to a proven account, or to a refusal that tells nothing.
//!
//! ```text
//!   presented   what the head carries, for the schemes that the route accepts   (parse only)
//!   scheme      Basic and Bearer: absent, not mine, claimed; and Locum's own header
//!   handle      Authn: what the data plane holds; recall (no wait), judge (a question to the other side)
//!   verified    the proven credentials of this node
//!   sources     the budget of failures of each source address
//!   verdict     proven, refused, throttled, unavailable
//!
//!   authenticator  what answers the questions, and the making of both sides
//!   backlog        how long questions wait, and when no more are asked
//!   judge          one look-up, one HMAC, one step of the counter
//!   judgement      the rules of the answer, pure: who is charged, who is told
//!   flights        judgements under way, shared by identical good credentials
//!   lockout        failures in a row, and the account is shut
//!   journal        what refusals leave behind in the history
//!   check          a token looked at without side effects
//! ```
//!
//! A known credential is answered where it arrives, from memory. Everything else is a question to the
//! control runtime, over a bounded channel with a timeout: no database and no Redis is ever polled on a
//! thread that serves.

mod authenticator;
mod backlog;
mod check;
mod digest;
mod flights;
mod handle;
mod journal;
mod judge;
mod judgement;
pub mod lockout;
mod presented;
mod proven;
mod records;
pub mod scheme;
mod sources;
mod verdict;
mod verified;

pub use authenticator::{Authenticator, Parts, build};
pub use check::{Checked, Report, check};
pub use handle::{Authn, Settings};
pub use presented::{Accepts, Fault, Presentation, Presented};
pub use proven::Proven;
pub use records::Records;
pub use scheme::carries_a_token;
pub use scheme::locum_authorization::LOCUM_AUTHORIZATION;
pub use sources::{Prefix, Sources, ThrottleSettings};
pub use verdict::{RefusalReason, Source, Verdict};

/// Reads what a request presents, by itself: for its fuzz target.
#[cfg(fuzzing)]
pub fn present(headers: &http::HeaderMap, accepts: &Accepts<'_>, prefix: &str) -> Presentation {
    presented::present(headers, accepts, prefix)
}
