//! Who an app is told of, and what no client can tell it.

use http::HeaderName;
use locum::directory::{AppName, Restrictions};
use locum::gateway::SecretHeaderSettings;

use crate::upstream::{Seen, Upstream};
use crate::world::{Credential, GATE_SECRET, World};

/// A gate before an app that answers with what it received, and one proxy user.
pub(crate) struct Scene {
    pub(crate) upstream: Upstream,
    pub(crate) world: World,
    pub(crate) billing: Credential,
}

pub(crate) fn scene() -> Scene {
    let upstream = Upstream::echo();
    let world = World::before(upstream.address);
    let billing = world.proxy_user("billing", &["user"]);
    Scene { upstream, world, billing }
}

impl Scene {
    /// Sends lines under a target and host, and answers with the status.
    pub(crate) fn ask(&self, host: &str, target: &str, lines: &str) -> u16 {
        let mut client = self.world.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
        client.answer().expect("there is an answer").status
    }
}

/// G6: the native set, by either scheme.
#[test]
fn an_app_is_told_who_it_is() {
    let scene = scene();
    for line in [scene.billing.basic(), scene.billing.bearer()] {
        assert_eq!(scene.ask("app.test", "/app/x", &line), 200);
        let seen = scene.upstream.last();
        assert_eq!(seen.value("X-Locum-User").as_deref(), Some("billing"));
        assert_eq!(seen.value("X-Locum-Roles").as_deref(), Some("user"));
        assert_eq!(seen.value("X-Locum-Kind").as_deref(), Some("proxy"));
        assert_eq!(seen.value("X-Locum-Owner").as_deref(), Some("billing-owner"));
        assert_eq!(seen.value("X-Locum-Service").as_deref(), Some("nightly export, Z%C3%BCrich"));
        assert_eq!(seen.value("X-Locum-Actor"), None);
    }
}

/// G6: names as another family of gateways gives them, and lines of the operator's own beside them.
#[test]
fn an_app_is_told_in_the_names_that_it_is_configured_for() {
    let scene = scene();
    assert_eq!(scene.ask("proxied.test", "/x", &scene.billing.basic()), 200);
    let seen = scene.upstream.last();
    assert_eq!(seen.value("X-Forwarded-User").as_deref(), Some("billing"));
    assert_eq!(seen.value("X-Forwarded-Groups").as_deref(), Some("user"));
    assert_eq!(seen.value("X-Webauth-User").as_deref(), Some("billing"));
    assert_eq!(seen.value("X-Trace"), seen.value("X-Request-Id"));
    assert!(seen.value("X-Request-Id").is_some());
    assert_eq!(seen.value("X-Locum-User"), None);
}

/// G6: an app that knows only people sees the owner, and who really acts.
#[test]
fn an_app_can_be_told_of_the_owner_instead() {
    let scene = scene();
    assert_eq!(scene.ask("owned.test", "/x", &scene.billing.basic()), 200);
    let seen = scene.upstream.last();
    assert_eq!(seen.value("X-Locum-User").as_deref(), Some("billing-owner"));
    assert_eq!(seen.value("X-Locum-Actor").as_deref(), Some("billing"));
}

/// G6, U1: the name and address of a person are told where the app sees that person, from the next request on; a proxy
/// user under its own name has neither, and what a client says of them never arrives.
#[test]
fn an_app_is_told_the_name_and_address_of_the_person_that_it_sees() {
    let scene = scene();
    let told = |host: &str| {
        let lines = format!("{}X-Locum-Name: forged\r\nX-Locum-Email: forged\r\n", scene.billing.basic());
        assert_eq!(scene.ask(host, if host == "owned.test" { "/x" } else { "/app/x" }, &lines), 200);
        let seen = scene.upstream.last();
        assert!(!seen.text().contains("forged") && !seen.text().contains("4412"), "{}", seen.text());
        (seen.value("X-Locum-Name"), seen.value("X-Locum-Email"))
    };
    assert_eq!(told("owned.test"), (None, None));
    scene.world.know("billing-owner", "Béa 100%", "bea@example.org", "+44123456789");
    assert_eq!(told("owned.test"), (Some("B%C3%A9a 100%25".to_owned()), Some("bea@example.org".to_owned())));
    assert_eq!(told("app.test"), (None, None));
    scene.world.know("billing-owner", "Bea", "b@example.org", "+44123456789");
    assert_eq!(told("owned.test"), (Some("Bea".to_owned()), Some("b@example.org".to_owned())));
}

