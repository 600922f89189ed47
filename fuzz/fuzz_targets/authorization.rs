//! `Authorization`, as a client presents it: a well-formed credential is read as it was meant, and nothing
//! is looked up that does not stand in the value.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use locum::authn::{self, Accepts, Presentation};
use locum::policy::Accept;
use locum::directory::{Token, TokenKind, Username};

const BOTH: Accepts<'_> = Accepts {
    schemes: Accept { basic: true, bearer: true, locum_authorization: false },
    username_header: None,
};
const NONE: Accepts<'_> = Accepts {
    schemes: Accept { basic: false, bearer: false, locum_authorization: false },
    username_header: None,
};

fuzz_target!(|value: &[u8]| {
    what_was_meant_is_read(value);
    let Ok(header) = HeaderValue::from_bytes(value) else { return };
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, header.clone());
    assert!(matches!(authn::present(&headers, &NONE, ""), Presentation::Absent));
    if let Presentation::Claimed { presented, .. } = authn::present(&headers, &BOTH, "") {
        assert!(presented.username().is_none_or(|name| name.len() <= Username::MAX_LENGTH));
        assert!(presented.names_somebody() || presented.public_id().is_err());
        if let Ok(id) = presented.public_id() {
            let words = value.splitn(2, |b| *b == b' ').nth(1).unwrap_or_default().trim_ascii();
            let unpadded = words.strip_suffix(b"==").or(words.strip_suffix(b"=")).unwrap_or(words);
            let decoded = base64::engine::general_purpose::STANDARD_NO_PAD.decode(unpadded).unwrap_or_default();
            let id = id.as_str().as_bytes();
            let stands_in = |text: &[u8]| text.windows(id.len()).any(|window| window == id);
            assert!(stands_in(value) || stands_in(&decoded), "a token was read that nobody sent");
        }
        assert!(!format!("{presented:?}").contains("locum_pat_"), "a token is shown");
    }
    headers.append(AUTHORIZATION, header);
    assert!(matches!(authn::present(&headers, &BOTH, ""), Presentation::Repeated));
});

/// Any name without a colon, beside a token that any random source gives.
fn what_was_meant_is_read(input: &[u8]) {
    let mut source = input.iter().copied().chain(0..=255).cycle();
    let token =
        Token::generate(TokenKind::PersonalAccess, "", |buffer| buffer.fill_with(|| source.next().expect("it repeats")));
    let name: Vec<u8> = input.iter().copied().filter(|b| *b != b':').take(Username::MAX_LENGTH).collect();
    let pair = STANDARD.encode([&name, b":".as_slice(), token.expose().as_bytes()].concat());
    for (scheme, rest) in [("basic", pair.as_str()), ("BASIC", pair.as_str()), ("Bearer", token.expose())] {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, format!("{scheme} {rest}").parse().expect("ASCII"));
        let Presentation::Claimed { presented, .. } = authn::present(&headers, &BOTH, "") else {
            panic!("`{scheme}` is not claimed")
        };
        assert_eq!(presented.public_id(), Ok(token.public_id()));
        let meant = std::str::from_utf8(&name).ok().filter(|name| scheme != "Bearer" && !name.is_empty());
        assert_eq!(presented.username().filter(|name| !name.is_empty()), meant);
    }
}
