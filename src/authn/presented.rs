//! What a request presented: read from its head, believed by nobody yet.
//!
//! A route says which schemes it accepts, and only those are read. The text of a credential stands in
//! one fixed place inside the value and is wiped when it is dropped; nothing is allocated, because this
//! runs for every request and most of them carry a credential that this node has already proven.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use zeroize::Zeroizing;

use super::scheme::bearer::UsernameGiven;
use super::scheme::{Claim, Scheme, basic, bearer};
use crate::directory::token::TokenError;
use crate::directory::{PublicId, Token, TokenKind, Username};

/// The schemes that a route accepts; only those are read (G2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepts {
    pub basic: bool,
    pub bearer: bool,
    /// The header in which a Bearer's username is required, where the route asks for one.
    pub username_header: Option<HeaderName>,
}

/// What the head of a request carries for the accepted schemes.
#[derive(Debug)]
pub enum Presentation {
    /// Nothing that an accepted scheme claims; an `Authorization` that is there belongs to the app.
    Absent,
    /// One credential, well formed or not. The header is consumed and never forwarded (G7).
    Claimed(Presented),
    /// More than one `Authorization`: nobody can say which one counts, so the message is refused.
    Repeated,
}

/// Reads what a request presents, under the installation's token `prefix`.
pub(super) fn present(headers: &HeaderMap, accepts: &Accepts, prefix: &str) -> Presentation {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Presentation::Absent };
    if values.next().is_some() {
        return Presentation::Repeated;
    }
    if accepts.basic
        && let Claim::Claimed(presented) = basic::claim(value.as_bytes(), prefix)
    {
        return Presentation::Claimed(presented);
    }
    if accepts.bearer
        && let Claim::Claimed(presented) = bearer::claim(value.as_bytes(), username(headers, accepts), prefix)
    {
        return Presentation::Claimed(presented);
    }
    Presentation::Absent
}

fn username<'a>(headers: &'a HeaderMap, accepts: &Accepts) -> UsernameGiven<'a> {
    let Some(name) = &accepts.username_header else { return UsernameGiven::NotAsked };
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => UsernameGiven::Given(value.as_bytes()),
        _ => UsernameGiven::Missing,
    }
}

/// Why a claimed credential holds no token that could be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Not base64.
    Encoding,
    /// No colon between username and password.
    NoColon,
    /// Longer than any credential can be.
    TooLong,
    /// Not of this installation's token format.
    Shape,
    /// The checksum does not agree.
    Checksum,
    /// A token of Locum's, but not one for the gateway.
    Kind,
    /// The route requires a username beside the token, and there is none.
    UsernameMissing,
}

impl Fault {
    pub const ALL: [Self; 7] =
        [Self::Encoding, Self::NoColon, Self::TooLong, Self::Shape, Self::Checksum, Self::Kind, Self::UsernameMissing];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::Encoding => "malformed_encoding",
            Self::NoColon => "malformed_no_colon",
            Self::TooLong => "malformed_too_long",
            Self::Shape => "malformed_token",
            Self::Checksum => "malformed_checksum",
            Self::Kind => "malformed_kind",
            Self::UsernameMissing => "malformed_no_username",
        }
    }
}

/// One claimed credential. Purposefully not `Clone`: the secret stands in one place.
pub struct Presented {
    scheme: Scheme,
    user: User,
    token: Result<PublicId, Fault>,
    user_length: u8,
    token_length: u8,
    text: Zeroizing<[u8; ROOM]>,
}

/// Whom a credential names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Nobody,
    /// The first `user_length` bytes of the text, which are UTF-8.
    Given,
    /// A name that no account can have: too long, or no text.
    Impossible,
}

const ROOM: usize = Username::MAX_LENGTH + Token::MAX_LENGTH;

impl Presented {
    /// Reads a token beside the username that was given, if one was.
    pub(super) fn read(scheme: Scheme, username: Option<&[u8]>, token: &[u8], prefix: &str) -> Self {
        let inspected = match std::str::from_utf8(token) {
            Ok(text) => inspect(text, prefix),
            Err(_) => Err(Fault::Shape),
        };
        let mut presented = Self::malformed(scheme, username, Fault::Shape);
        presented.token = inspected;
        if inspected.is_ok() {
            let start = usize::from(presented.user_length);
            presented.text[start..start + token.len()].copy_from_slice(token);
            presented.token_length = length(token);
        }
        presented
    }

