//! `docs/behaviour.md` is our word: every line of it names tests that exist and carry its id.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "nothing else runs here that a read could hold up")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A test that was found: where, and what its comment says.
struct Found {
    place: String,
    comment: String,
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            sources(&path, found);
        } else if matches!(ending, Some("rs" | "py")) {
            found.push(path);
        }
    }
}

/// Whether a battery makes a test of the function at `number`: it stands inside a `claims! { … }`, or the
/// `battery!` in the `main.rs` beside its file lists it.
fn claimed(file: &Path, lines: &[&str], number: usize, rest: &str) -> bool {
    let opened =
        lines[..number].iter().rev().take_while(|line| **line != "}").any(|line| line.starts_with("claims! {"));
    let main = std::fs::read_to_string(file.with_file_name("main.rs")).unwrap_or_default();
    let listed = main.rsplit_once("battery!").is_some_and(|(_, list)| {
        list.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name_of(rest))
    });
    opened || listed
}

fn name_of(rest: &str) -> &str {
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Every test function of the tree, by name, with the comment above or (Python) below its head.
fn tests() -> BTreeMap<String, Vec<Found>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("tests"), &mut files);
    sources(&root.join("src"), &mut files);
    let mut tests: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let bare =
                trimmed.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
            let (name, comment) = if let Some(rest) = bare.strip_prefix("fn ").or(bare.strip_prefix("async fn ")) {
                let above = lines[..number].iter().rev().map(|line| line.trim_start());
                let block: Vec<&str> =
                    above.take_while(|line| line.starts_with("///") || line.starts_with("#[")).collect();
                let run = block.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
                if !run && !claimed(&file, &lines, number, rest) {
                    continue;
                }
                (rest, block.into_iter().filter(|line| line.starts_with("///")).collect::<Vec<_>>().join("\n"))
            } else if let Some(rest) = trimmed.strip_prefix("def ") {
                (rest, lines[number + 1..].iter().take(4).copied().collect::<Vec<_>>().join("\n"))
            } else {
                continue;
            };
            let name = name_of(name).to_owned();
            let place = format!("{}:{}", file.strip_prefix(root).unwrap().display(), number + 1);
            tests.entry(name).or_default().push(Found { place, comment });
        }
    }
    tests
}

/// The rows of the document: id and the names of its tests.
fn rows(text: &str) -> Vec<(usize, String, Vec<String>)> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, _, shown, _] = cells[..] else { continue };
        if id == "id" || id.starts_with("--") {
            continue;
        }
        let names = shown.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.push((number + 1, id.to_owned(), names));
    }
    rows
}

fn complaints(text: &str) -> Vec<String> {
    let tests = tests();
    let mut complaints = Vec::new();
    for (line, id, names) in rows(text) {
        if names.is_empty() {
            complaints.push(format!("line {line}: {id} names no test"));
        }
        for name in names {
            match tests.get(&name) {
                None => complaints.push(format!("line {line}: {id} names `{name}`, and there is no such test")),
                Some(found) if !found.iter().any(|test| mentions(&test.comment, &id)) => {
                    let places: Vec<_> = found.iter().map(|test| test.place.as_str()).collect();
                    complaints.push(format!(
                        "line {line}: the comment of `{name}` ({}) does not name {id}",
                        places.join(", ")
                    ));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}

/// Whether a comment names an id as a word: `P1` is not in `P10`.
fn mentions(comment: &str, id: &str) -> bool {
    comment.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == id)
}

/// The document's own promise.
#[test]
fn every_line_of_the_behaviour_document_is_shown_by_a_test_that_carries_its_id() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/behaviour.md");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(rows(&text).len() > 40, "the document has lost its rows: {}", rows(&text).len());
    let complaints = complaints(&text);
    assert!(complaints.is_empty(), "docs/behaviour.md:\n{}", complaints.join("\n"));
}

#[test]
fn a_line_that_names_no_existing_test_is_found() {
    let lies = "| P3 | a claim | `there_is_no_such_test` |\n| P4 | another |  |\n\
                | P99 | a third | `a_line_that_names_no_existing_test_is_found` |";
    assert_eq!(complaints(lies).len(), 3);
}
