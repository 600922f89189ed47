//! The house keeps its shape: who may import whom, what words may not do, how long a file may be.
//!
//! `src/lib.rs` says it in words for people; the tables here say it for the machine. When one of these
//! tests fails, its message says what to do. A better layout may change the tables, in the commit that
//! changes the map.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The words, as a list of what others may import.
const WORDS: [&str; 4] = ["clock", "directory", "policy", "history"];

/// Every room, and the rooms that it may import. Every room may use `telemetry` and itself.
const LAW: [(&str, &[&str]); 17] = [
    ("clock", &[]),
    ("telemetry", &[]),
    ("directory", &["clock"]),
    ("policy", &["directory", "clock"]),
    ("history", &["directory", "clock"]),
    ("seal", &["directory"]),
    ("store", &["clock", "directory", "policy", "history", "seal"]),
    ("cluster", &["clock", "directory"]),
    ("authn", &["clock", "directory", "policy", "history", "store", "cluster"]),
    ("authz", &["clock", "directory", "policy", "history", "seal", "store", "cluster"]),
    ("gateway", &["clock", "directory", "policy", "history", "cluster", "authn", "authz"]),
    ("provision", &["clock", "directory", "policy", "history", "seal", "store", "cluster", "authz"]),
    ("jobs", &["clock", "directory", "history", "store", "provision"]),
    ("admin", &["clock", "directory", "policy", "history", "store", "cluster", "authn", "authz", "provision", "jobs"]),
    (
        "config",
        &["clock", "directory", "policy", "store", "cluster", "authn", "authz", "gateway", "provision", "admin"],
    ),
    ("server", EVERYTHING),
    ("cli", EVERYTHING),
];

const EVERYTHING: &[&str] = &[
    "clock",
    "directory",
    "policy",
    "history",
    "seal",
    "store",
    "cluster",
    "authn",
    "authz",
    "gateway",
    "provision",
    "jobs",
    "admin",
    "config",
    "server",
    "cli",
];

/// What `config` may take from the rooms beside their `…Settings`: what settings are made of.
const PARTS_OF_SETTINGS: [&str; 18] = [
    "AppLimits",
    "Authorities",
    "Counts",
    "Field",
    "HeaderLine",
    "HealthCheck",
    "HopWords",
    "Identity",
    "Location",
    "OnLoss",
    "Origin",
    "Outlier",
    "Piece",
    "Preset",
    "Resilience",
    "Retry",
    "Timeouts",
    "TrustedProxies",
];

/// What words may not do (no async, no I/O, no clock, no randomness), and what to do instead.
const NOT_IN_WORDS: [(&str, &str); 15] = [
    ("async", "make it a function of what it needs, and wait in the room that calls it"),
    (".await", "make it a function of what it needs, and wait in the room that calls it"),
    ("tokio", "leave tasks and sockets to the rooms above"),
    ("std::fs", "take the text as an argument"),
    ("std::env", "take the value as an argument; only `cli` reads the environment"),
    ("std::process", "leave processes to the rooms above"),
    ("std::thread", "leave threads to the rooms above"),
    ("std::io", "take the bytes as an argument"),
    ("TcpStream", "leave sockets to the rooms above"),
    ("SystemTime", "take `now: Timestamp` as an argument"),
    ("Instant", "take `now: Timestamp` as an argument"),
    ("::now(", "take `now: Timestamp` as an argument"),
    ("now_v7", "take the instant and the random bytes as arguments"),
    ("rand::", "take the random bytes, or a source of them, as an argument"),
    ("getrandom", "take the random bytes, or a source of them, as an argument"),
];

/// Names of drawers: they say where a thing was put and not what it is.
const DRAWERS: [&str; 12] =
    ["common", "core", "ext", "helper", "helpers", "manager", "misc", "types", "util", "utils", "stuff", "shared_code"];

/// A file holds one idea; past this it wants to be two.
const MOST_LINES: usize = 600;

struct File {
    /// Relative to the package, with `/`.
    path: String,
    text: String,
}

impl File {
    /// The room, for a file of `src`; `None` for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        match inside.split_once('/') {
            Some((room, _)) => Some(room),
            None => Some(inside.strip_suffix(".rs")?).filter(|name| !matches!(*name, "lib" | "main")),
        }
    }

    /// How many modules deep the file's own is: 1 for `src/authn/mod.rs`, 2 for `src/authn/handle.rs`.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count() - 1;
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    /// Whether the whole file is tests.
    fn is_tests(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs"))
    }

    /// The text without comments, strings and modules of tests.
    fn code(&self) -> String {
        without_test_modules(&without_comments_and_strings(&self.text))
    }
}

