//! What is wrong with a configuration: all of it at once, each with its place and what would be right.
//!
//! Two forms for two readers. On a terminal, miette shows the line and points at it. Elsewhere one problem
//! is one line, `file:line:column: what is wrong; what would be right`, as editors and logs expect it.

use std::fmt::{self, Write as _};
use std::ops::Range;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::source::Source;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A range of bytes of the file.
    Text(Range<usize>),
    /// An environment variable, by name.
    Variable(String),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    place: Place,
    wrong: String,
    advice: Option<Advice>,
}

/// What would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Advice {
    /// The nearest name that is known.
    Nearest(String),
    /// What to write, or to do, instead.
    Instead(String),
}

impl Problem {
    pub(super) fn at(place: Place, wrong: impl Into<String>) -> Self {
        Self { place, wrong: wrong.into(), advice: None }
    }

    pub(super) fn did_you_mean(mut self, name: impl Into<String>) -> Self {
        self.advice = Some(Advice::Nearest(name.into()));
        self
    }

    pub(super) fn instead(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(Advice::Instead(advice.into()));
        self
    }

    pub const fn place(&self) -> &Place {
        &self.place
    }
}

/// `what is wrong; what would be right`, without the place.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.advice {
            None => f.write_str(&self.wrong),
            Some(Advice::Nearest(name)) => write!(f, "{}, did you mean `{name}`?", self.wrong),
            Some(Advice::Instead(advice)) => write!(f, "{}; {advice}", self.wrong),
        }
    }
}

/// Everything that is wrong with one configuration, in the order of the file, then of the environment.
/// Never empty.
#[derive(Debug, Clone)]
pub struct Problems {
    source: Source,
    list: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(source: Source, mut list: Vec<Problem>) -> Self {
        for problem in &mut list {
            if let Place::Text(range) = &mut problem.place {
                *range = source.clamp(range);
            }
        }
        list.sort_by_key(|problem| match &problem.place {
            Place::Text(range) => (0, range.start, String::new()),
            Place::Variable(name) => (1, 0, name.clone()),
        });
        Self { source, list }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.list.iter()
    }

    /// `file:line:column`, or the name of the variable.
    fn place_of(&self, problem: &Problem) -> String {
        match &problem.place {
            Place::Variable(name) => name.escape_debug().to_string(),
            Place::Text(range) => {
                let (line, column) = self.source.line_and_column(range.start);
                format!("{}:{line}:{column}", self.source.name())
            }
        }
    }

    /// The form for a terminal of `columns` characters: each problem under its line of the file.
    pub fn for_terminal(&self, colour: bool, columns: usize) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler =
            GraphicalReportHandler::new_themed(theme).with_width(columns).with_context_lines(1).with_links(false);
        let text = NamedSource::new(self.source.name(), self.source.shown());
        let mut page = String::new();
        for problem in &self.list {
            let shown = Shown { problem, text: &text };
            // Writing into a string cannot fail; where miette itself does, the plain line stands in.
            if handler.render_report(&mut page, &shown).is_err() {
                page.push_str(&self.line_of(problem));
            }
            page.push('\n');
        }
        let count = self.list.len();
        let (plural, name) = (if count == 1 { "" } else { "s" }, self.source.name());
        page + &format!("{count} problem{plural} in the configuration `{name}`\n")
    }

    fn line_of(&self, problem: &Problem) -> String {
        format!("{}: {problem}\n", self.place_of(problem))
    }
}

/// One line a problem.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            write!(f, "{}: {problem}", self.place_of(problem))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    text: &'a NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem.place {
            Place::Text(_) => f.write_str(&self.problem.wrong),
            Place::Variable(name) => write!(f, "{}: {}", name.escape_debug(), self.problem.wrong),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(match self.problem.advice.as_ref()? {
            Advice::Nearest(name) => Box::new(format!("did you mean `{name}`?")),
            Advice::Instead(advice) => Box::new(advice),
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        matches!(self.problem.place, Place::Text(_)).then_some(self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Place::Text(range) = &self.problem.place else {
            return None;
        };
        Some(Box::new(std::iter::once(LabeledSpan::underline(range.clone()))))
    }
}
