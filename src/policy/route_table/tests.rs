//! The claims of the route table, by example and by property.

use proptest::prelude::*;

use super::super::Accept;
use super::*;
use crate::directory::Permission;

fn app(name: &str, hosts: &[&str], prefix: &str, routes: &[&str]) -> AppRoutes {
    AppRoutes {
        name: AppName::parse(name).unwrap(),
        hosts: hosts.iter().map(|host| HostName::parse(host).unwrap()).collect(),
        path_prefix: PathPrefix::parse(prefix).unwrap(),
        path_reading: PathReading::Exact,
        routes: routes.iter().map(|route| settings(route)).collect(),
    }
}

/// `GET,POST /path` or `/path`.
fn settings(route: &str) -> RouteSettings {
    let (methods, path) = route.split_once(' ').unwrap_or(("", route));
    let methods = methods.split(',').filter(|m| !m.is_empty()).map(|m| Method::from_bytes(m.as_bytes()).unwrap());
    RouteSettings { path: Pattern::parse(path).unwrap(), rule: Rule { methods: methods.collect(), ..Rule::default() } }
}

/// The app and pattern that a request is found to belong to.
fn find(table: &RouteTable, method: &str, url: &str) -> Result<(String, String), Miss> {
    let at = url.find('/').unwrap();
    let host = PresentedHost::parse(&url[..at]).unwrap();
    let path = Readings::of(&url[at..]).unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    table.find(&host, &path, &method).map(|route| (route.app.to_string(), route.path.to_string()))
}

fn table(apps: &[AppRoutes]) -> RouteTable {
    RouteTable::build(apps).unwrap()
}

fn pair(app: &str, path: &str) -> (String, String) {
    (app.to_owned(), path.to_owned())
}

/// G5, PA-027, PA-028: for an app that reads paths as Windows does, a rule holds however its path is written.
#[test]
fn a_rule_holds_for_every_spelling_that_windows_reads_alike() {
    let mut files = app("files", &["a.test"], "/Share", &["/share/*", "/Share/Admin/*"]);
    files.path_reading = PathReading::Windows;
    let table = table(&[files.clone(), app("rest", &["a.test"], "/", &["/*"])]);
    for path in ["/Share/Admin/x", "/share/admin/x", "/SHARE/ADMIN/X", "/share/%41dmin/x"] {
        assert_eq!(find(&table, "GET", &format!("a.test{path}")), Ok(pair("files", "/Share/Admin/*")), "{path}");
    }
    for path in ["/share/admin./x", "/share/admin%20/x", "/share/admin%2e/x", "/share/admin::$DATA", "/share/ADMIN~1/x"]
    {
        assert_eq!(find(&table, "GET", &format!("a.test{path}")), Err(Miss::Ambiguous), "{path}");
    }
    assert_eq!(find(&table, "GET", "a.test/other./x"), Ok(pair("rest", "/*")));

    files.routes.push(settings("/SHARE/*"));
    let faults: Vec<_> = RouteTable::problems(&[files.clone(), app("other", &["a.test"], "/share", &["/share"])])
        .into_iter()
        .map(|problem| problem.what)
        .collect();
    assert!(faults.contains(&TableFault::SameRoute), "{faults:?}");
    assert!(faults.iter().any(|fault| matches!(fault, TableFault::SamePlace { .. })), "{faults:?}");
}

/// G4
#[test]
fn the_host_and_then_the_longest_prefix_choose_the_app() {
    let table = table(&[
        app("rest", &[], "/", &["/*"]),
        app("git", &["a.test"], "/git", &["/*"]),
        app("a", &["a.test", "b.test"], "/", &["/*"]),
        app("health", &[], "/health", &["/health"]),
        app("below", &["*.test"], "/", &["/*"]),
        app("deep", &["*.x.test"], "/", &["/*"]),
    ]);
    for (url, app) in [
        ("a.test/", "a"),
        ("A.TEST:8080/x", "a"),
        ("b.test/git", "a"),
        ("a.test/git/x", "git"),
        ("a.test/gitx", "a"),
        ("c.example/x", "rest"),
        ("c.example/health", "health"),
        ("a.test/health", "a"),
        ("c.test/health", "below"),
        ("c.d.test/", "below"),
        ("c.x.test/", "deep"),
        ("x.test/", "below"),
        ("test/x", "rest"),
    ] {
        assert_eq!(find(&table, "GET", url).map(|(app, _)| app), Ok(app.to_owned()), "{url}");
    }
}

/// G4: no match is refused.
#[test]
fn what_no_route_names_is_refused() {
    let table = table(&[app("a", &["a.test"], "/x", &["/x/y"])]);
    for url in ["b.test/x/y", "a.test/", "a.test/x", "a.test/x/y/z", "a.test/X/y"] {
        assert_eq!(find(&table, "GET", url), Err(Miss::NoRoute), "{url}");
    }
}

