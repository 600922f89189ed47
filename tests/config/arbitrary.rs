//! Whatever stands in the file or the environment: an answer, never a panic, and every problem at a place that exists.

use std::ffi::OsString;
use std::path::Path;

use locum::config::{self, Place, Purpose, Source};
use proptest::prelude::*;

/// Lines that are nearly a configuration: keys and tables that exist, slips of them, and values of all types.
///
/// Without `garbage` each line by itself is TOML.
fn line(garbage: bool) -> impl Strategy<Value = String> {
    let odd = u32::from(garbage);
    let table = prop::sample::select(vec![
        "server",
        "store",
        "redis",
        "lockout",
        "pats",
        "secrets",
        "log",
        "apps",
        "apps.wiki",
        "apps.wi ki",
        "sevrer",
        "apps.wiki.set_headers",
    ]);
    let key = prop::sample::select(vec![
        "listen",
        "lisen",
        "threads",
        "url",
        "url_file",
        "on_loss",
        "threshold",
        "prefix",
        "longest_life",
        "level",
        "hosts",
        "path_prefix",
        "upstreams",
        "headers",
        "set_headers",
        "routes",
        "path",
        "methods",
        "accept",
        "public",
        "roles_any",
        "apps",
        "server",
        "ключ",
        "\"\"",
        "a.b",
    ]);
    let value = prop_oneof![
        odd =>        "[\"'{\\[ ]{0,3}[a-z*/{}:.0-9é\u{1f600}]{0,12}[\"'}\\] ]{0,3}",
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "[1-9][0-9]{0,40}".prop_map(String::from),
        6 => prop::sample::select(vec![
            "true",
            "1.5",
            "inf",
            "1979-05-27T07:32:00Z",
            "[]",
            "{}",
            "[[[]]]",
            "\"/*\"",
            "[\"/{x}\", 3]",
            "[{ path = \"/*\" }, { path = \"/{x}\" }]",
            "{ X-A = \"{usr}\" }",
            "\"15m\"",
            "\"18446744073709551615w\"",
            "\"\"\"\nmany\nlines\"\"\"",
            "\"redis://:pw@h\"",
        ])
        .prop_map(String::from),
    ];
    prop_oneof![
        1 => table.clone().prop_map(|table| format!("[{table}]")),
        1 => table.prop_map(|table| format!("[[{table}.routes]]")),
        5 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        odd => ".{0,40}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let end = prop::sample::select(vec!["\n", "\r\n", "\n\n", " # ü\n"]);
    let lines = |garbage, most: usize| prop::collection::vec((line(garbage), end.clone()), 0..most);
    let joined =
        |lines: Vec<(String, &str)>| lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect();
    prop_oneof![
        8 => lines(false, 5).prop_map(joined),
        4 => lines(true, 12).prop_map(joined),
        1 => any::<String>(),
    ]
}

fn variable() -> impl Strategy<Value = (OsString, OsString)> {
    let name = prop_oneof![
        "LOCUM__(SERVER|REDIS|APPS|APPS__WIKI|LOCKOUT)__(LISTEN|URL|URL_FILE|WIKI|HEADERS|THRESHOLD|HOSTS|X)",
        "LOCUM__[A-Z_]{0,12}",
    ];
    (name, ".{0,12}").prop_map(|(name, value)| (name.into(), value.into()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// C1: each problem of arbitrary text lies inside the text, and both forms of it can be shown.
    #[test]
    fn arbitrary_text_gives_settings_or_problems_with_places(
        text in text(),
        environment in prop::collection::vec(variable(), 0..3),
    ) {
        let source = Source::new("locum.toml", text.clone());
        let read_secret = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let read = config::read(source.clone(), Path::new("/"), environment, Purpose::Serve, &read_secret);
        let Err(problems) = read else {
            return Ok(());
        };
        prop_assert!(problems.iter().len() > 0);
        for problem in problems.iter() {
            let Place::Text(range) = problem.place() else {
                continue;
            };
            prop_assert!(text.get(range.clone()).is_some(), "{range:?} of {} bytes: {problem}", text.len());
            let (line, column) = source.line_and_column(range.start);
            prop_assert!(line >= 1 && line <= text.matches('\n').count() + 1 && column >= 1);
        }
        prop_assert_eq!(problems.to_string().lines().count(), problems.iter().len(), "one line a problem");
        prop_assert!(!problems.for_terminal(false, 80).is_empty());
    }

    /// A password in a URL never reaches what is shown of it.
    #[test]
    fn no_message_holds_a_password(before in text(), scheme in "[a-z]{1,9}", wrong in "[a-z =\\[]{0,8}") {
        let text = format!("{before}\n[store]\nurl = \"{scheme}://me:hunter2@db/x\" {wrong}\n");
        let read_secret = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let source = Source::new("locum.toml", text);
        if let Err(problems) = config::read(source, Path::new("/"), [], Purpose::Serve, &read_secret) {
            prop_assert!(!problems.to_string().contains("hunter2"), "{problems}");
            let page = problems.for_terminal(false, 80);
            prop_assert!(!page.contains("hunter2"), "{page}");
            prop_assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
        }
    }
}
