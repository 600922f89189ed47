//! The schemes: who claims which `Authorization`, with three outcomes each, and what stands in Locum's own field.
//!
//! A scheme was *absent*, or what is there is *not its own*, or it *claims* what is there, well formed
//! or not. "Claimed and malformed" is not "absent": a request that tried to authenticate and failed is
//! refused, also on a public route, and never falls through to the next scheme or to the app (G2).

pub mod basic;
pub mod bearer;
pub mod locum_authorization;

use super::Presented;
use crate::directory::Token;

/// A scheme that a route can accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `Authorization: Basic base64(username:token)`, RFC 7617.
    Basic,
    /// `Authorization: Bearer token`, RFC 6750.
    Bearer,
}

impl Scheme {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Bearer => "bearer",
        }
    }
}

/// What one scheme says to one `Authorization`.
#[derive(Debug)]
pub enum Claim {
    /// The header carries another scheme.
    Absent,
    /// The header carries this scheme, but what is in it belongs to the app.
    NotMine,
    /// Ours, well formed or not.
    Claimed(Presented),
}

/// Splits a header's value into its scheme and what follows (RFC 9110 §11.4); the scheme's name knows no
/// case.
pub(super) fn credentials_of<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (name, rest) = value.split_at_checked(scheme.len())?;
    if !name.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ', ..] => Some(rest.trim_ascii()),
        _ => None,
    }
}

/// Whether a value that no scheme claimed carries one of Locum's tokens all the same: as a word of its
/// own, or on either side of the colon of a Basic, as programs send it that take a token for a name.
/// Such a value is nobody's credential here, and still not for an app to see.
pub fn carries_a_token(value: &[u8]) -> bool {
    let in_a_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'/' | b'=');
    let words = value.split(|b| !in_a_word(b)).filter(|word| word.len() >= SHORTEST_MARKER);
    words.into_iter().any(|word| claims(word) || basic::hides_a_token(word))
}

/// A word that is shorter cannot hold the marker of a token, plain or encoded, and costs nothing.
const SHORTEST_MARKER: usize = "locum_pat_".len();

fn claims(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(Token::claims)
}
