//! Strictness in front of the parser: what of an HTTP/1 message is refused before hyper reads it.
//!
//! hyper accepts some messages that another reader would read in another way, and by the time that the
//! gateway sees a request nothing shows it any more: a bare LF as the end of a line, `Content-Length`
//! beside `Transfer-Encoding`, a `#` in the target. So every head is looked at as it came, before hyper
//! gets a byte of it; and because the next head begins where a body ends, bodies are followed too.
//!
//! ```text
//!   head      one head, line by line: refused, or whole with its framing
//!   framing   where a body ends: by its length, or by its chunks and trailers
//!   scanner   heads and bodies in turn: how many bytes may be handed on. Pure: bytes in, a number out
//!   stream    the scanner around a socket
//! ```
//!
//! Nothing is repaired. A head that is refused never reaches hyper: in its place, and in its turn behind
//! the answers to what was pipelined before it, hyper reads a placeholder, a request that asks to be refused, so
//! that the refusal comes from where all refusals come from, with an id and a line in the log. No byte that
//! came behind it is ever read as a request.
//!
//! Architecture invariant: whatever the guard and hyper both accept, they read alike. Where the guard
//! is unsure it refuses, or it ends what hyper sees, which hyper can only take for a message broken off.

mod framing;
mod head;
mod scanner;
mod stream;

pub use scanner::{End, Limits, Scan, Scanner};
pub use stream::HeadGuard;

pub(super) use stream::REFUSED_PATH;

use super::refusal::Refusal;

/// Why a head is refused before it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// What came cannot be the beginning of a request: a TLS handshake on a port without TLS, or noise.
    NotHttp,
    /// A line that ends in LF alone.
    BareLf,
    /// A CR that no LF follows.
    BareCr,
    /// More empty lines before a request than a careless client sends.
    LeadingLines,
    /// A line that goes on from the one before it.
    Folded,
    /// The preface of HTTP/2, where HTTP/1 is spoken.
    Preface,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version,
    /// A fragment in the target: it is never sent, and hyper would cut it off unseen.
    Fragment,
    /// A `Content-Length` that is no number, or more than one.
    Length,
    /// A `Transfer-Encoding` that is not exactly one `chunked`, or in HTTP/1.0.
    Coding,
    /// `Content-Length` and `Transfer-Encoding` in one head.
    LengthAndCoding,
    /// The request line is too long.
    LineTooLong,
    /// The head is too long, or has too many fields.
    TooLarge,
}

impl HeadFault {
    /// For the log.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::BareLf => "bare_lf",
            Self::BareCr => "bare_cr",
            Self::LeadingLines => "leading_lines",
            Self::Folded => "folded_line",
            Self::Preface => "http2_preface",
            Self::Version => "http_version",
            Self::Fragment => "target_fragment",
            Self::Length => "content_length",
            Self::Coding => "transfer_encoding",
            Self::LengthAndCoding => "length_and_coding",
            Self::LineTooLong => "request_line_too_long",
            Self::TooLarge => "head_too_large",
        }
    }
}

impl From<HeadFault> for Refusal {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::LineTooLong => Self::TargetTooLong,
            HeadFault::TooLarge => Self::HeadTooLarge,
            other => Self::Malformed(other.slug()),
        }
    }
}

#[cfg(test)]
mod tests;
