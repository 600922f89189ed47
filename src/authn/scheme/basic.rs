//! `Authorization: Basic base64(username:token)` (RFC 7617): what git, pip, curl and calendars send.
//!
//! A route that accepts Basic claims every Basic. Decoding needs no allocation: what fits the longest
//! username and the longest token is decoded on the stack, and of anything longer only as much as may
//! name a user, because a refused attempt is counted for whom it names, however long its password is.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{Claim, Scheme, credentials_of};
use crate::authn::presented::{Fault, Presented};
use crate::directory::{Token, Username};

/// Bytes of base64 that are decoded: room for `username:token` and a little more, a multiple of four.
const ENCODED_ROOM: usize = (Username::MAX_LENGTH + 1 + Token::MAX_LENGTH).div_ceil(3) * 4 + 4;
const DECODED_ROOM: usize = ENCODED_ROOM / 4 * 3;

/// With padding or without it; trailing bits have to be zero, so that one credential has one form.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Claims every Basic, under the installation's token `prefix`.
pub fn claim(value: &[u8], prefix: &str) -> Claim {
    match credentials_of(value, "basic") {
        None => Claim::Absent,
        Some(encoded) => Claim::Claimed(read(encoded, prefix)),
    }
}

/// Whether a word is a token in base64, by itself or beside a colon. No more of it is decoded than holds
/// a username and a token.
pub(super) fn hides_a_token(word: &[u8]) -> bool {
    let mut room = Zeroizing::new([0_u8; DECODED_ROOM]);
    let encoded = word.get(..ENCODED_ROOM).unwrap_or(word);
    let Ok(length) = BASE64.decode_slice(encoded, room.as_mut_slice()) else { return false };
    room[..length].split(|byte| *byte == b':').any(super::claims)
}

/// Reads what follows the scheme's name.
pub(super) fn read(encoded: &[u8], prefix: &str) -> Presented {
    let (encoded, whole) = match encoded.split_at_checked(ENCODED_ROOM) {
        Some((start, rest)) if !rest.is_empty() => (start, false),
        _ => (encoded, true),
    };
    let mut room = Zeroizing::new([0_u8; DECODED_ROOM]);
    let Ok(length) = BASE64.decode_slice(encoded, room.as_mut_slice()) else {
        return Presented::malformed(Scheme::Basic, None, Fault::Encoding);
    };
    let decoded = &room[..length];
    let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
        return Presented::malformed(Scheme::Basic, None, if whole { Fault::NoColon } else { Fault::TooLong });
    };
    let (username, password) = (&decoded[..colon], &decoded[colon + 1..]);
    if whole {
        Presented::read(Scheme::Basic, Some(username), password, prefix)
    } else {
        Presented::malformed(Scheme::Basic, Some(username), Fault::TooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::TokenKind;

    fn claimed(text: &[u8]) -> Presented {
        let value = format!("Basic {}", BASE64.encode(text));
        match claim(value.as_bytes(), "") {
            Claim::Claimed(presented) => presented,
            other => panic!("{other:?}"),
        }
    }

    fn token() -> Token {
        Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9))
    }

    /// G2
    #[test]
    fn a_username_and_its_token_are_read_whatever_the_case_of_the_scheme() {
        let encoded = BASE64.encode(format!("billing:{}", token().expose()));
        for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
            let Claim::Claimed(presented) = claim(format!("{scheme}  {encoded}").as_bytes(), "") else { panic!() };
            assert_eq!(presented.username(), Some("billing"));
            assert_eq!(presented.public_id(), Ok(token().public_id()));
        }
        assert!(matches!(claim(format!("Basicx {encoded}").as_bytes(), ""), Claim::Absent));
        assert!(matches!(claim(b"Digest username=a", ""), Claim::Absent));
    }

    /// PT-007: each is claimed, none is a panic, and what may be a name is kept for the count.
    #[test]
    fn what_cannot_be_read_is_claimed_with_its_fault() {
        let long = format!("billing:{}", "x".repeat(10 * 1024));
        let cases: [(&[u8], Option<&str>, Fault); 7] = [
            (b"", None, Fault::NoColon),
            (b"billing", None, Fault::NoColon),
            (b"billing:", Some("billing"), Fault::Shape),
            (b"billing:nonsense", Some("billing"), Fault::Shape),
            (b"billing:\xff\xfe", Some("billing"), Fault::Shape),
            (long.as_bytes(), Some("billing"), Fault::TooLong),
            ("\u{feff}billing:x".as_bytes(), Some("\u{feff}billing"), Fault::Shape),
        ];
        for (text, username, fault) in cases {
            let presented = claimed(text);
            assert_eq!((presented.username(), presented.public_id()), (username, Err(fault)), "{text:?}");
        }
        for raw in ["Basic", "Basic ", "Basic !!!!", "Basic YQ=", "Basic YmlsbGluZzp4 YmlsbGluZzp4"] {
            let Claim::Claimed(presented) = claim(raw.as_bytes(), "") else { panic!("{raw}") };
            assert!(presented.username().is_none() && presented.public_id().is_err(), "{raw}");
        }
    }

    /// AU-012: a name that no account can have is a name all the same.
    #[test]
    fn a_name_of_300_bytes_or_with_strange_bytes_names_somebody_who_cannot_exist() {
        let long = "u".repeat(300);
        for name in [long.as_bytes(), b"bill\xffing", b"bill\0ing", b"billing ", b"", b"\tbilling"] {
            let mut text = name.to_vec();
            text.push(b':');
            text.extend_from_slice(b"nonsense");
            let presented = claimed(&text);
            let possible = presented.username().is_some_and(|name| Username::parse(name).is_ok());
            assert!(!possible, "{name:?}");
        }
        let presented = claimed(format!("{}:{}", "u".repeat(65), token().expose()).as_bytes());
        assert!(presented.names_somebody());
        assert_eq!(presented.username(), None);
    }
}
