//! `Authorization: Bearer token` (RFC 6750), for tokens of Locum's format only.
//!
//! Any other Bearer is the app's own: it passes, and is never judged and never counted. What carries
//! one of Locum's markers is claimed even when it is damaged, so that a mistyped token is refused here
//! and never shown to an app.

use super::{Claim, Scheme, credentials_of};
use crate::authn::presented::Presented;
use crate::directory::Token;

/// Claims a Bearer that carries one of Locum's markers. `username` is what a header of the request says,
/// where the route reads one.
pub fn claim(value: &[u8], username: UsernameGiven<'_>, prefix: &str) -> Claim {
    let Some(token) = credentials_of(value, "bearer") else { return Claim::Absent };
    if !Token::claims(readable(token)) {
        return Claim::NotMine;
    }
    Claim::Claimed(read(token, username, prefix))
}

/// Reads what follows the scheme's name. A username that is missing leaves the token as it is: it still
/// says whose account the attempt is on (L10), and the judgement refuses it.
pub(super) fn read(token: &[u8], username: UsernameGiven<'_>, prefix: &str) -> Presented {
    match username {
        UsernameGiven::NotAsked => Presented::read(Scheme::Bearer, None, token, prefix),
        UsernameGiven::Missing => Presented::read(Scheme::Bearer, None, token, prefix).lacking_its_username(),
        UsernameGiven::Given(username) => Presented::read(Scheme::Bearer, Some(username), token, prefix),
    }
}

/// What a route's header for the username says beside a Bearer.
#[derive(Debug, Clone, Copy)]
pub enum UsernameGiven<'a> {
    /// The route reads no such header.
    NotAsked,
    /// It is required and not there, or there more than once.
    Missing,
    Given(&'a [u8]),
}

/// The part of a header's value that is text; a marker stands near its start.
fn readable(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::presented::Fault;
    use crate::directory::TokenKind;

    fn bearer(value: &[u8]) -> Claim {
        claim(value, UsernameGiven::NotAsked, "")
    }

    /// G2, decision 6
    #[test]
    fn a_foreign_bearer_is_not_mine_and_a_locum_token_is() {
        for foreign in
            ["Bearer", "Bearer ", "Bearer ghp_0123", "bearer eyJhbGciOiJI.eyJzdWIi.c2ln", "Bearer \u{e4}\u{e4}"]
        {
            assert!(matches!(bearer(foreign.as_bytes()), Claim::NotMine), "{foreign}");
        }
        assert!(matches!(bearer(b"Basic YTpi"), Claim::Absent));
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let Claim::Claimed(presented) = bearer(format!("Bearer {}", token.expose()).as_bytes()) else { panic!() };
        assert_eq!((presented.username(), presented.public_id()), (None, Ok(token.public_id())));
    }

    /// G7: a damaged token is still a secret, and no app sees it.
    #[test]
    fn a_damaged_token_is_claimed_and_malformed() {
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let cut = &token.expose()[..60];
        let mut bytes = format!("Bearer {}", token.expose()).into_bytes();
        bytes.push(0xff);
        for value in [format!("Bearer {cut}").into_bytes(), format!("Bearer {cut}, x").into_bytes(), bytes] {
            let Claim::Claimed(presented) = bearer(&value) else { panic!("{value:?}") };
            assert_eq!(presented.public_id(), Err(Fault::Shape));
            assert!(!presented.names_somebody());
        }
        let other = Token::generate(TokenKind::AdminApi, "", |pool| pool.fill(9));
        let Claim::Claimed(presented) = bearer(format!("Bearer {}", other.expose()).as_bytes()) else { panic!() };
        assert_eq!(presented.public_id(), Err(Fault::Kind));
    }

    /// G2, L10
    #[test]
    fn a_required_username_that_is_missing_leaves_the_token_that_names_an_account() {
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let value = format!("Bearer {}", token.expose());
        let Claim::Claimed(missing) = claim(value.as_bytes(), UsernameGiven::Missing, "") else { panic!() };
        assert!(missing.lacks_its_username() && !missing.gives_username());
        assert_eq!((missing.username(), missing.public_id()), (None, Ok(token.public_id())));
        let Claim::Claimed(given) = claim(value.as_bytes(), UsernameGiven::Given(b"billing"), "") else { panic!() };
        assert!(!given.lacks_its_username());
        assert_eq!((given.username(), given.public_id()), (Some("billing"), Ok(token.public_id())));
    }
}
