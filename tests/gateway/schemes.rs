//! Where a credential may stand: in `Authorization`, or beside it in `Locum-Authorization`; and the name
//! that a route asks for beside a token that comes alone.

use crate::client::Answer;
use crate::identity::{Scene, scene};
use crate::upstream::Seen;

/// A Bearer of the app's own.
const FOREIGN: &str = "Authorization: Bearer eyJh.eyJz.c2ln\r\n";
/// A Basic of the app's own, or a wrong one of Locum's.
const WRONG: &str = "Authorization: Basic bm9ib2R5Om5vbnNlbnNl\r\n";

impl Scene {
    fn answer(&self, target: &str, lines: &str) -> Answer {
        let mut client = self.world.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n"));
        client.answer().expect("there is an answer")
    }

    fn status(&self, target: &str, lines: &str) -> u16 {
        self.answer(target, lines).status
    }

    /// The statuses of all these, none of which may reach the app.
    fn refused(&self, target: &str, cases: &[(&str, String)], status: u16) {
        let before = self.upstream.count();
        for (what, lines) in cases {
            assert_eq!(self.status(target, lines), status, "{target}: {what}");
        }
        assert_eq!(self.upstream.count(), before, "{target}: nothing of it reached the app");
    }

    /// Whether anything of the token was seen by the app.
    fn app_saw_the_token(&self) -> bool {
        let seen = self.upstream.seen().iter().map(Seen::text).collect::<String>();
        seen.contains(&self.billing.token[22..62])
    }
}

/// G2, G7, HD-043: the app's own `Authorization` goes on untouched, and Locum's credential does not.
#[test]
fn a_token_beside_an_apps_own_authorization() {
    let scene = scene();
    for own in [scene.billing.own_basic(), scene.billing.own_bearer()] {
        for (target, foreign) in [("/own/x", FOREIGN), ("/own/x", WRONG), ("/every/x", FOREIGN), ("/pub/every/x", "")] {
            assert_eq!(scene.status(target, &format!("{foreign}{own}")), 200, "{target} {foreign}{own}");
            let seen = scene.upstream.last();
            let expected = foreign.trim_end().strip_prefix("Authorization: ");
            assert_eq!(seen.value("Authorization").as_deref(), expected);
            assert_eq!(seen.value("Locum-Authorization"), None);
            assert_eq!(seen.value("X-Locum-User").as_deref(), Some("billing"));
        }
    }
    assert!(!scene.app_saw_the_token());
}

/// G2, G7: where it is not accepted it is not read, and goes nowhere all the same; on no route does a
/// spelling pass that an app could read as this header.
#[test]
fn the_header_for_a_token_never_arrives_on_any_route() {
    let scene = scene();
    let own = scene.billing.own_bearer();
    for (target, lines) in [
        ("/pub/x", own.clone()),
        ("/pub/x", format!("{FOREIGN}{own}")),
        ("/app/x", format!("{}{own}", scene.billing.basic())),
        ("/pub/x", "Locum-Authorization: nonsense\r\n".to_owned()),
    ] {
        assert_eq!(scene.status(target, &lines), 200, "{target} {lines}");
        let seen = scene.upstream.last();
        assert_eq!(seen.value("Locum-Authorization"), None, "{target} {lines}");
        assert_eq!(seen.value("X-Locum-User").is_some(), target == "/app/x");
    }
    assert_eq!(scene.status("/app/x", &own), 401);
    let look_alikes = ["Locum_Authorization", "LOCUM.AUTHORIZATION"];
    let look_alikes = look_alikes.map(|name| (name, own.replace("Locum-Authorization", name)));
    for target in ["/pub/x", "/own/x", "/pub/every/x"] {
        scene.refused(target, &look_alikes, 400);
    }
    assert!(!scene.app_saw_the_token());
}

/// G2, HD-041: two credentials of Locum's are refused, good or not: the one is never the second try of the
/// other. The connection ends, as after two of one header.
#[test]
fn two_credentials_in_one_request_are_refused() {
    let scene = scene();
    let (basic, bearer) = (scene.billing.basic(), scene.billing.bearer());
    let own = [scene.billing.own_basic(), scene.billing.own_bearer(), "Locum-Authorization: x\r\n".to_owned()];
    for own in &own {
        for authorization in [basic.as_str(), bearer.as_str(), WRONG] {
            for lines in [format!("{authorization}{own}"), format!("{own}{authorization}")] {
                for target in ["/every/x", "/pub/every/x"] {
                    let answer = scene.answer(target, &lines);
                    assert_eq!(answer.status, 400, "{target} {lines}");
                    assert_eq!(answer.value("connection"), Some("close"), "{target} {lines}");
                }
            }
        }
    }
    let twice = [("twice", format!("{}{}", own[0], own[0])), ("both", format!("{}{}", own[0], own[1]))];
    for target in ["/every/x", "/own/x", "/pub/x"] {
        scene.refused(target, &twice, 400);
    }
    assert_eq!(scene.upstream.count(), 0);
    assert_eq!(scene.status("/every/x", &basic), 200, "none of that was an attempt on the account");
}