/// U5, R2: an app is told what the person that it sees is called in it, from the next request on, and nothing when that
/// was taken away; what a client says under that name never arrives.
#[test]
fn an_app_is_told_the_legacy_name_of_the_person_that_it_sees() {
    let scene = scene();
    let told = || {
        let lines = format!("{}X-Legacy: forged\r\n", scene.billing.basic());
        assert_eq!(scene.ask("owned.test", "/x", &lines), 200);
        scene.upstream.last().value("X-Legacy")
    };
    assert_eq!(told(), None);
    scene.world.call("billing-owner", "owned", Some("Smith, Ann ü"));
    assert_eq!(told().as_deref(), Some("Smith, Ann %C3%BC"));
    scene.world.call("billing-owner", "app", Some("elsewhere"));
    scene.world.call("billing-owner", "owned", Some("asmith"));
    assert_eq!(told().as_deref(), Some("asmith"));
    scene.world.call("billing-owner", "owned", None);
    assert_eq!(told(), None);
}

/// HD-004, HD-005, HD-007, HD-008: what a client says of itself never arrives, on no route.
#[test]
fn forged_identity_never_arrives() {
    let scene = scene();
    let forged: String = [
        "x-LOCUM-user",
        "X-Locum-User",
        "X-Locum-Groups",
        "X-Locum-Assertion",
        "X-Forwarded-User",
        "X-WEBAUTH-USER",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "X-Forwarded-Port",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-Method",
        "X-Real-IP",
        "Forwarded",
        "X-HTTP-Method-Override",
        "X-Request-Id",
        "X-Trace",
    ]
    .into_iter()
    .flat_map(|name| [name, ": forged\r\n"])
    .collect();
    for (target, credential) in [("/app/x", scene.billing.basic()), ("/pub/x", String::new())] {
        assert_eq!(scene.ask("app.test", target, &format!("{credential}{forged}")), 200);
        let seen = scene.upstream.last();
        assert!(!seen.text().contains("forged"), "{}", seen.text());
        assert_eq!(seen.value("X-Locum-User").is_some(), target == "/app/x");
    }
}

/// HD-021, HD-028, HO-013: the hop before the app is the gateway's to describe.
#[test]
fn the_hop_is_described_by_the_gateway() {
    let scene = scene();
    let lines = format!("{}X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: evil.test\r\n", scene.billing.basic());
    assert_eq!(scene.ask("APP.test:8080", "/app/x", &lines), 200);
    let seen = scene.upstream.last();
    assert_eq!(seen.value("X-Forwarded-For").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.value("X-Forwarded-Proto").as_deref(), Some("http"));
    assert_eq!(seen.value("X-Forwarded-Host").as_deref(), Some("APP.test:8080"));
    assert_eq!(seen.value("Host").as_deref(), Some("APP.test:8080"));
}

/// HD-010, HD-011: `Connection` cannot name ours away, and what is for one hop ends here.
#[test]
fn connection_names_nothing_of_ours_away() {
    let scene = scene();
    let lines = format!(
        "{}Connection: X-Forwarded-For, X-Locum-User, x-request-id, X-Hop, keep-alive\r\nX-Hop: 1\r\nX-End: 1\r\n\
         TE: trailers\r\nKeep-Alive: timeout=5\r\nUpgrade: websocket\r\nProxy-Authorization: Basic YTpi\r\n",
        scene.billing.basic()
    );
    assert_eq!(scene.ask("app.test", "/app/x", &lines), 200);
    let seen = scene.upstream.last();
    for name in ["X-Forwarded-For", "X-Locum-User", "X-Request-Id", "X-End"] {
        assert!(seen.value(name).is_some(), "{name} is missing: {}", seen.text());
    }
    for name in ["X-Hop", "Connection", "TE", "Keep-Alive", "Upgrade", "Proxy-Authorization"] {
        assert_eq!(seen.values(name), [""; 0], "{name}");
    }
}

