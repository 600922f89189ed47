//! What must not count as an attempt, and whose word about an address is believed: rows of a list of
//! attacks, through the real binary.

use std::net::{IpAddr, Ipv4Addr};

use crate::locum::{Locum, basic, configuration};
use crate::upstream::Upstream;

/// AU-006: what is refused for another reason than its credential is no attempt: malformed, unrouted and
/// forbidden requests, with bad credentials and with good ones.
#[test]
fn only_a_judged_credential_is_an_attempt() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, ""));
    let user = gate.add_proxy_user_of("ann");
    let bad = basic("ann-ci", "nonsense");
    let malformed = format!("GET / HTTP/1.1\r\nHost: app.test\r\nHost: app.test\r\n{bad}\r\n");
    for _ in 0..5 {
        assert_eq!(gate.send(malformed.as_bytes()).status, 400);
        assert_eq!(gate.get("elsewhere.test", "/", &bad).status, 404);
        assert_eq!(gate.get("app.test", "/pub/../x", &bad).status, 400);
    }
    for _ in 0..5 {
        assert_eq!(gate.get("ledger.test", "/", &user.basic()).status, 403);
    }
    for number in 0..4 {
        assert_eq!(gate.get("app.test", "/", &basic("ann-ci", &user.guess(number))).status, 401);
    }
    assert_eq!(gate.get("app.test", "/", &user.basic()).status, 200, "four attempts are not five");
}

/// L8, AU-060: a client that names another address each time is one source all the same.
#[test]
fn naming_other_addresses_does_not_refill_the_budget() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, "[throttle]\nburst = 5\nper_second = 1\n"));
    let statuses = (0..40_u8).map(|number| {
        let words = format!(
            "X-Forwarded-For: 10.0.0.{number}\r\nForwarded: for=10.0.1.{number}\r\nX-Real-IP: 10.0.2.{number}\r\n{}",
            basic(&format!("nobody-{number}"), "nonsense")
        );
        gate.get("app.test", "/", &words).status
    });
    assert!(statuses.into_iter().any(|status| status == 429), "the budget never ended");
}

/// L10, HD-022, HD-026: nobody is trusted to speak for another address, host, scheme or port: not before
/// the app, and not before a token that is bound to networks.
#[test]
fn nobody_speaks_for_another_address() {
    let upstream = Upstream::echo();
    let gate = Locum::start(&configuration(upstream.address, ""));
    let user = gate.add_proxy_user_of("ann");
    let words = "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1;proto=https\r\nX-Real-IP: 10.0.0.1\r\n\
                 X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\n";
    assert_eq!(gate.get("app.test", "/", &format!("{words}{}", user.basic())).status, 200);
    let head = upstream.last().text().to_ascii_lowercase();
    for line in ["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-forwarded-host: app.test"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    for word in ["10.0.0.1", "evil.test", "\r\nforwarded:", "x-real-ip", "x-forwarded-port"] {
        assert!(!head.contains(word), "{word}: {head}");
    }

    let bound = ["pat", "add", "ann-ci", "--service", "x", "--network", "10.0.0.0/8", "--confirm"];
    let made = gate.json_cli(&bound);
    let bound = basic("ann-ci", made["token"].as_str().unwrap());
    let from: IpAddr = Ipv4Addr::LOCALHOST.into();
    assert_eq!(gate.get_from(from, "app.test", "/", &format!("{words}{bound}")).status, 401);
}

/// G2, HD-041, HD-043: what the configuration says that a route reads, the running gateway reads: a token
/// beside the app's own credential, one credential a request, and the username where it is asked for.
#[test]
fn a_route_reads_what_its_configuration_names() {
    const ROUTES: &str = "[[apps.app.routes]]\npath = \"/own/*\"\naccept = [\"locum-authorization\", \"basic\"]\n\
                          username_header = \"X-Login\"\n";
    let upstream = Upstream::echo();
    let file = configuration(upstream.address, "").replace("[apps.ledger]", &format!("{ROUTES}[apps.ledger]"));
    let gate = Locum::start(&file);
    let user = gate.add_proxy_user_of("ann");
    let (foreign, login) = ("Authorization: Bearer of.the.app\r\n", "X-Login: ann-ci\r\n");
    let own = format!("Locum-{}", user.bearer());
    assert_eq!(gate.get("app.test", "/own/x", &format!("{foreign}{own}{login}")).status, 200);
    let head = upstream.last().text().to_ascii_lowercase();
    assert!(head.contains("\r\nauthorization: bearer of.the.app\r\n"), "{head}");
    assert!(head.contains("\r\nx-locum-user: ann-ci\r\n"), "{head}");
    assert!(!head.contains("locum-authorization") && !head.contains("x-login"), "{head}");

    let before = upstream.count();
    assert_eq!(gate.get("app.test", "/own/x", &format!("{}{own}{login}", user.basic())).status, 400);
    assert_eq!(gate.get("app.test", "/own/x", &format!("{foreign}{own}")).status, 401, "without the username");
    let bearer_is_not_accepted = gate.get("app.test", "/own/x", &format!("{}{login}", user.bearer()));
    assert_eq!(bearer_is_not_accepted.status, 401);
    assert!(!bearer_is_not_accepted.head.contains("Bearer realm"), "{}", bearer_is_not_accepted.head);
    assert_eq!(upstream.count(), before);
    assert_eq!(gate.get("app.test", "/own/x", &user.basic()).status, 200);
    assert_eq!(upstream.last().text().matches("uthorization").count(), 0);
}
