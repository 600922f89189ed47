//! What commands print: tables and sentences for people, one JSON document for programs.
//!
//! Answers go to the standard output, everything else to the error output. A reader that went away
//! (`locum history | head`) is no failure.

use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::exit::Failure;

/// The width of a table where there is no terminal.
const WIDTH: u16 = 80;

/// Where a command prints, and in which form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person sits at both ends.
    pub(super) fn is_conversation(self) -> bool {
        !self.json && io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Prints `document` for programs, or what `words` makes of it for people.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn answer<T: Serialize>(self, document: &T, words: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string_pretty(document).map_err(Failure::failed)?;
            return print(&text);
        }
        print(&words(document))
    }

    /// Prints a sentence for people only: programs read the exit code.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub(super) fn say(self, words: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { print(words) }
    }

    /// Says on the error output why a command failed.
    pub(super) fn complain(self, failure: &Failure) {
        let text = if self.json {
            serde_json::to_string_pretty(&failure.to_problem()).unwrap_or_else(|_| failure.to_string())
        } else {
            format!("error: {failure}")
        };
        // When even the error output is gone, the exit code is all that is left to say.
        let _gone = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Prints a text and a line's end to the standard output.
///
/// # Errors
/// When it cannot be written, except that nobody reads it.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::failed(format!("the output cannot be written: {error}"))),
    }
}

/// A table without lines, its columns as wide as they need, in all no wider than the terminal.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !table.is_tty() {
        table.set_width(WIDTH);
    }
    table.set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Fields under each other, as `show` commands print them.
pub(super) fn fields(pairs: &[(&str, String)]) -> String {
    let widest = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = pairs.iter().map(|(name, value)| format!("{name:<widest$}  {value}"));
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A list in one cell; `-` when it is empty.
pub(super) fn list(items: &[String]) -> String {
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

/// A value that may be absent, in one cell.
pub(super) fn maybe(value: Option<&String>) -> String {
    value.map_or_else(|| "-".to_owned(), Clone::clone)
}

/// An instant for people: to the second, without the letters.
pub(super) fn instant(rfc3339: &str) -> String {
    cut(rfc3339, "HH:MM:SS".len())
}

/// An instant in one cell: to the minute.
pub(super) fn minute(rfc3339: &str) -> String {
    cut(rfc3339, "HH:MM".len())
}

fn cut(rfc3339: &str, length: usize) -> String {
    match rfc3339.split_once('T').map(|(date, time)| (date, time.get(..length))) {
        Some((date, Some(time))) => format!("{date} {time}"),
        Some((_, None)) | None => rfc3339.to_owned(),
    }
}
