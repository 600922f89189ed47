//! `Locum-Authorization`: a token of Locum's beside an `Authorization` that is the app's own.
//!
//! Its value is what `Authorization` and `Proxy-Authorization` hold too: a scheme and its credentials
//! (RFC 9110 §11.4), here `Bearer token` or `Basic base64(username:token)`. A client that can write the
//! one can write the other by changing the name of the field, and there is no syntax of Locum's own to
//! learn or to misread. A bare token is therefore no credential, although it could be known by its
//! marker: what has two spellings is tested in one and sent in the other.
//!
//! The field is Locum's own, so on a route that accepts it everything in it is claimed: a scheme that is
//! neither of the two, and a Bearer that is no token of Locum's, are malformed and never "not mine".

use http::HeaderName;

use super::bearer::UsernameGiven;
use super::{Scheme, basic, bearer, credentials_of};
use crate::authn::presented::{Fault, Presented};

/// The field's name.
pub static LOCUM_AUTHORIZATION: HeaderName = HeaderName::from_static("locum-authorization");

/// Reads the field's value; `username` is what a header of the request says beside a Bearer.
pub fn read(value: &[u8], username: UsernameGiven<'_>, prefix: &str) -> Presented {
    if let Some(encoded) = credentials_of(value, "basic") {
        basic::read(encoded, prefix)
    } else if let Some(token) = credentials_of(value, "bearer") {
        bearer::read(token, username, prefix)
    } else {
        Presented::malformed(Scheme::Bearer, None, Fault::Scheme)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::directory::{Token, TokenKind};

    fn alone(value: &[u8]) -> Presented {
        read(value, UsernameGiven::NotAsked, "")
    }

    /// G2
    #[test]
    fn the_field_holds_a_basic_or_a_bearer() {
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("billing:{}", token.expose()));
        for value in [format!("Basic {encoded}"), format!("bASIC  {encoded}")] {
            let presented = alone(value.as_bytes());
            assert_eq!((presented.username(), presented.public_id()), (Some("billing"), Ok(token.public_id())));
        }
        for value in [format!("Bearer {}", token.expose()), format!("bearer {}", token.expose())] {
            let presented = alone(value.as_bytes());
            assert_eq!((presented.username(), presented.public_id()), (None, Ok(token.public_id())));
        }
    }

    /// G2: nothing in Locum's own field belongs to an app.
    #[test]
    fn whatever_else_stands_in_it_is_malformed() {
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let bare = token.expose().as_bytes();
        for value in [&b""[..], b" ", bare, b"Digest username=a", b"Basicx YTpi", b"Token x", b"\xff\xfe"] {
            let presented = alone(value);
            assert_eq!(presented.public_id(), Err(Fault::Scheme), "{value:?}");
            assert!(!presented.names_somebody(), "{value:?}");
        }
        for value in ["Bearer", "Bearer eyJhbGciOiJI.eyJzdWIi.c2ln", "Bearer ghp_0123"] {
            assert_eq!(alone(value.as_bytes()).public_id(), Err(Fault::Shape), "{value}");
        }
        let foreign = read(b"Bearer ghp_0123", UsernameGiven::Given(b"billing"), "");
        assert_eq!((foreign.username(), foreign.public_id()), (Some("billing"), Err(Fault::Shape)));
    }
}
