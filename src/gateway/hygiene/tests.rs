//! What passes, what is removed and what is refused of a head.

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

/// RFC 9110 §7.6.1
#[test]
fn an_answer_loses_what_was_said_for_one_hop() {
    assert!(HOP_BY_HOP.iter().all(is_hop_by_hop));
    let lines = [("connection", "close, x-hop"), ("x-hop", "a"), ("keep-alive", "timeout=5"), ("content-type", "b")];
    let mut headers = head(&lines);
    clean_response(&mut headers);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
    let mut headers = head(&[("transfer-encoding", "chunked"), ("content-length", "3"), ("x-kept", "c")]);
    clean_response(&mut headers);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
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
