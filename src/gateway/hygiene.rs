//! What of a client's head may pass: refused when it is ambiguous, removed when it is not the client's
//! to say, replaced when the gateway knows better (G5).
//!
//! Architecture invariant: this is the one place where inbound identity headers are removed, and it
//! runs on every request before a route is looked for. The names are the union over all apps, because
//! an app that is reached by one route reads the headers that another route was configured for.
//! `Locum-Authorization` and the headers for a username are the one kind that passes here and goes no
//! further than the step that reads it; their look-alikes do not pass.

use std::collections::HashSet;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Version};

use super::refusal::Refusal;
use crate::authn::LOCUM_AUTHORIZATION;

/// Names of a single hop (RFC 9110 §7.6.1); what they say ends here. `TE` goes too, because trailers are
/// not forwarded.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("http2-settings"),
];

/// What a hop before us could have said, and a client must not: the address, host, scheme, path or
/// method that an application would believe in place of the real one.
const HOP_WORDS: [HeaderName; 35] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("client-ip"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("fastly-client-ip"),
    HeaderName::from_static("x-forwarded"),
    HeaderName::from_static("forwarded-for"),
    HeaderName::from_static("forwarded-proto"),
    HeaderName::from_static("x-remote-ip"),
    HeaderName::from_static("x-remote-addr"),
    HeaderName::from_static("x-originating-ip"),
    HeaderName::from_static("x-proxyuser-ip"),
    HeaderName::from_static("proxy-client-ip"),
    HeaderName::from_static("wl-proxy-client-ip"),
    HeaderName::from_static("cf-connecting-ipv6"),
    HeaderName::from_static("fly-client-ip"),
    HeaderName::from_static("x-azure-clientip"),
    HeaderName::from_static("x-appengine-user-ip"),
    HeaderName::from_static("x-envoy-external-address"),
    HeaderName::from_static("front-end-https"),
    HeaderName::from_static("x-url-scheme"),
    HeaderName::from_static("x-script-name"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-scheme"),
    HeaderName::from_static("x-accel-redirect"),
    HeaderName::from_static("x-sendfile"),
    HeaderName::from_static("proxy"),
];

/// Families of which every member is a hop's word or Locum's own.
const FAMILIES: [&str; 3] = ["x-forwarded-", "x-original-", OWN_FAMILY];
const OWN_FAMILY: &str = "x-locum-";

/// Names that mean something to every application; only their look-alikes are refused.
const LOOK_ALIKES: [&str; 5] =
    ["transfer-encoding", "content-length", "proxy-authorization", "http2-settings", "locum-authorization"];

/// The most that all fields of a head may take.
const LARGEST_HEAD_BYTES: usize = 64 * 1024;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The names that no client may set, compiled from what the apps are configured to receive.
#[derive(Debug)]
pub(super) struct Hygiene {
    managed: HashSet<HeaderName>,
    /// Where routes read the username beside a token.
    usernames: Vec<HeaderName>,
    folded: HashSet<Box<str>>,
}

/// What is done with one name of a client's head.
enum Treatment {
    Pass,
    Remove,
    Refuse,
}

impl Hygiene {
    /// `identity` are the names that any app is configured to receive, `usernames` those in which any route
    /// reads a username. A name that is both is an identity's, and no client can say it.
    pub(super) fn new(
        identity: impl IntoIterator<Item = HeaderName>,
        usernames: impl IntoIterator<Item = HeaderName>,
    ) -> Self {
        let managed: HashSet<HeaderName> = identity.into_iter().chain(HOP_WORDS).collect();
        let usernames: HashSet<HeaderName> = usernames.into_iter().collect();
        let usernames: Vec<HeaderName> = usernames.into_iter().collect();
        let mut folded: HashSet<Box<str>> = managed.iter().map(|name| fold(name.as_str()).into()).collect();
        folded.extend(usernames.iter().map(|name| fold(name.as_str()).into()));
        folded.extend(LOOK_ALIKES.map(Into::into));
        Self { managed, usernames, folded }
    }

    /// Takes from a client's head whatever is not the client's to say.
    ///
    /// # Errors
    /// When the head is ambiguous: nothing is repaired whose repair could change a meaning.
    pub(super) fn clean(&self, version: Version, headers: &mut HeaderMap) -> Result<(), Refusal> {
        refuse_large(headers)?;
        refuse_ambiguous(version, headers)?;
        // Connection first: what it nominates is gone before ours is set, so it cannot reach ours.
        let mut removed: Vec<HeaderName> = nominated(headers)?;
        for name in headers.keys() {
            match self.treat(name) {
                Treatment::Pass => {}
                Treatment::Remove => removed.push(name.clone()),
                Treatment::Refuse => return Err(Refusal::Malformed("header_look_alike")),
            }
        }
        for name in removed {
            headers.remove(name);
        }
        Ok(())
    }

    /// Removes what only Locum reads.
    pub(super) fn take_what_is_locums(&self, headers: &mut HeaderMap) {
        headers.remove(&LOCUM_AUTHORIZATION);
        for name in &self.usernames {
            headers.remove(name);
        }
    }

    fn treat(&self, name: &HeaderName) -> Treatment {
        if HOP_BY_HOP.contains(name) || self.managed.contains(name) {
            return Treatment::Remove;
        }
        if self.usernames.contains(name) {
            return Treatment::Pass;
        }
        let text = name.as_str();
        if is_family(text) && is_plain(text) {
            return Treatment::Remove;
        }
        if !is_plain(text) {
            let folded = fold(text);
            if is_family(&folded) || self.folded.contains(&*folded) {
                return Treatment::Refuse;
            }
        }
        Treatment::Pass
    }
}

/// Whether a header is removed from every request whatever is configured, so that nobody can be asked to
/// send something in it.
pub fn never_arrives(name: &HeaderName) -> bool {
    let folded = fold(name.as_str());
    let of_a_hop = FAMILIES.iter().any(|family| *family != OWN_FAMILY && folded.starts_with(family));
    of_a_hop || HOP_BY_HOP.iter().chain(&HOP_WORDS).any(|known| known.as_str() == folded)
}

fn is_family(name: &str) -> bool {
    name.starts_with("x-") && FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether folding leaves the name as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// As applications fold the names of headers: everything that is neither letter nor digit is one.
fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// The parser's buffer is no sharp limit: what arrived in one piece may be larger.
fn refuse_large(headers: &HeaderMap) -> Result<(), Refusal> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > LARGEST_HEAD_BYTES { Err(Refusal::HeadTooLarge) } else { Ok(()) }
}

/// What the service can still see of a head that two readers would read in two ways.
fn refuse_ambiguous(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let count = |name| headers.get_all(name).iter().count();
    if count(&HOST) > 1 {
        return Err(Refusal::Malformed("host_repeated"));
    }
    if count(&AUTHORIZATION) > 1 || count(&LOCUM_AUTHORIZATION) > 1 {
        return Err(Refusal::Malformed("authorization_repeated"));
    }
    if count(&CONTENT_LENGTH) > 1 {
        return Err(Refusal::Malformed("content_length_repeated"));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let only_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        if !only_chunked || version < Version::HTTP_11 || headers.contains_key(CONTENT_LENGTH) {
            return Err(Refusal::Malformed("transfer_encoding"));
        }
    }
    let understood = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(EXPECT).iter().all(understood) {
        return Err(Refusal::UnknownExpectation);
    }
    Ok(())
}

/// The names that `Connection` nominates. What frames the message, says whom it is for or who asks is not
/// the client's to take away: a bad credential that vanished would be none, and a public route open.
fn nominated(headers: &HeaderMap) -> Result<Vec<HeaderName>, Refusal> {
    let mut names = Vec::new();
    for value in headers.get_all(CONNECTION) {
        let text = value.to_str().map_err(|_| Refusal::Malformed("connection"))?;
        for token in text.split(',').map(str::trim).filter(|token| !token.is_empty()) {
            if token.eq_ignore_ascii_case("keep-alive") || token.eq_ignore_ascii_case("close") {
                continue;
            }
            let name = HeaderName::from_bytes(token.as_bytes()).map_err(|_| Refusal::Malformed("connection"))?;
            if !matches!(name, HOST | CONTENT_LENGTH | AUTHORIZATION) && name != LOCUM_AUTHORIZATION {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// Takes from an app's head what is said for one hop only (RFC 9110 §7.6.1).
pub(super) fn clean_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        // Both at once: the coding framed the body, and the length is a lie.
        headers.remove(CONTENT_LENGTH);
    }
    if let Ok(names) = nominated(headers) {
        for name in names {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hygiene() -> Hygiene {
        let identity = ["x-webauth-user", "remote-user", "remote_user"].map(HeaderName::from_static);
        Hygiene::new(identity, ["x-locum-username", "x_login"].map(HeaderName::from_static))
    }

    fn head(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn clean(lines: &[(&str, &str)]) -> Result<Vec<String>, Refusal> {
        let mut headers = head(lines);
        hygiene().clean(Version::HTTP_11, &mut headers)?;
        let mut left: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        left.sort_unstable();
        Ok(left)
    }

    /// HD-004, HD-005, HD-007, HD-020, HD-021, HD-023, HD-025, HD-028
    #[test]
    fn what_is_not_the_clients_to_say_is_removed() {
        for name in [
            "X-LOCUM-user",
            "X-Locum-Groups",
            "X-WEBAUTH-USER",
            "REMOTE_USER",
            "Remote-User",
            "X-Forwarded-For",
            "X-Forwarded-Uri",
            "X-Forwarded-Prefix",
            "x-forwarded-anything",
            "X-Original-URL",
            "X-Original-Method",
            "X-Rewrite-URL",
            "Forwarded",
            "X-Real-IP",
            "X-Forwarded",
            "X-Remote-Addr",
            "WL-Proxy-Client-IP",
            "X-URL-Scheme",
            "Front-End-Https",
            "X-HTTP-Method-Override",
            "X-Request-Id",
            "Proxy",
            "Upgrade",
            "TE",
            "Trailer",
            "Keep-Alive",
            "Proxy-Authorization",
        ] {
            assert_eq!(clean(&[(name, "a"), (name, "b"), ("x-kept", "c")]), Ok(vec!["x-kept".to_owned()]), "{name}");
        }
    }

    /// HD-002, HD-003, HD-024, H1-022
    #[test]
    fn a_look_alike_is_refused() {
        for name in [
            "x_locum-user",
            "X-Locum_User",
            "X.Locum.User",
            "X_WEBAUTH_USER",
            "x-webauth.user",
            "X_Forwarded_Proto",
            "x!forwarded~for",
            "Transfer_Encoding",
            "Content.Length",
            "x_real_ip",
            "remote.user",
            "X_Request-Id",
        ] {
            assert_eq!(clean(&[(name, "a")]), Err(Refusal::Malformed("header_look_alike")), "{name}");
        }
    }

    /// G2, G7: what a route may have to read passes as it is, and goes no further than that; what looks like
    /// it does not pass.
    #[test]
    fn what_locum_reads_passes_under_its_own_name_only_and_is_taken_out() {
        let lines = [("locum-authorization", "a"), ("x-locum-username", "b"), ("x_login", "c"), ("x-kept", "d")];
        let mut headers = head(&lines);
        assert_eq!(hygiene().clean(Version::HTTP_11, &mut headers), Ok(()));
        assert_eq!(headers.len(), lines.len());
        hygiene().take_what_is_locums(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
        for name in ["Locum_Authorization", "locum.authorization", "X_Locum_Username", "x.login"] {
            assert_eq!(clean(&[(name, "a")]), Err(Refusal::Malformed("header_look_alike")), "{name}");
        }
        let nominated = [("connection", "Locum-Authorization"), ("locum-authorization", "a")];
        assert_eq!(clean(&nominated), Ok(vec!["locum-authorization".to_owned()]));
    }

    /// G2: nobody can be asked for a name in a header that never arrives.
    #[test]
    fn what_is_always_removed_never_arrives() {
        for name in ["x-real-ip", "te", "x-forwarded-user", "x_forwarded_user", "x_original-user", "x_real.ip"] {
            assert!(never_arrives(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["x-locum-username", "x-username", "login"] {
            assert!(!never_arrives(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn what_only_looks_unusual_passes() {
        let names = ["content-length", "cookie", "x-forward", "x-locumotive", "x.custom", "x_api_key"];
        let lines = names.map(|name| (name, "1"));
        assert_eq!(clean(&lines), Ok(names.map(str::to_owned).to_vec()));
    }

    /// HD-010, HD-011
    #[test]
    fn connection_removes_what_it_nominates_but_neither_host_nor_length() {
        let lines = [
            ("connection", "keep-alive, X-Hop, Host"),
            ("connection", "Content-Length"),
            ("x-hop", "1"),
            ("host", "a"),
            ("content-length", "0"),
            ("x-end", "1"),
        ];
        assert_eq!(clean(&lines), Ok(["content-length", "host", "x-end"].map(str::to_owned).to_vec()));
        assert_eq!(clean(&[("connection", "a b")]), Err(Refusal::Malformed("connection")));
    }

    /// H1-014, H1-017, H1-018, H1-021, HO-002, HO-003, HD-042, EX-004
    #[test]
    fn ambiguous_heads_are_refused() {
        for lines in [
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")][..],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", ",chunked")],
            &[("transfer-encoding", "")],
            &[("transfer-encoding", "chunked"), ("content-length", "5")],
            &[("content-length", "5"), ("content-length", "5")],
            &[("host", "a"), ("host", "a")],
            &[("authorization", "Basic a"), ("authorization", "Bearer b")],
            &[("locum-authorization", "Basic a"), ("locum-authorization", "Bearer b")],
        ] {
            assert!(matches!(clean(lines), Err(Refusal::Malformed(_))), "{lines:?}");
        }
        for value in ["foo", "y 100-continue", "100-continue, foo", ""] {
            assert_eq!(clean(&[("expect", value)]), Err(Refusal::UnknownExpectation), "{value}");
        }
        assert_eq!(clean(&[("expect", "100-Continue")]), Ok(vec![]));
        let mut old = head(&[("transfer-encoding", "chunked")]);
        assert!(hygiene().clean(Version::HTTP_10, &mut old).is_err());
    }

    #[test]
    fn an_apps_words_for_the_hop_end_here() {
        let mut headers = head(&[
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("content-type", "a/b"),
        ]);
        clean_response(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
    }

    proptest! {
        /// G5: whatever a client writes, nothing that folds to a managed name is left.
        #[test]
        fn nothing_that_folds_to_a_managed_name_is_left(
            names in prop::collection::vec("x[-_.!]?(locum|forwarded|webauth|custom)[-_.](user|for|x)", 0..6),
        ) {
            let hygiene = hygiene();
            let lines: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
            let mut headers = head(&lines);
            if hygiene.clean(Version::HTTP_11, &mut headers).is_ok() {
                for name in headers.keys() {
                    let folded = fold(name.as_str());
                    prop_assert!(!is_family(&folded) && !hygiene.folded.contains(&*folded), "{}", name);
                }
            }
        }
    }
}
