//! Apps and their routes: what each may say, and what two of them cannot both claim.

use locum::directory::{Permission, RoleName};
use locum::gateway::Preset;
use locum::policy::{Accept, HostName, Upgrades};

use super::*;

/// C1: one table is enough, and everything else has its default.
#[test]
fn an_app_and_a_route_are_a_whole_configuration() {
    let settings = read(APP);
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.socket, Path::new("/etc/locum/locum.sock"));
    assert!(matches!(settings.store, Location::Sqlite(path) if path == Path::new("/etc/locum/locum.db")));
    assert!(settings.redis.is_none());
    assert_eq!(settings.lockout.threshold, 5);
    assert_eq!(settings.pats.longest_life.as_secs(), 365 * 86_400);
    let app = &settings.apps[0];
    assert_eq!((app.name().as_str(), app.routing.path_prefix.length(), app.headers), ("wiki", 0, Preset::Locum));
    assert_eq!(app.upstreams[0].to_string(), "http://127.0.0.1:3000");
    assert_eq!(app.routing.routes.len(), 1);
}

/// A gateway without an app would refuse everything: it says so instead of starting.
#[test]
fn serving_needs_an_app_and_an_app_needs_a_route() {
    assert_eq!(
        wrong(""),
        "locum.toml:1:1: there is no app to serve; add `[apps.NAME]` with its `upstreams`, and `[[apps.NAME.routes]]`"
    );
    assert_eq!(
        wrong("[apps.wiki]"),
        "locum.toml:1:7: `apps.wiki` has no route, so every request to it would be refused; add \
         `[[apps.wiki.routes]]` with a path, such as `path = \"/*\"`"
    );
    assert_eq!(
        wrong("[apps.wiki]\n[[apps.wiki.routes]]\npublic = true"),
        "locum.toml:2:1: `path` is missing in `[[apps.wiki.routes]]`; give a string, between quotes"
    );
    let source = Source::new("locum.toml", "");
    let administer = config::read(source, Path::new("/"), [], Purpose::Administer, &secret_file);
    assert!(administer.is_ok_and(|settings| settings.apps.is_empty()));
}

#[test]
fn an_apps_name_keeps_to_its_letters() {
    for name in ["Wiki", "1wiki", "\"wi ki\"", "wi_ki", "a23456789012345678901234567890123"] {
        let problem = wrong(&format!("[apps.{name}]\nroutes = [{{ path = \"/*\" }}]"));
        assert!(problem.contains("cannot name an app: use a letter, then up to 31 of `a-z 0-9 -`"), "{problem}");
    }
}

/// G4: which app answers is never a matter of chance.
#[test]
fn two_apps_cannot_claim_the_same_host_and_prefix() {
    let second = |keys: &str| {
        let route = "[[apps.notes.routes]]\npath = \"/*\"";
        format!("{APP}[apps.notes]\n{keys}\n{route}")
    };
    assert_eq!(
        wrong(&second("")),
        "locum.toml:1:7: the app `notes` already answers on every host under `/`: give one of them another host or path \
         prefix"
    );
    let settings = read(&second("path_prefix = \"/notes/\""));
    assert_eq!(settings.apps[0].routing.path_prefix.to_string(), "/notes");
    let hosts = &read(&second("hosts = [\"Notes.Example.org\", \"*.Example.org\"]")).apps[0].routing.hosts;
    assert_eq!(hosts[..], [HostName::Exact("notes.example.org".into()), HostName::Below("example.org".into())]);
}

/// G4: which route decides is never a matter of chance.
#[test]
fn two_routes_cannot_claim_the_same_path_and_method() {
    let routes = |first: &str, second: &str| {
        format!("[apps.wiki]\n[[apps.wiki.routes]]\n{first}\n[[apps.wiki.routes]]\n{second}\n")
    };
    let twice = "an earlier route of the app is for the same path and method: one request would have two rules";
    assert_eq!(wrong(&routes("path = \"/a/{x}\"", "path = \"/a/{y}\"")), format!("locum.toml:5:8: {twice}"));
    assert_eq!(
        wrong(&routes("path = \"/a\"\nmethods = [\"GET\", \"PUT\"]", "path = \"/a\"\nmethods = [\"PUT\"]")),
        format!("locum.toml:6:8: {twice}")
    );
    read(&routes("path = \"/a\"\nmethods = [\"GET\"]", "path = \"/a\"\nmethods = [\"PUT\"]"));
    read(&routes("path = \"/a\"\nmethods = [\"GET\"]", "path = \"/a\""));
    read(&routes("path = \"/a/{x}\"", "path = \"/a/b\""));
}

/// G4: a route that no request could reach is a slip.
#[test]
fn a_route_lies_under_the_prefix_of_its_app() {
    let route = |path: &str| format!("[apps.git]\npath_prefix = \"/git\"\n[[apps.git.routes]]\npath = \"{path}\"\n");
    assert_eq!(
        wrong(&route("/admin/*")),
        "locum.toml:4:8: no path under `/git` can match: a route's path is the whole path of the URL"
    );
    for path in ["/*", "/git/*", "/{x}/admin"] {
        read(&route(path));
    }
}