    /// A claimed credential without a token that could be looked up.
    pub(super) fn malformed(scheme: Scheme, username: Option<&[u8]>, fault: Fault) -> Self {
        let mut text = Zeroizing::new([0; ROOM]);
        let (user, user_length) = match username {
            None => (User::Nobody, 0),
            Some(name) if name.len() <= Username::MAX_LENGTH && std::str::from_utf8(name).is_ok() => {
                text[..name.len()].copy_from_slice(name);
                (User::Given, length(name))
            }
            Some(_) => (User::Impossible, 0),
        };
        Self { scheme, user, token: Err(fault), user_length, token_length: 0, text }
    }

    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The username as it was typed, where one was given that fits. Never trusted, and never logged: it
    /// may be anything, also a secret in the wrong place.
    pub fn username(&self) -> Option<&str> {
        match self.user {
            User::Given => std::str::from_utf8(&self.text[..usize::from(self.user_length)]).ok(),
            User::Nobody | User::Impossible => None,
        }
    }

    /// Whether a username was given at all, possible or not.
    pub fn gives_username(&self) -> bool {
        self.user != User::Nobody
    }

    /// The public id of a well-formed token, or what is wrong with what was presented.
    ///
    /// # Errors
    /// The fault of a credential that holds no well-formed token.
    pub const fn public_id(&self) -> Result<PublicId, Fault> {
        self.token
    }

    /// Whether a username or a well-formed token names somebody, existing or not. What names nobody
    /// ends here: it is refused with no look-up (decision 21).
    pub fn names_somebody(&self) -> bool {
        self.gives_username() || self.token.is_ok()
    }

    /// The token itself, for hashing.
    pub(super) fn token(&self, prefix: &str) -> Option<Token> {
        Token::parse(self.token_text()?, prefix).ok()
    }

    /// The text of a well-formed token.
    pub(super) fn token_text(&self) -> Option<&str> {
        self.token.ok()?;
        let start = usize::from(self.user_length);
        std::str::from_utf8(&self.text[start..start + usize::from(self.token_length)]).ok()
    }

    /// Scheme, username and token, told apart by their lengths, for a digest that no two credentials
    /// share. `None` for what can never be proven.
    pub(super) fn canonical(&self) -> Option<Canonical> {
        self.token.ok()?;
        let form = match (self.scheme, self.user) {
            (_, User::Impossible) => return None,
            (Scheme::Basic, User::Given | User::Nobody) => 1,
            (Scheme::Bearer, User::Nobody) => 2,
            (Scheme::Bearer, User::Given) => 3,
        };
        let mut bytes = Zeroizing::new([0; CANONICAL_ROOM]);
        bytes[..3].copy_from_slice(&[form, self.user_length, self.token_length]);
        bytes[3..].copy_from_slice(self.text.as_slice());
        Some(Canonical { length: 3 + usize::from(self.user_length) + usize::from(self.token_length), bytes })
    }
}

const CANONICAL_ROOM: usize = 3 + ROOM;

/// The one byte form of a credential; wiped when it is dropped.
pub(super) struct Canonical {
    bytes: Zeroizing<[u8; CANONICAL_ROOM]>,
    length: usize,
}

impl Canonical {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The text's length; never more than [`ROOM`], which fits.
fn length(text: &[u8]) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

fn inspect(text: &str, prefix: &str) -> Result<PublicId, Fault> {
    match Token::inspect(text, prefix) {
        Ok((TokenKind::PersonalAccess, public_id)) => Ok(public_id),
        Ok((TokenKind::AdminApi | TokenKind::Scim | TokenKind::Invitation, _)) => Err(Fault::Kind),
        Err(TokenError::Shape) => Err(Fault::Shape),
        Err(TokenError::Checksum) => Err(Fault::Checksum),
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("scheme", &self.scheme)
            .field("user", &self.user)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