fn files_of(folder: &str) -> Vec<File> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![package.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(package).unwrap().components();
                let parts: Vec<_> = relative.map(|part| part.as_os_str().to_str().unwrap()).collect();
                files.push(File { path: parts.join("/"), text: read(&path) });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

#[expect(clippy::disallowed_methods, reason = "a test that reads the sources; nothing waits for it")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Blanks comments and the inside of strings; lines stay where they are.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if rest.starts_with("r\"") => 2 + rest[2..].find('"').map_or(rest.len() - 2, |end| end + 1),
            'r' if rest.starts_with("r#\"") => 3 + rest[3..].find("\"#").map_or(rest.len() - 3, |end| end + 2),
            '"' => end_of_string(rest),
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\") => 2 + rest[2..].find('\'').map_or(0, |end| end + 1),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// How long the string is that `text` begins with, quotes included.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' => escaped = !escaped,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Removes each item that stands under `#[cfg(test)]`, as far as its closing brace or semicolon.
fn without_test_modules(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        let item = &rest[at..];
        let (brace, semicolon) = (item.find('{'), item.find(';'));
        let end = match (brace, semicolon) {
            (Some(brace), semicolon) if semicolon.is_none_or(|semicolon| brace < semicolon) => {
                let mut depth = 0;
                let close = item[brace..].char_indices().find(|(_, c)| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth == 0
                });
                close.map_or(item.len(), |(close, _)| brace + close + 1)
            }
            (_, Some(semicolon)) => semicolon + 1,
            (_, None) => item.len(),
        };
        rest = &item[end..];
    }
    kept.push_str(rest);
    kept
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `wanted` stands in `code` as a word of its own: what follows it, each time.
fn after_word<'a>(code: &'a str, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(wanted).filter_map(move |(at, _)| {
        let starts = !wanted.starts_with(is_word) || !code[..at].ends_with(is_word);
        let after = &code[at + wanted.len()..];
        let ends = !wanted.ends_with(is_word) || !after.starts_with(is_word);
        (starts && ends).then_some(after)
    })
}

