//! Reading what is presented, with whatever the world can put into a header.

use base64::Engine as _;
use http::HeaderValue;
use proptest::prelude::*;

use super::super::digest::DigestKey;
use super::*;

const BOTH: Accepts = Accepts { basic: true, bearer: true, username_header: None };

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn token(seed: u8) -> Token {
    let mut next = seed;
    Token::generate(TokenKind::PersonalAccess, "", |pool| {
        for byte in pool {
            next = next.wrapping_mul(37).wrapping_add(11);
            *byte = next;
        }
    })
}

fn basic(username: &[u8], password: &[u8]) -> Vec<u8> {
    let text = [username, b":", password].concat();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)).into_bytes()
}

fn claimed(value: &[u8]) -> Option<Presented> {
    match present(&headers(&[value]), &BOTH, "") {
        Presentation::Claimed(presented) => Some(presented),
        Presentation::Absent | Presentation::Repeated => None,
    }
}

/// What may be looked up is a whole token with its checksum, and nothing else.
fn assert_only_tokens_reach_the_look_up(presented: &Presented) {
    assert_eq!(presented.public_id().ok(), presented.token("").map(|token| token.public_id()));
    assert!(presented.username().is_none_or(|name| name.len() <= Username::MAX_LENGTH));
}

/// G2: only the schemes that a route accepts are read; whatever else is there belongs to the app.
#[test]
fn a_scheme_that_is_not_accepted_is_not_read() {
    let token = token(1);
    let (basic, bearer) = (basic(b"billing", token.expose().as_bytes()), format!("Bearer {}", token.expose()));
    let absent =
        |value: &[u8], accepts: &Accepts| matches!(present(&headers(&[value]), accepts, ""), Presentation::Absent);
    let none = Accepts::default();
    assert!(absent(&basic, &none) && absent(bearer.as_bytes(), &none));
    assert!(absent(&basic, &Accepts { bearer: true, ..Accepts::default() }));
    assert!(absent(bearer.as_bytes(), &Accepts { basic: true, ..Accepts::default() }));
    assert!(!absent(&basic, &BOTH) && !absent(bearer.as_bytes(), &BOTH));
    assert!(absent(b"Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln", &BOTH));
}

/// HD-042, G2: nobody can say which of two counts.
#[test]
fn two_authorizations_are_repeated_whatever_they_are() {
    let good = basic(b"billing", token(1).expose().as_bytes());
    for other in [good.as_slice(), b"Bearer foreign", b""] {
        assert!(matches!(present(&headers(&[&good, other]), &BOTH, ""), Presentation::Repeated));
        assert!(matches!(present(&headers(&[other, &good]), &Accepts::default(), ""), Presentation::Repeated));
    }
}

/// G2: the header of the username, where a route asks for one.
#[test]
fn a_route_can_require_the_username_beside_a_bearer() {
    let name = HeaderName::from_static("x-username");
    let accepts = Accepts { username_header: Some(name.clone()), ..BOTH };
    let mut request = headers(&[format!("Bearer {}", token(1).expose()).as_bytes()]);
    let read = |request: &HeaderMap| match present(request, &accepts, "") {
        Presentation::Claimed(presented) => (presented.username().map(str::to_owned), presented.public_id()),
        other => panic!("{other:?}"),
    };
    assert_eq!(read(&request), (None, Err(Fault::UsernameMissing)));
    request.append(name.clone(), HeaderValue::from_static("billing"));
    assert_eq!(read(&request), (Some("billing".to_owned()), Ok(token(1).public_id())));
    request.append(name, HeaderValue::from_static("reports"));
    assert_eq!(read(&request), (None, Err(Fault::UsernameMissing)));
}

/// T4: neither the secret nor the typed username appears where somebody prints it.
#[test]
fn debug_shows_neither_token_nor_username() {
    let presented = claimed(&basic(b"billing", token(1).expose().as_bytes())).unwrap();
    let shown = format!("{presented:?}");
    assert!(!shown.contains("billing") && !shown.contains(&token(1).expose()[22..62]), "{shown}");
}

proptest! {
    /// PT-007, T5: no header's value panics, and none but a whole token reaches a look-up.
    #[test]
    fn no_value_panics(value in proptest::collection::vec(any::<u8>(), 0..600)) {
        let value: Vec<u8> = value.into_iter().filter(|byte| HeaderValue::from_bytes(&[*byte]).is_ok()).collect();
        for scheme in ["", "Basic ", "basic  ", "Bearer ", "Bearer locum_pat_", "Bearer acme_locum_pat_"] {
            if let Some(presented) = claimed(&[scheme.as_bytes(), &value].concat()) {
                assert_only_tokens_reach_the_look_up(&presented);
            }
        }
    }

    /// PT-007: the same behind base64, where every byte can stand.
    #[test]
    fn no_decoded_text_panics(
        username in proptest::collection::vec(any::<u8>(), 0..100),
        password in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0..8_usize,
    ) {
        let mut value = basic(&username, &password);
        value.truncate(value.len() - cut.min(value.len() - 6));
        let presented = claimed(&value).expect("every Basic is claimed");
        assert_only_tokens_reach_the_look_up(&presented);
    }

    /// T5: a token with anything around it, or cut, is not read as that token.
    #[test]
    fn a_token_with_something_around_it_is_not_that_token(
        seed in any::<u8>(), before in "[ -9;-~]{0,3}", after in "[ -~]{0,3}", cut in 0..3_usize,
    ) {
        prop_assume!(!(before.is_empty() && after.is_empty() && cut == 0));
        let text = token(seed).expose().to_owned();
        let shown = format!("{before}{}{after}", &text[..text.len() - cut]);
        let presented = claimed(&basic(b"billing", shown.as_bytes())).unwrap();
        prop_assert!(presented.public_id().is_err(), "{shown}");
    }

    /// CA-003: two credentials share a digest only if they are one.
    #[test]
    fn a_digest_tells_all_credentials_apart(
        one in ("[a-z]{0,3}", 0..3_u8, any::<bool>()), two in ("[a-z]{0,3}", 0..3_u8, any::<bool>()),
    ) {
        let key = DigestKey::generate(&mut |bytes| bytes.fill(7));
        let digest = |(username, seed, is_basic): &(String, u8, bool)| {
            let token = token(*seed);
            let value = if *is_basic {
                basic(username.as_bytes(), token.expose().as_bytes())
            } else {
                format!("Bearer {}", token.expose()).into_bytes()
            };
            key.digest(&claimed(&value).unwrap()).expect("a well-formed credential has a digest")
        };
        let same = if one.2 || two.2 { one == two } else { one.1 == two.1 };
        prop_assert_eq!(digest(&one) == digest(&two), same);
    }
}
