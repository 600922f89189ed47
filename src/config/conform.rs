//! Whether a tree has the shape of the configuration: known keys, right types, numbers in range.
//!
//! What does not fit is reported and taken out of the tree, so that what remains can be read by serde and
//! judged by [`super::validate`] in the same run.

use super::nearest::{listed, nearest};
use super::problems::Problem;
use super::shape::{Key, Shape};
use super::source::without_passwords;
use super::tree::{Entry, Node, Table, Value};

/// Takes out of the tree whatever does not fit the shape of the file, and says what and why.
pub(super) fn conform(tree: &mut Table) -> Vec<Problem> {
    let mut problems = Vec::new();
    table(tree, Shape::file(), &Path::top(), &mut problems);
    problems
}

/// Where the check stands, for messages.
struct Path {
    /// `apps.wiki.routes`; empty for the top level.
    dotted: String,
    /// Whether it is an item of the list of that name.
    item: bool,
}

impl Path {
    const fn top() -> Self {
        Self { dotted: String::new(), item: false }
    }

    fn key(&self, name: &str) -> Self {
        Self { dotted: dotted(&self.dotted, name), item: false }
    }

    fn items(&self) -> Self {
        Self { dotted: self.dotted.clone(), item: true }
    }

    /// As the table's header stands in the file.
    fn heading(&self) -> String {
        match (self.dotted.as_str(), self.item) {
            ("", _) => "at the top level".to_owned(),
            (path, false) => format!("in `[{path}]`"),
            (path, true) => format!("in `[[{path}]]`"),
        }
    }
}

fn table(tree: &mut Table, shape: &Shape, path: &Path, problems: &mut Vec<Problem>) {
    let mut wrong = Vec::new();
    for (name, entry) in &mut tree.entries {
        let fits = match shape {
            Shape::Table(keys) => {
                if let Some(key) = keys.iter().find(|key| key.name == *name) {
                    node(&mut entry.node, &key.shape, &path.key(name), problems)
                } else {
                    problems.push(unknown(name, entry, keys, path));
                    false
                }
            }
            Shape::Named { each, .. } => node(&mut entry.node, each, &path.key(name), problems),
            Shape::List(_)
            | Shape::Choice(_)
            | Shape::Text
            | Shape::Integer { .. }
            | Shape::Boolean
            | Shape::Unread => true,
        };
        if !fits {
            wrong.push(name.clone());
        }
    }
    for name in wrong {
        tree.remove(&name);
    }
}

/// Whether the node can stay.
fn node(found: &mut Node, shape: &Shape, path: &Path, problems: &mut Vec<Problem>) -> bool {
    let place = found.place.clone();
    match (&mut found.value, shape) {
        (Value::Table(tree), Shape::Table(keys)) => {
            table(tree, shape, path, problems);
            for key in keys.iter().filter(|key| is_missing(tree, key)) {
                let wrong = format!("`{}` is missing {}", key.name, path.heading());
                problems.push(Problem::at(place.clone(), wrong).instead(key.shape.wanted()));
            }
            keys.iter().filter(|key| key.required).all(|key| tree.entries.contains_key(&key.name))
        }
        (Value::Table(tree), Shape::Named { .. }) => {
            table(tree, shape, path, problems);
            true
        }
        (Value::List(items), Shape::List(each)) => {
            let path = path.items();
            let fit: Vec<bool> = items.iter_mut().map(|item| node(item, each, &path, problems)).collect();
            fit.into_iter().all(|fits| fits)
        }
        (Value::Text(text), Shape::Choice(words)) => {
            let known = || words.iter().map(|word| word.word.as_str());
            if known().any(|word| word == text) {
                return true;
            }
            let problem = Problem::at(place, format!("`{}` cannot be {}", path.dotted, quoted(text)));
            problems.push(match nearest(text, known()) {
                Some(word) => problem.did_you_mean(word),
                None => problem.instead(shape.wanted()),
            });
            false
        }
        (Value::Integer(number), Shape::Integer { min, max }) => {
            let fits = (*min..=*max).contains(number);
            if !fits {
                let wrong = format!("`{}` cannot be `{number}`", path.dotted);
                problems.push(Problem::at(place, wrong).instead(shape.wanted()));
            }
            fits
        }
        (Value::Text(_), Shape::Text) | (Value::Boolean(_), Shape::Boolean) | (_, Shape::Unread) => true,
        (_, _) => {
            let verb = if path.item { "holds" } else { "is" };
            let wrong = format!("`{}` {verb} {}", path.dotted, found.kind());
            problems.push(Problem::at(place, wrong).instead(shape.wanted()));
            false
        }
    }
}

/// Whether a required key was left out. One that was there and wrong, or misspelt, has been reported.
fn is_missing(tree: &Table, key: &Key) -> bool {
    let reported = |removed: &String| nearest(removed, [key.name.as_str()]).is_some();
    key.required && !tree.entries.contains_key(&key.name) && !tree.removed.iter().any(reported)
}

fn unknown(name: &str, entry: &Entry, keys: &[Key], path: &Path) -> Problem {
    let problem = Problem::at(entry.key.clone(), format!("unknown key {} {}", quoted(name), path.heading()));
    let known = || keys.iter().map(|key| key.name.as_str());
    if let Some(near) = nearest(name, known()) {
        return problem.did_you_mean(near);
    }
    if let Some((key, home)) = home_of(name) {
        return problem.instead(format!("`{key}` belongs into `[{home}]`"));
    }
    problem.instead(format!("known here: {}", listed(known(), "and")))
}

/// The key of another table that was meant, and that table, if exactly one has such a key.
fn home_of(name: &str) -> Option<(&'static str, &'static str)> {
    let Shape::Table(tables) = Shape::file() else {
        return None;
    };
    let mut homes = tables.iter().filter_map(|table| {
        let Shape::Table(keys) = &table.shape else {
            return None;
        };
        let key = nearest(name, keys.iter().map(|key| key.name.as_str()))?;
        Some((key, table.name.as_str()))
    });
    let home = homes.next()?;
    homes.next().is_none().then_some(home)
}

/// `path.key` as it would be written in the file, on one line.
pub(super) fn dotted(path: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// Between backticks, on one line, and not longer than a line bears.
pub(super) fn quoted(text: &str) -> String {
    let text = without_passwords(text);
    let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let more = if text.chars().count() > 80 { "…" } else { "" };
    format!("`{shown}{more}`")
}
