//! The text of one configuration file, and where in it something stands.
//!
//! A place is a range of bytes while the program works with it, and becomes a line and a column only when
//! a person reads it. What is shown of the text never holds a password: see [`Source::shown`].

use std::ops::Range;

use toml::de::DeTable;

use super::problems::{Place, Problem};
use super::tree::Table;

/// A file's name, as the operator gave it, and its text.
#[derive(Clone)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Takes bytes as they lie on disk. What follows the first byte that is not UTF-8 is left out, and is
    /// a problem.
    pub(super) fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> (Self, Option<Problem>) {
        match String::from_utf8(bytes) {
            Ok(text) => (Self::new(name, text), None),
            Err(error) => {
                let end = error.utf8_error().valid_up_to();
                let good = String::from_utf8_lossy(&error.as_bytes()[..end]).into_owned();
                let problem = Problem::at(Place::Text(end..end), "the file is not UTF-8 from here on")
                    .instead("save it as UTF-8");
                (Self::new(name, good), Some(problem))
            }
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads the text as TOML, or answers everything that is wrong with its form.
    pub(super) fn parse(&self) -> Result<Table, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Ok(Table::from_toml(table.into_inner()));
        }
        Err(errors
            .iter()
            .map(|error| {
                let range = error.span().unwrap_or(0..0);
                Problem::at(Place::Text(range), format!("not TOML: {}", error.message()))
            })
            .collect())
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..self.floor(byte)).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The range, moved to where it certainly lies inside the text and between characters.
    pub(super) fn clamp(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.floor(range.start);
        start..self.floor(range.end).max(start)
    }

    fn floor(&self, byte: usize) -> usize {
        self.text.floor_char_boundary(byte)
    }

    /// The text with everything that could be a password in a URL replaced by `*`, byte for byte, so that
    /// places stay where they are. For showing lines of the file on a terminal or in a log.
    pub(super) fn shown(&self) -> String {
        self.text.split_inclusive('\n').map(without_passwords).collect()
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Hides what stands between `://` and the last `@` of a word, and what follows `password=`.
pub(super) fn without_passwords(line: &str) -> String {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    for (at, scheme_end) in line.match_indices("://") {
        let start = at + scheme_end.len();
        let end = word_end(line, start);
        if let Some(sign) = line[start..end].rfind('@') {
            hidden.push(start..start + sign);
        }
    }
    for (at, name) in line.match_indices("password=") {
        let start = at + name.len();
        hidden.push(start..word_end(line, start));
    }
    line.char_indices()
        .flat_map(|(at, c)| {
            let hide = hidden.iter().any(|range| range.contains(&at));
            let (star, times) = if hide { ('*', c.len_utf8()) } else { (c, 1) };
            std::iter::repeat_n(star, times)
        })
        .collect()
}

fn word_end(line: &str, start: usize) -> usize {
    let ends = |c: char| c == '"' || c == '\'' || c.is_whitespace();
    line[start..].find(ends).map_or(line.len(), |length| start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_by_character() {
        let source = Source::new("x", "a\nüb = 1");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(2), (2, 1));
        assert_eq!(source.line_and_column(4), (2, 2), "the byte after `ü`");
        assert_eq!(source.line_and_column(900), (2, 7), "past the end is the end");
    }

    #[test]
    fn what_is_shown_holds_no_password_and_keeps_every_place() {
        let text = "url = \"postgres://locum:pä@ss@db/locum?password=x\" # http://a/b\n";
        let shown = Source::new("x", text).shown();
        assert_eq!(shown, "url = \"postgres://************@db/locum?password=*\" # http://a/b\n");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_a_problem_with_a_place() {
        let (source, problem) = Source::from_bytes("x", b"[server]\n\xff".to_vec());
        assert_eq!(source.text(), "[server]\n");
        assert_eq!(problem.map(|problem| problem.place().clone()), Some(Place::Text(9..9)));
    }
}