/// G2: what is wrong in Locum's own header is refused on a public route too, and never taken for the app's.
#[test]
fn an_invalid_token_beside_authorization_is_refused_on_every_route_that_reads_it() {
    let scene = scene();
    let cases = [
        ("a wrong token", "Bearer locum_pat_nonsense"),
        ("a foreign bearer", "Bearer eyJh.eyJz.c2ln"),
        ("a wrong basic", "Basic bm9ib2R5Om5vbnNlbnNl"),
        ("no base64", "Basic ???"),
        ("another scheme", "Digest username=a"),
        ("a bare token", &scene.billing.token),
        ("nothing", ""),
    ]
    .map(|(what, value)| (what, format!("Locum-Authorization: {value}\r\n")));
    for target in ["/own/x", "/every/x", "/pub/every/x"] {
        scene.refused(target, &cases, 401);
    }
    let nominated = format!("{}Connection: Locum-Authorization\r\n", cases[0].1);
    scene.refused("/pub/every/x", &[("named away", nominated)], 401);
}

/// G3: a challenge for each scheme that the route accepts, and no other: `Basic` would ask for the app's.
#[test]
fn a_challenge_says_where_a_credential_belongs() {
    let scene = scene();
    let own = r#"Locum-Authorization realm="Locum", schemes="Basic Bearer", charset="UTF-8""#;
    let (basic, bearer) = (r#"Basic realm="Locum", charset="UTF-8""#, r#"Bearer realm="Locum""#);
    for (target, challenges) in
        [("/own/x", &[own][..]), ("/every/x", &[basic, bearer, own]), ("/app/x", &[basic, bearer])]
    {
        for lines in ["", FOREIGN] {
            let answer = scene.answer(target, lines);
            assert_eq!((answer.status, answer.values("www-authenticate")), (401, challenges.to_vec()), "{target}");
        }
    }
}

/// G7, RFC 9111 §3.5: a cache that has never heard of the header has to be told of it.
#[test]
fn an_answer_that_depends_on_the_header_says_so() {
    let scene = scene();
    for (target, varies) in [("/own/x", true), ("/pub/every/x", true), ("/app/x", false)] {
        let line = if target == "/app/x" { scene.billing.basic() } else { scene.billing.own_basic() };
        let answer = scene.answer(target, &line);
        assert_eq!((answer.status, answer.values("vary").contains(&"Locum-Authorization")), (200, varies), "{target}");
    }
}

/// G2: a route that asks for the username beside a token gets it, once and right, or refuses; no app sees it.
#[test]
fn a_token_alone_needs_its_username_where_the_route_asks_for_it() {
    let scene = scene();
    let named = |line: &str, name: &str| format!("{line}X-Locum-Username: {name}\r\n");
    for line in [scene.billing.bearer(), scene.billing.own_bearer()] {
        assert_eq!(scene.status("/named/x", &named(&line, "billing")), 200);
        let seen = scene.upstream.last();
        assert_eq!((seen.value("X-Locum-Username"), seen.value("Authorization")), (None, None));
        assert_eq!(seen.value("X-Locum-User").as_deref(), Some("billing"));
    }
    for line in [scene.billing.basic(), scene.billing.own_basic()] {
        assert_eq!(scene.status("/named/x", &line), 200, "Basic brings its username");
    }
    // On any other route too, whatever stands in it.
    for (target, lines) in [("/pub/x", named("", "x")), ("/app/x", named(&scene.billing.bearer(), "reports"))] {
        assert_eq!(scene.status(target, &lines), 200);
        assert_eq!(scene.upstream.last().value("X-Locum-Username"), None);
    }
    scene.refused("/pub/named/x", &[("a look-alike", "X-Locum_Username: billing\r\n".to_owned())], 400);
}

/// G2, L4: wrong, missing, twice, empty: one answer, that of every other refusal, on a public route too.
#[test]
fn a_wrong_and_a_missing_username_are_refused_alike() {
    let scene = scene();
    let named = |names: &[&str]| {
        names.iter().fold(scene.billing.bearer(), |lines, name| lines + "X-Locum-Username: " + name + "\r\n")
    };
    let cases = [
        ("missing", named(&[])),
        ("of nobody", named(&["nobody"])),
        ("empty", named(&[""])),
        ("named away", named(&["billing"]) + "Connection: X-Locum-Username\r\n"),
    ];
    // Each of these is an attempt on the account whose token it carries, so four and not five (L1, L10).
    scene.refused("/named/x", &cases[..3], 401);
    scene.refused("/pub/named/x", &cases[3..], 401);
    let stripped = |answer: &Answer| {
        let mut problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        problem.as_object_mut().unwrap().remove("request_id");
        (answer.status, problem, answer.values("www-authenticate").len())
    };
    assert_eq!(scene.status("/named/x", &named(&["billing"])), 200, "four attempts are not five");
    let missing = scene.answer("/named/x", &named(&[]));
    let nonsense = scene.answer("/named/x", "Authorization: Basic bm9ib2R5Om5vbnNlbnNl\r\n");
    assert_eq!(stripped(&missing), stripped(&nonsense));
    // Twice, even the same: nobody says which one counts.
    assert_eq!(scene.status("/named/x", &named(&["billing", "billing"])), 401);
    assert_eq!(scene.status("/named/x", &named(&["billing"])), 200);
}

/// G2, L1, L10: an attempt without the username is on the account whose token it carries; with one, on that
/// account and on no other.
#[test]
fn an_attempt_is_on_the_account_that_it_names_else_on_that_of_its_token() {
    let scene = scene();
    let orders = scene.world.proxy_user("orders", &["user"]);
    for _ in 0..5 {
        assert_eq!(scene.status("/named/x", &format!("{}X-Locum-Username: orders\r\n", scene.billing.bearer())), 401);
    }
    assert_eq!(scene.status("/app/x", &orders.basic()), 401, "the named account was shut");
    assert_eq!(scene.status("/app/x", &scene.billing.basic()), 200, "and the token's was not");
    for _ in 0..5 {
        assert_eq!(scene.status("/named/x", &scene.billing.bearer()), 401);
    }
    assert_eq!(scene.status("/app/x", &scene.billing.basic()), 401, "without a name it is the token's account");
}

/// G2, HD-042: what another program would read as a Basic or a Bearer, and Locum as neither, is nobody's.
#[test]
fn a_scheme_in_another_spelling_is_refused() {
    let scene = scene();
    let spelled = |value: &str| (value.to_owned(), format!("Authorization: {value}\r\n"));
    let values =
        ["Basic\tYTpi", "Basic,YTpi", "basic\"YTpi\"", ",Basic YTpi", "\"Basic YTpi", "Bearer\teyJh", "(Bearer eyJh"];
    for value in values {
        let (what, line) = spelled(value);
        scene.refused("/pub/x", &[(&what, line.clone())], 400);
        scene.refused("/every/x", &[(&what, format!("{}{line}", scene.billing.own_bearer()))], 400);
    }
    for value in
        ["Basic-Custom YTpi", "Basics YTpi", "Digest username=\"a\"", "key,Basic", "AWS4-HMAC-SHA256 Credential=a/b"]
    {
        assert_eq!(scene.status("/pub/x", &spelled(value).1), 200, "{value} is the app's own");
    }
}

/// G5: an app that is told by one name of a family is sent no other name of any family by a client.
#[test]
fn a_name_of_a_family_that_nobody_configured_does_not_arrive() {
    let scene = scene();
    let names = [
        "X-WEBAUTH-ROLE",
        "Remote-User",
        "X-Remote-Group",
        "X-Auth-Request-Email",
        "X-authentik-groups",
        "SSL-Client-S-DN",
    ];
    let lines = names.map(|name| format!("{name}: admin\r\n")).concat();
    assert_eq!(scene.status("/pub/x", &lines), 200);
    let seen = scene.upstream.last().text().to_ascii_lowercase();
    for name in names {
        assert!(!seen.contains(&name.to_ascii_lowercase()), "{name}: {seen}");
    }
    scene.refused("/pub/x", &[("folded", "X_WebAuth_Role: admin\r\n".to_owned())], 400);
}

/// H1-045: as many nominations as no honest client makes are refused.
#[test]
fn endless_nominations_are_refused() {
    let scene = scene();
    scene.refused("/pub/x", &[("nominations", format!("Connection: {}\r\n", "a,".repeat(40)))], 400);
    assert_eq!(scene.status("/pub/x", "Connection: close, x-a, x-b\r\nX-A: 1\r\n"), 200);
}
