//! A client's head after hygiene: nothing is left that an app could fold to a managed name, nothing was
//! made up, and a clean head stays as it is.
//!
//! The input is a head, one `name: value` a line.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const IDENTITY: [&str; 3] = ["x-webauth-user", "remote-user", "remote_groups"];
/// Of what a hop says, the names that have done the most harm.
const HOP: [&str; 8] =
    ["connection", "te", "transfer-encoding", "upgrade", "proxy-authorization", "forwarded", "x-real-ip", "proxy"];

fuzz_target!(|input: &[u8]| {
    let mut head = HeaderMap::new();
    for line in input.split(|b| *b == b'\n') {
        let (name, value) = line.split_at(line.iter().position(|b| *b == b':').unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else { continue };
        if head.len() < 100 {
            head.append(name, value);
        }
    }
    let came = head.clone();
    if locum::gateway::clean(IDENTITY.map(HeaderName::from_static), &mut head).is_err() {
        return;
    }
    for (name, _) in &head {
        let folded = fold(name.as_str());
        let family = ["x-forwarded-", "x-original-", "x-locum-"].iter().any(|family| folded.starts_with(family));
        let named = IDENTITY.iter().map(|name| fold(name)).any(|name| name == folded);
        assert!(!family && !named && !HOP.contains(&folded.as_str()), "`{name}` is left");
    }
    for name in head.keys() {
        let values = |head: &HeaderMap| head.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(values(&head), values(&came), "`{name}` was changed");
    }
    let clean = head.clone();
    assert!(locum::gateway::clean(IDENTITY.map(HeaderName::from_static), &mut head).is_ok());
    assert_eq!(head, clean, "a clean head does not stay as it is");
});

/// As CGI, WSGI and their kin fold names, and then some: one character for everything that is no letter or digit.
fn fold(name: &str) -> String {
    name.bytes().map(|b| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase().into() } else { '-' }).collect()
}