#[test]
fn a_route_asks_for_what_can_be_had() {
    for (keys, problem) in [
        (
            "public = true\nroles_any = [\"reader\"]",
            "locum.toml:5:1: a public route asks nobody who they are, so `roles_any` cannot hold; leave out either this or \
             `public = true`",
        ),
        (
            "accept = []",
            "locum.toml:4:10: the route accepts no credential, so nobody could pass; give one or more of `\"basic\"`, \
             `\"bearer\"` and `\"locum-authorization\"`, or `public = true`",
        ),
        (
            "accept = [\"basic\", \"baerer\"]",
            "locum.toml:4:20: `apps.wiki.routes.accept` cannot be `baerer`, did you mean `bearer`?",
        ),
        (
            "methods = [\"GET\", \"post\"]",
            "locum.toml:4:19: `apps.wiki.routes.methods` cannot be `post`; methods are written in capitals: give `POST`",
        ),
        (
            "methods = [\"G T\"]",
            "locum.toml:4:12: `apps.wiki.routes.methods` cannot be `G T`; give a method such as `GET`",
        ),
        (
            "roles_all = [\"a b\"]",
            "locum.toml:4:14: `a b` cannot name a role: use `NAME` or `APP/NAME`, NAME being 1 to 64 of `A-Z a-z 0-9 . _ \
             -`",
        ),
        (
            "roles_all = [\"wiki/editor\", \"notes/editor\"]",
            "locum.toml:4:29: the role `notes/editor` belongs to the app `notes`, not to `wiki`; give a role of this app, \
             or one of the system",
        ),
    ] {
        assert_eq!(wrong_in_a_route(keys), problem);
    }
    let settings = read(&format!("{APP}permissions_any = [\"role:wiki/editor\", \"wiki:edit\"]"));
    let permissions = &settings.apps[0].routing.routes[0].rule.permissions_any;
    assert_eq!(
        permissions[..],
        [Permission::implied_by(&RoleName::parse("wiki/editor").unwrap()), Permission::parse("wiki:edit").unwrap()]
    );
}

/// G2: schemes, and the header for the username beside a token that comes alone.
#[test]
fn a_route_says_what_it_reads() {
    let rule = |keys: &str| read(&format!("{APP}{keys}")).apps[0].routing.routes[0].rule.clone();
    let usual = rule("");
    assert_eq!((usual.accept, usual.username_header), (Accept::default(), None));
    let own = rule("accept = [\"locum-authorization\"]\nusername_header = \"X-Locum-Username\"");
    assert_eq!(own.accept, Accept { locum_authorization: true, ..Accept::NOTHING });
    assert_eq!(own.username_header.unwrap(), "x-locum-username");
}

/// G2, G5: a header in which no username could arrive, or that means something else, is a slip.
#[test]
fn a_username_is_asked_for_in_a_header_of_its_own() {
    let other = "choose another, such as `X-Locum-Username`";
    for (name, problem) in [
        ("X User", "`X User` cannot name a header; use letters, digits, `-` and `_`".to_owned()),
        ("", "`` cannot name a header; use letters, digits, `-` and `_`".to_owned()),
        (
            "Authorization",
            "the header `Authorization` belongs to HTTP and to the app; choose another, such as `X-Remote-User`"
                .to_owned(),
        ),
        (
            "locum_authorization",
            "the header `locum_authorization` belongs to Locum; choose another, such as `X-Remote-User`".to_owned(),
        ),
        ("X-Forwarded-User", format!("the header `X-Forwarded-User` is removed from every request; {other}")),
        ("x_real-ip", format!("the header `x_real-ip` is removed from every request; {other}")),
        (
            "X-LOCUM-User",
            format!("the app `wiki` learns who asks in the header `x-locum-user`, so no client may send it; {other}"),
        ),
    ] {
        let line = wrong_in_a_route(&format!("username_header = \"{name}\""));
        assert_eq!(line, format!("locum.toml:4:19: {problem}"));
    }
    let two = |told: &str| {
        let first = "[apps.wiki]\n[[apps.wiki.routes]]\npath = \"/*\"\nusername_header = \"X-Login\"\n";
        format!("{first}[apps.b]\nhosts = [\"b.test\"]\n{told}\n[[apps.b.routes]]\npath = \"/*\"\n")
    };
    read(&two(""));
    assert_eq!(
        wrong(&two("set_headers = { x_login = \"{user}\" }")),
        format!(
            "locum.toml:4:19: the app `b` learns who asks in the header `x-login`, so no client may send it; {other}"
        )
    );
    assert_eq!(
        wrong_in_a_route("accept = [\"basic\"]\nusername_header = \"X-Login\""),
        "locum.toml:5:1: the route accepts no token that comes alone, so nobody would read `username_header`; accept \
         `\"bearer\"` or `\"locum-authorization\"`, or leave this out: Basic brings its username"
    );
}