/// G2, G5: a credential cannot be named away either, so a bad one does not turn into none.
#[test]
fn connection_cannot_make_a_bad_credential_vanish() {
    let scene = scene();
    let named = |line: &str| format!("{line}Connection: authorization, keep-alive\r\n");
    assert_eq!(scene.ask("app.test", "/pub/x", &named(&scene.billing.basic())), 200);
    assert_eq!(scene.upstream.last().value("X-Locum-User").as_deref(), Some("billing"));
    assert_eq!(scene.ask("app.test", "/pub/x", &named("Authorization: Basic YmlsbGluZzpub25zZW5zZQ==\r\n")), 401);
}

/// HD-043, G2, G7: Locum's own credential never arrives; what belongs to the app does.
#[test]
fn a_consumed_credential_never_arrives_and_a_foreign_one_does() {
    let scene = scene();
    for line in [scene.billing.basic(), scene.billing.bearer()] {
        assert_eq!(scene.ask("app.test", "/app/x", &line), 200);
        assert_eq!(scene.upstream.last().value("Authorization"), None);
        assert_eq!(scene.ask("app.test", "/pub/x", &line), 200);
        assert_eq!(scene.upstream.last().value("Authorization"), None);
        assert_eq!(scene.upstream.last().value("X-Locum-User").as_deref(), Some("billing"));
    }
    assert_eq!(scene.ask("app.test", "/pub/x", "Authorization: Bearer eyJh.eyJz.c2ln\r\n"), 200);
    assert_eq!(scene.upstream.last().value("Authorization").as_deref(), Some("Bearer eyJh.eyJz.c2ln"));
    assert_eq!(scene.ask("app.test", "/pub/x", "Authorization: Digest username=a\r\n"), 200);
    assert_eq!(scene.upstream.last().value("Authorization").as_deref(), Some("Digest username=a"));
    let sent = scene.upstream.seen().iter().map(Seen::text).collect::<String>();
    assert!(!sent.contains(&scene.billing.token[22..62]));
}

/// G2, G7: a token in a scheme that the route does not read is not judged, and yet never shown to the app.
#[test]
fn a_token_in_a_scheme_that_is_not_read_goes_nowhere() {
    let scene = scene();
    let (basic, bearer) = (scene.billing.basic(), scene.billing.bearer());
    let before = scene.upstream.count();
    assert_eq!(scene.ask("app.test", "/basic/x", &bearer), 401);
    assert_eq!(scene.ask("app.test", "/bearer/x", &basic), 401);
    assert_eq!(scene.upstream.count(), before);
    assert_eq!(scene.ask("app.test", "/basic/x", &basic), 200);
    assert_eq!(scene.ask("app.test", "/bearer/x", &bearer), 200);
    // A foreign Basic on a route that reads only Bearer belongs to the app, which this route then refuses.
    assert_eq!(scene.ask("app.test", "/bearer/x", "Authorization: Basic YTpi\r\n"), 401);
}

/// G7: a token that a program put in the wrong place is not judged, and never shown to the app either.
#[test]
fn a_token_in_the_wrong_place_goes_nowhere() {
    use base64::Engine as _;
    let scene = scene();
    let token = &scene.billing.token;
    let encoded = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let (as_name, alone) = (encoded(format!("{token}:x-oauth-basic")), encoded(token.clone()));
    for value in [
        format!("Token {token}"),
        token.clone(),
        format!("Digest username=\"a\", response=\"{token}\""),
        format!("Proxy {as_name}"),
        format!("Negotiate {alone}"),
    ] {
        assert_eq!(scene.ask("app.test", "/pub/x", &format!("Authorization: {value}\r\n")), 200, "{value}");
        assert_eq!(scene.upstream.last().value("Authorization"), None, "{value}");
    }
}

