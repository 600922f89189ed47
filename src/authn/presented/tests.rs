//! Reading what is presented, with whatever the world can put into a header.

use base64::Engine as _;
use http::HeaderValue;
use proptest::prelude::*;

use super::super::digest::DigestKey;
use super::*;

const BOTH: Accept = Accept { basic: true, bearer: true, locum_authorization: false };
const EVERY: Accept = Accept { locum_authorization: true, ..BOTH };

fn accepts(schemes: Accept) -> Accepts<'static> {
    Accepts { schemes, username_header: None }
}

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
    match present(&headers(&[value]), &accepts(BOTH), "") {
        Presentation::Claimed { presented, in_authorization } => {
            assert!(in_authorization);
            Some(presented)
        }
        Presentation::Absent | Presentation::Repeated | Presentation::Two => None,
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
    let absent = |value: &[u8], schemes: Accept| {
        matches!(present(&headers(&[value]), &accepts(schemes), ""), Presentation::Absent)
    };
    let own = Accept { locum_authorization: true, ..Accept::NOTHING };
    for not_in_authorization in [Accept::NOTHING, own] {
        assert!(absent(&basic, not_in_authorization) && absent(bearer.as_bytes(), not_in_authorization));
    }
    assert!(absent(&basic, Accept { bearer: true, ..Accept::NOTHING }));
    assert!(absent(bearer.as_bytes(), Accept { basic: true, ..Accept::NOTHING }));
    assert!(!absent(&basic, BOTH) && !absent(bearer.as_bytes(), BOTH));
    assert!(absent(b"Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln", BOTH));
    let mut beside = HeaderMap::new();
    beside.append(&LOCUM_AUTHORIZATION, HeaderValue::from_bytes(&basic).unwrap());
    let read = |schemes| present(&beside, &accepts(schemes), "");
    assert!(matches!(read(BOTH), Presentation::Absent));
    assert!(matches!(read(own), Presentation::Claimed { in_authorization: false, .. }));
}

/// HD-042, G2: nobody can say which of two counts.
#[test]
fn two_authorizations_are_repeated_whatever_they_are() {
    let good = basic(b"billing", token(1).expose().as_bytes());
    for other in [good.as_slice(), b"Bearer foreign", b""] {
        assert!(matches!(present(&headers(&[&good, other]), &accepts(BOTH), ""), Presentation::Repeated));
        assert!(matches!(present(&headers(&[other, &good]), &accepts(Accept::NOTHING), ""), Presentation::Repeated));
    }
}

/// HD-041, G2: two in two headers, whatever is right or wrong with either; a foreign one beside is none.
#[test]
fn two_credentials_in_two_headers_are_two_whatever_they_are() {
    let (good, wrong) = (basic(b"billing", token(1).expose().as_bytes()), b"Basic ???".to_vec());
    for authorization in [&good, &wrong] {
        for own in [&good, &wrong, &b"Bearer foreign".to_vec()] {
            let mut request = headers(&[authorization]);
            request.append(&LOCUM_AUTHORIZATION, HeaderValue::from_bytes(own).unwrap());
            assert!(matches!(present(&request, &accepts(EVERY), ""), Presentation::Two));
            request.append(&LOCUM_AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
            assert!(matches!(present(&request, &accepts(EVERY), ""), Presentation::Repeated));
        }
    }
    let mut request = headers(&[b"Bearer foreign"]);
    request.append(&LOCUM_AUTHORIZATION, HeaderValue::from_bytes(&good).unwrap());
    assert!(matches!(present(&request, &accepts(EVERY), ""), Presentation::Claimed { in_authorization: false, .. }));
}

/// T4: a copy is the same credential, and what lacks its username stays without it.
#[test]
fn a_duplicate_is_the_same_credential() {
    let key = DigestKey::generate(&mut |bytes| bytes.fill(7));
    let presented = claimed(&basic(b"billing", token(1).expose().as_bytes())).unwrap();
    assert_eq!(key.digest(&presented.duplicate()), key.digest(&presented));
    assert!(key.digest(&presented).is_some());
    let lacking = presented.lacking_its_username();
    assert!(lacking.duplicate().lacks_its_username());
    assert_eq!(key.digest(&lacking), None, "what can never be proven is never remembered");
}

/// G2: the header of the username, where a route asks for one.
#[test]
fn a_route_can_require_the_username_beside_a_bearer() {
    let name = HeaderName::from_static("x-username");
    let accepts = Accepts { schemes: EVERY, username_header: Some(&name) };
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token(1).expose())).unwrap();
    for carrier in [&AUTHORIZATION, &LOCUM_AUTHORIZATION] {
        let mut request = HeaderMap::from_iter([(carrier.clone(), bearer.clone())]);
        let read = |request: &HeaderMap| match present(request, &accepts, "") {
            Presentation::Claimed { presented, .. } => {
                let id = presented.public_id().ok();
                (presented.username().map(str::to_owned), presented.lacks_its_username(), id)
            }
            other => panic!("{other:?}"),
        };
        let id = Some(token(1).public_id());
        assert_eq!(read(&request), (None, true, id));
        request.append(&name, HeaderValue::from_static("billing"));
        assert_eq!(read(&request), (Some("billing".to_owned()), false, id));
        request.append(&name, HeaderValue::from_static("billing"));
        assert_eq!(read(&request), (None, true, id), "twice is not once");
    }
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
        let text = token(seed).expose().to_owned();
        let shown = format!("{before}{}{after}", &text[..text.len() - cut]);
        // What was cut off may be put on again.
        prop_assume!(shown != text);
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