#[test]
fn an_app_is_told_what_is_wrong_with_its_values() {
    for (keys, problem) in [
        ("upstreams = []", "`apps.wiki.upstreams` is empty; say where the app runs, as in `http://127.0.0.1:3000`"),
        (
            "upstreams = [\"http://127.0.0.1:8080\"]",
            "`apps.wiki.upstreams` cannot be `http://127.0.0.1:8080`; give the address of the app: this one is the \
             gateway's own, requests would run in a circle",
        ),
        (
            "upstreams = [\"http://app/base\"]",
            "`apps.wiki.upstreams` cannot be `http://app/base`; leave out the path: it reaches the app as the client \
             sent it",
        ),
        ("path_prefix = \"wiki\"", "`apps.wiki.path_prefix` cannot be `wiki`; a path starts with `/`"),
        (
            "path_prefix = \"/a/../b\"",
            "`apps.wiki.path_prefix` cannot be `/a/../b`; `.` and `..` can match nothing: a path with one is refused",
        ),
        ("headers = \"authelai\"", "`apps.wiki.headers` cannot be `authelai`, did you mean `authelia`?"),
        ("set_headers = { X-User = \"{usr}\" }", "unknown placeholder `{usr}`, did you mean `{user}`?"),
        (
            "set_headers = { \"X User\" = \"{user}\" }",
            "`X User` cannot name a header; use letters, digits, `-` and `_`",
        ),
        (
            "set_headers = { X-User = \"{user}\", x_user = \"{user}\" }",
            "the header `x_user` reads the same as `X-User`; leave one out: apps do not tell `-` from `_`, nor case",
        ),
        (
            "set_headers = { Authorization = \"{user}\" }",
            "the header `Authorization` belongs to HTTP and to the app; choose another, such as `X-Remote-User`",
        ),
        ("connect_timeout = \"0s\"", "`apps.wiki.connect_timeout` cannot be `0s`; give more than nothing"),
    ] {
        let line = wrong_in_an_app(keys);
        assert_eq!(line.split_once(": ").map(|(_, problem)| problem), Some(problem), "{line}");
        assert!(line.starts_with("locum.toml:2:"), "{line}");
    }
}

/// G1, UP-007, UP-008: what a tunnel may be, and who may open it from elsewhere.
#[test]
fn upgrades_are_names_of_protocols_and_origins_are_origins() {
    let with = |app: &str, route: &str| format!("[apps.wiki]\n{app}\n[[apps.wiki.routes]]\npath = \"/*\"\n{route}\n");
    let upgrades = |text: &str| read(text).apps[0].routing.routes[0].rule.upgrades.clone();
    assert_eq!(upgrades(APP), Upgrades::default());
    assert_eq!(upgrades(&with("", "upgrades = []")), Upgrades::NONE);
    let named = upgrades(&with("", "upgrades = [\"WebSocket\", \"own/2\"]"));
    assert!(named.allow("websocket") && named.allow("OWN/2") && !named.allow("own"));
    assert_eq!(
        wrong(&with("", "upgrades = [\"h2c\"]")),
        "locum.toml:5:13: `apps.wiki.routes.upgrades` cannot be `h2c`; leave it out: requests inside of such a \
         tunnel would be judged by nobody"
    );
    assert_eq!(
        wrong(&with("allowed_origins = [\"www.example.org\"]", "")),
        "locum.toml:2:20: `apps.wiki.allowed_origins` cannot be `www.example.org`; give a scheme and a host, such as \
         `https://www.example.org`, without path and user"
    );
    assert!(wrong(&with("tunnel_idle_timeout = \"0s\"", "")).contains("give more than nothing"));
}

/// C1, G8: what is said of an app in trouble is checked, and what would have no effect is refused.
#[test]
fn what_is_said_of_an_app_in_trouble_is_checked() {
    for (more, place) in [
        ("outlier = { ejection_time = \"2m\" }", "apps.wiki.outlier.max_ejection_time"),
        ("max_pending = 5", "apps.wiki.max_pending"),
        ("health = { interval = \"5s\", timeout = \"1s\" }", "apps.wiki.health"),
        ("health = { path = \"healthz\" }", "apps.wiki.health.path"),
        ("health = { path = \"/\", host = \"a b\" }", "apps.wiki.health.host"),
        ("health = { path = \"/\", interval = \"10ms\" }", "apps.wiki.health.interval"),
        ("health = { path = \"/\", status = \"2xx\" }", "apps.wiki.health.status"),
        ("total_timeout = \"0s\"", "apps.wiki.total_timeout"),
    ] {
        let problems = wrong_in_an_app(more);
        assert!(problems.contains(place), "{more}: {problems}");
    }
}