/// G2: an invalid credential is refused on a public route too.
#[test]
fn an_invalid_credential_is_refused_on_a_public_route() {
    let scene = scene();
    let before = scene.upstream.count();
    assert_eq!(scene.ask("app.test", "/pub/x", "Authorization: Basic YmlsbGluZzpub25zZW5zZQ==\r\n"), 401);
    assert_eq!(scene.ask("app.test", "/pub/x", "Authorization: Bearer locum_pat_nonsense\r\n"), 401);
    assert_eq!(scene.upstream.count(), before);
}

/// T1: a restricted token reaches its apps and its methods only.
#[test]
fn a_restricted_token_reaches_no_further() {
    let scene = scene();
    let elsewhere = Restrictions { apps: vec![AppName::parse("proxied").unwrap()], ..Restrictions::default() };
    let reading = Restrictions { read_only: true, ..Restrictions::default() };
    let (elsewhere, reading) = (scene.world.token("billing", elsewhere), scene.world.token("billing", reading));
    assert_eq!(scene.ask("app.test", "/app/x", &elsewhere.basic()), 403);
    assert_eq!(scene.ask("proxied.test", "/x", &elsewhere.basic()), 200);
    assert_eq!(scene.ask("app.test", "/app/x", &reading.basic()), 200);
    let mut client = scene.world.client();
    client.send(format!("POST /app/x HTTP/1.1\r\nHost: app.test\r\n{}Content-Length: 0\r\n\r\n", reading.basic()));
    assert_eq!(client.answer().unwrap().status, 403);
}

/// CC-005: on one connection, each request is told of its own caller.
#[test]
fn callers_on_one_connection_are_not_mixed_up() {
    let scene = scene();
    let other = scene.world.proxy_user("orders", &["user"]);
    let mut client = scene.world.client();
    for _ in 0..5 {
        for (credential, name) in [(&scene.billing, Some("billing")), (&other, Some("orders"))] {
            client.send(format!("GET /app/x HTTP/1.1\r\nHost: app.test\r\n{}\r\n", credential.basic()));
            assert_eq!(client.answer().unwrap().status, 200);
            assert_eq!(scene.upstream.last().value("X-Locum-User").as_deref(), name);
        }
        client.send("GET /pub/x HTTP/1.1\r\nHost: app.test\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 200);
        assert_eq!(scene.upstream.last().value("X-Locum-User"), None);
    }
}

/// G6: an app can tell by a secret that a request came through the gateway; no client can say it, on any app, and
/// nobody is told it.
#[test]
fn an_app_can_tell_that_a_request_came_through_the_gateway() {
    let scene = scene();
    let lines = format!("{}X-Gate-Secret: guessed\r\n", scene.billing.basic());
    assert_eq!(scene.ask("proxied.test", "/x", &lines), 200);
    assert_eq!(scene.upstream.last().value("X-Gate-Secret").as_deref(), Some(GATE_SECRET));
    for (host, path) in [("app.test", "/pub/x"), ("owned.test", "/x")] {
        assert_eq!(scene.ask(host, path, &lines), 200);
        assert_eq!(scene.upstream.last().value("X-Gate-Secret"), None, "{host}");
    }
    assert_eq!(scene.ask("app.test", "/pub/x", "X_Gate.Secret: guessed\r\n"), 400);
    let header = SecretHeaderSettings::new(HeaderName::from_static("x-gate-secret"), GATE_SECRET).unwrap();
    assert!(!format!("{header:?}").contains(GATE_SECRET), "{header:?}");
    for bad in ["", "too short", "0123456789abcde\u{f6}f", "0123456789 abcdef", &"a".repeat(257)] {
        assert!(SecretHeaderSettings::new(HeaderName::from_static("x-gate-secret"), bad).is_none(), "{bad:?}");
    }
}