/// The parts of a `{…}` group, at its own depth; `text` begins with the brace.
fn group(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 1, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            parts.push(text[start..at].trim());
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The paths that a path or group stands for, such as `a::b` and `a::c` for `a::{b, c}`.
fn paths(text: &str) -> Vec<String> {
    let text = text.trim_start();
    if text.starts_with('{') {
        return group(text).into_iter().flat_map(paths).collect();
    }
    let name: String = text.chars().take_while(|c| is_word(*c)).collect();
    match text[name.len()..].strip_prefix("::") {
        Some(rest) if rest.trim_start().starts_with(|c: char| is_word(c) || c == '{') => {
            paths(rest).into_iter().map(|path| format!("{name}::{path}")).collect()
        }
        _ => vec![name],
    }
}

/// Every path below the crate's root that the code names, such as `store::Session`.
fn imports(code: &str) -> BTreeSet<String> {
    after_word(code, "crate::").flat_map(paths).filter(|path| !path.is_empty()).collect()
}

fn room_of(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

fn law() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    LAW.into_iter().map(|(room, may)| (room, may.iter().copied().chain([room, "telemetry"]).collect())).collect()
}

/// Invariant: rooms import downwards only, as the map in `src/lib.rs` says.
#[test]
fn rooms_import_only_what_the_map_allows() {
    let law = law();
    let mut broken = Vec::new();
    for file in files_of("src") {
        let Some(room) = file.room().filter(|_| !file.is_tests()) else { continue };
        let Some(may) = law.get(room) else {
            broken.push(format!(
                "{}: `{room}` is not on the map. Put it into the map of src/lib.rs and into LAW in \
                 tests/architecture.rs, with what it may import",
                file.path
            ));
            continue;
        };
        for import in imports(&file.code()) {
            let imported = room_of(&import);
            if law.contains_key(imported) && !may.contains(imported) {
                broken.push(format!(
                    "{}: `{room}` may not import `{import}`. Move what you need down to a room that `{room}` may \
                     import, take it as an argument, or have `server` wire it in",
                    file.path
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Invariant 2, named for itself because so much hangs on it.
#[test]
fn the_gateway_does_not_know_the_store() {
    assert!(!law()["gateway"].contains("store"), "the gateway answers from what authn and authz hold");
}

/// The law cannot be passed by climbing: `super` stays inside its room.
#[test]
fn super_does_not_climb_out_of_a_room() {
    let mut broken = Vec::new();
    for file in files_of("src") {
        if file.room().is_none() || file.is_tests() {
            continue;
        }
        let climbs = (1..8).take_while(|steps| file.code().contains(&"super::".repeat(*steps))).count();
        if climbs >= file.depth() {
            broken.push(format!("{}: {climbs} × `super::` leaves the room. Write `crate::…`", file.path));
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Invariant 5: `config` makes the settings of the rooms and knows nothing else of them.
#[test]
fn config_knows_only_the_settings_of_the_rooms() {
    let rooms: Vec<_> = law().into_keys().filter(|room| !WORDS.contains(room)).collect();
    let mut broken = Vec::new();
    for file in files_of("src").into_iter().filter(|file| file.room() == Some("config") && !file.is_tests()) {
        let code = file.code();
        let named = rooms.iter().filter(|room| !matches!(**room, "config" | "telemetry")).flat_map(|room| {
            let start = format!("{room}::");
            let found: Vec<_> =
                after_word(&code, &start).flat_map(paths).map(|path| format!("{start}{path}")).collect();
            found
        });
        for path in named.collect::<BTreeSet<_>>() {
            let thing = path.split("::").find(|part| part.starts_with(char::is_uppercase)).unwrap_or_default();
            if !thing.is_empty() && !thing.ends_with("Settings") && !PARTS_OF_SETTINGS.contains(&thing) {
                broken.push(format!(
                    "{}: `{path}` is no part of a room's settings. Let the room have a `…Settings` that says what it \
                     needs, and make that; if `{thing}` is what settings are made of, add it to PARTS_OF_SETTINGS",
                    file.path
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Invariant 1: the words have no `async`, no socket, no file, no `now()`, no random number.
#[test]
fn words_neither_wait_nor_look_at_the_world() {
    let mut broken = Vec::new();
    for file in files_of("src") {
        let is_words = file.room().is_some_and(|room| WORDS.contains(&room) && room != "clock");
        if !is_words || file.is_tests() {
            continue;
        }
        let code = file.code();
        for (forbidden, instead) in NOT_IN_WORDS {
            if after_word(&code, forbidden).next().is_some() {
                broken.push(format!("{}: `{forbidden}` has no place among the words: {instead}", file.path));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Style 4.
#[test]
fn no_file_is_longer_than_one_idea() {
    let long: Vec<_> = ["src", "tests", "benches", "examples"]
        .into_iter()
        .filter(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).exists())
        .flat_map(files_of)
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines. Find its second idea and give that a file of its own"))
        .collect();
    assert!(long.is_empty(), "\n{}\n", long.join("\n"));
}

/// Style 8.
#[test]
fn no_module_is_a_drawer() {
    let drawers: Vec<_> = files_of("src")
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.trim_end_matches(".rs").split('/').any(|part| DRAWERS.contains(&part)))
        .map(|path| format!("{path}: this name says where things were put. Name the file after what it holds"))
        .collect();
    assert!(drawers.is_empty(), "\n{}\n", drawers.join("\n"));
}

/// Style 1.
#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> = files_of("src")
        .into_iter()
        .filter(|file| !file.text.starts_with("//!") && !file.is_tests())
        .map(|file| format!("{}: begin with `//!`: what it is in one sentence, then why it is so", file.path))
        .collect();
    assert!(silent.is_empty(), "\n{}\n", silent.join("\n"));
}

/// The map names every room that exists, and every room on the map has a law.
#[test]
fn the_map_is_complete() {
    let files = files_of("src");
    let rooms: BTreeSet<_> = files.iter().filter_map(File::room).collect();
    let lib = files.iter().find(|file| file.path == "src/lib.rs").unwrap();
    let map: Vec<_> = lib.text.lines().filter(|line| line.starts_with("//!")).collect();
    let law = law();
    for room in rooms {
        assert!(law.contains_key(room), "`{room}` has no law: add it to LAW in tests/architecture.rs");
        let on_map = map.iter().any(|line| line.split_whitespace().any(|word| word == room));
        assert!(on_map, "`{room}` is not on the map: give it a line in src/lib.rs");
    }
}

/// Architecture invariant 5: only `cli` reads the environment.
#[test]
fn only_the_command_line_reads_the_environment() {
    let reading: Vec<_> = files_of("src")
        .into_iter()
        .filter(|file| file.room() != Some("cli") && !file.is_tests())
        .filter(|file| {
            ["env::var", "env::vars", "env::var_os"].iter().any(|call| after_word(&file.code(), call).next().is_some())
        })
        .map(|file| format!("{}: take the value as an argument; `cli` reads the environment", file.path))
        .collect();
    assert!(reading.is_empty(), "\n{}\n", reading.join("\n"));
}

/// The reader itself: what it must see, and what it must not.
#[test]
fn the_reader_sees_imports_and_only_those() {
    let text = r##"
        //! crate::comment
        use crate::store::{Session, writer::{Writer, Applied}};
        use crate::{clock, authn::Proven};
        fn f() { let s = "crate::string"; let c = '"'; let d = "crate::other"; crate::policy::decide(); mycrate::no(); }
        #[cfg(test)]
        mod tests { use crate::gateway::Stack; fn g() { {} } }
        fn h() -> crate::history::Action { r#"crate::raw"# }
        #[cfg(test)]
        mod tests;
        use crate::cluster::Subjects;
    "##;
    let file = File { path: "src/authz/x.rs".to_owned(), text: text.to_owned() };
    let found: Vec<_> = imports(&file.code()).into_iter().collect();
    let expected = [
        "authn::Proven",
        "clock",
        "cluster::Subjects",
        "history::Action",
        "policy::decide",
        "store::Session",
        "store::writer::Applied",
        "store::writer::Writer",
    ];
    assert_eq!(found, expected);
    assert_eq!((file.room(), file.depth()), (Some("authz"), 2));
}
