//! What a request presented: read from its head, believed by nobody yet.
//!
//! A route says which schemes it accepts, and only those are read. The text of a credential stands in
//! one fixed place inside the value and is wiped when it is dropped; nothing is allocated, because this
//! runs for every request and most of them carry a credential that this node has already proven.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::scheme::bearer::UsernameGiven;
use super::scheme::locum_authorization::{self, LOCUM_AUTHORIZATION};
use super::scheme::{Claim, Scheme, basic, bearer};
use crate::directory::token::TokenError;
use crate::directory::{PublicId, Token, TokenKind, Username};
use crate::policy::{Accept, Rule};

/// What a route reads of a head; only that is read (G2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepts<'a> {
    pub schemes: Accept,
    /// The header in which a Bearer's username is required, where the route asks for one.
    pub username_header: Option<&'a HeaderName>,
}

impl<'a> Accepts<'a> {
    /// What a route with this rule reads.
    pub const fn of(rule: &'a Rule) -> Self {
        Self { schemes: rule.accept, username_header: rule.username_header.as_ref() }
    }
}

/// What the head of a request carries for the accepted schemes.
#[derive(Debug)]
pub enum Presentation {
    /// Nothing that an accepted scheme claims; an `Authorization` that is there belongs to the app.
    Absent,
    /// One credential, well formed or not, and whether `Authorization` carried it, which then is not the
    /// app's. What carried it is consumed and never forwarded (G7).
    Claimed { presented: Presented, in_authorization: bool },
    /// More than one of a header that holds a credential: nobody can say which one counts, so the message
    /// is refused.
    Repeated,
    /// Two credentials of Locum's, in two headers. Refused as well: whichever was judged, the other
    /// would be a second try within one request (G2).
    Two,
}

/// Reads what a request presents, under the installation's token `prefix`.
pub(super) fn present(headers: &HeaderMap, accepts: &Accepts<'_>, prefix: &str) -> Presentation {
    let Ok(authorization) = at_most_one(headers, &AUTHORIZATION) else { return Presentation::Repeated };
    let claimed = authorization.and_then(|value| claim(value, headers, accepts, prefix));
    let own = if accepts.schemes.locum_authorization {
        let Ok(own) = at_most_one(headers, &LOCUM_AUTHORIZATION) else { return Presentation::Repeated };
        own
    } else {
        None
    };
    match (claimed, own) {
        (None, None) => Presentation::Absent,
        (Some(presented), None) => Presentation::Claimed { presented, in_authorization: true },
        (None, Some(own)) => {
            let presented = locum_authorization::read(own.as_bytes(), username(headers, accepts), prefix);
            Presentation::Claimed { presented, in_authorization: false }
        }
        (Some(_), Some(_)) => Presentation::Two,
    }
}

/// What an accepted scheme claims of an `Authorization`.
fn claim(value: &HeaderValue, headers: &HeaderMap, accepts: &Accepts<'_>, prefix: &str) -> Option<Presented> {
    if accepts.schemes.basic
        && let Claim::Claimed(presented) = basic::claim(value.as_bytes(), prefix)
    {
        return Some(presented);
    }
    if accepts.schemes.bearer
        && let Claim::Claimed(presented) = bearer::claim(value.as_bytes(), username(headers, accepts), prefix)
    {
        return Some(presented);
    }
    None
}

/// The value of a header that may stand in a head once.
fn at_most_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(first) }
}

/// A header stands in a head more than once.
struct Repeated;

fn username<'a>(headers: &'a HeaderMap, accepts: &Accepts<'_>) -> UsernameGiven<'a> {
    let Some(name) = accepts.username_header else { return UsernameGiven::NotAsked };
    match at_most_one(headers, name) {
        Ok(Some(value)) => UsernameGiven::Given(value.as_bytes()),
        Ok(None) | Err(Repeated) => UsernameGiven::Missing,
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
    /// Neither Basic nor Bearer, in the header that is Locum's own.
    Scheme,
}

impl Fault {
    pub const ALL: [Self; 7] =
        [Self::Encoding, Self::NoColon, Self::TooLong, Self::Shape, Self::Checksum, Self::Kind, Self::Scheme];

    pub const fn slug(self) -> &'static str {
        match self {
            Self::Encoding => "malformed_encoding",
            Self::NoColon => "malformed_no_colon",
            Self::TooLong => "malformed_too_long",
            Self::Shape => "malformed_token",
            Self::Checksum => "malformed_checksum",
            Self::Kind => "malformed_kind",
            Self::Scheme => "malformed_scheme",
        }
    }
}

/// One claimed credential. Purposefully not `Clone`: the secret stands in one place, and a second one is
/// asked for by [`Presented::duplicate`].
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
    /// Nobody, and the route requires a name.
    Missing,
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

    /// The same without the username that the route requires beside it.
    pub(super) const fn lacking_its_username(mut self) -> Self {
        self.user = User::Missing;
        self
    }

    /// A second copy, for a judgement that may have to be asked for again.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { text: self.text.clone(), ..*self }
    }

    /// The username as it was typed, where one was given that fits. Never trusted, and never logged: it
    /// may be anything, also a secret in the wrong place.
    pub fn username(&self) -> Option<&str> {
        match self.user {
            User::Given => std::str::from_utf8(&self.text[..usize::from(self.user_length)]).ok(),
            User::Nobody | User::Missing | User::Impossible => None,
        }
    }

    /// Whether a username was given at all, possible or not.
    pub const fn gives_username(&self) -> bool {
        matches!(self.user, User::Given | User::Impossible)
    }

    /// Whether the route requires a username, and there is none, or more than one.
    pub const fn lacks_its_username(&self) -> bool {
        matches!(self.user, User::Missing)
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
            (_, User::Impossible | User::Missing) => return None,
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