/// G4: a method that the most specific path does not name is not handed to a wider route.
#[test]
fn a_method_does_not_fall_through_to_a_wider_route() {
    let table = table(&[app("a", &[], "/", &["/*", "GET,HEAD /admin/*", "POST /admin/x", "/admin/x"])]);
    assert_eq!(find(&table, "GET", "h/admin/y"), Ok(pair("a", "/admin/*")));
    assert_eq!(find(&table, "DELETE", "h/admin/y"), Err(Miss::Method { allowed: vec![Method::GET, Method::HEAD] }));
    assert_eq!(find(&table, "POST", "h/admin/x"), Ok(pair("a", "/admin/x")));
    assert_eq!(find(&table, "get", "h/"), Err(Miss::Method { allowed: vec![] }));
}

/// PA-011, PA-016, PA-021, PA-025, PA-042: odd paths whose readings agree are let through.
#[test]
fn readings_that_agree_choose_their_route() {
    let table = table(&[app("a", &[], "/", &["/app/*", "/enc/*", "/admin/x"])]);
    for (path, pattern) in [
        ("/enc/group%2Fproject", "/enc/*"),
        ("/app/a%23b", "/app/*"),
        ("/app/%C3%A9", "/app/*"),
        ("/app/%61", "/app/*"),
        ("/%61pp/x", "/app/*"),
        ("/app/a;b=c", "/app/*"),
        ("/app//x", "/app/*"),
        ("/admin/x/", "/admin/x"),
        ("/app/100%25", "/app/*"),
    ] {
        assert_eq!(find(&table, "GET", &format!("h{path}")), Ok(pair("a", pattern)), "{path}");
    }
}

/// PA-028, PA-040, PA-043, PA-051: where readings would choose different routes, none is chosen.
#[test]
fn readings_that_differ_are_ambiguous() {
    let table = table(&[app("a", &[], "/", &["/pub/*", "/admin/*", "/app/{x}/bar", "/app/*"])]);
    for path in [
        "/admin;a=b/x",
        "/admin;/x",
        "/;x/admin",
        "/admin%2fx",
        "/admin%252fx",
        "//admin/x",
        "//pub/admin",
        "/app/secret%23/bar",
        "/app/secret%3f/bar",
        "/app/a%2fb/bar",
    ] {
        assert_eq!(find(&table, "GET", &format!("h{path}")), Err(Miss::Ambiguous), "{path}");
    }
    for path in ["/admin%20/x", "/admin./x", "/admin%2e/x", "/ADMIN/x"] {
        assert_eq!(find(&table, "GET", &format!("h{path}")), Err(Miss::NoRoute), "{path}");
    }
}

#[test]
fn contradictions_are_all_reported_at_once() {
    let mut apps = vec![
        app("a", &["h.test"], "/", &["/*", "GET /x", "GET,PUT /{y}", "GET /x"]),
        app("b", &["H.test"], "/", &[]),
        app("c", &[], "/c", &["/d/*", "/c"]),
    ];
    apps[2].routes[1].rule =
        Rule { public: true, permissions_any: vec![Permission::parse("c:x").unwrap()], ..Rule::default() };
    apps[2].routes.push(RouteSettings {
        path: Pattern::parse("/c/z").unwrap(),
        rule: Rule { accept: Accept::NOTHING, ..Rule::default() },
    });
    let problems: Vec<(String, Option<usize>)> =
        RouteTable::build(&apps).unwrap_err().into_iter().map(|p| (p.app.to_string(), p.route)).collect();
    let expected = [("a", Some(3)), ("b", None), ("b", None), ("c", Some(0)), ("c", Some(1)), ("c", Some(2))];
    assert_eq!(problems, expected.map(|(app, route)| (app.to_owned(), route)));
}

fn any_pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![Just("a"), Just("b"), Just("{x}")];
    (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, rest)| {
        let rest = if rest { "/*" } else { "" };
        let text = segments.iter().flat_map(|segment| ["/", segment]).collect::<String>() + rest;
        if text.is_empty() { "/".to_owned() } else { text }
    })
}

proptest! {
    /// G4: what is found matches, and no other route that matches is more specific, whatever the
    /// order in the configuration.
    #[test]
    fn the_most_specific_match_is_found_in_any_order(
        patterns in prop::collection::vec(any_pattern(), 1..8),
        segments in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 0..4),
        turn in 0..8_usize,
    ) {
        let mut distinct: Vec<Pattern> = Vec::new();
        for pattern in patterns.iter().map(|text| Pattern::parse(text).unwrap()) {
            if !distinct.iter().any(|known| known.has_shape_of(&pattern)) {
                distinct.push(pattern);
            }
        }
        let path = format!("/{}", segments.join("/"));
        let texts: Vec<&str> = distinct.iter().map(Pattern::as_str).collect();
        let mut turned = texts.clone();
        turned.rotate_left(turn % texts.len());
        let answer = find(&table(&[app("a", &[], "/", &texts)]), "GET", &format!("h{path}"));
        prop_assert_eq!(&answer, &find(&table(&[app("a", &[], "/", &turned)]), "GET", &format!("h{path}")));
        let matching: Vec<_> = distinct.iter().filter(|pattern| pattern.matches(segments_of(&path))).collect();
        match answer {
            Err(_) => prop_assert!(matching.is_empty()),
            Ok((_, chosen)) => {
                let chosen = Pattern::parse(&chosen).unwrap();
                prop_assert!(chosen.matches(segments_of(&path)));
                for other in matching {
                    prop_assert!(chosen.by_specificity(other).is_le(), "{} is more specific", other);
                }
            }
        }
    }
}
