//! The log: JSON for machines, text for a person at a terminal.

mod filter;
mod json;
mod lines;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use filter::Filter;
use json::Json;
use lines::{Lines, Writing};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text at a terminal, JSON elsewhere.
    Auto,
    Json,
    Text,
}

/// What `[log]` configures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub format: Format,
    /// A `tracing` filter: a level such as `info`, or directives such as `info,locum::access=off`.
    pub filter: String,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "`{filter}` is not a log filter: use a level such as `info`, or directives such as `info,locum::access=off`"
    )]
    Filter { filter: String },
    #[error("the log is already set up in this process")]
    Twice,
    #[error("the system refused a thread for the log: {0}")]
    Thread(io::Error),
}

/// Whether `text` can be a filter.
pub fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

/// The log, as long as it is written. What still waits is written when this is dropped.
#[derive(Debug)]
pub struct Log {
    _writing: Writing,
    lines: Lines,
    filter: Filter,
}

/// What is left out of the log, and can be changed while it is written.
#[derive(Debug, Clone)]
pub struct LogFilter(Filter);

impl LogFilter {
    /// Goes by another filter from the next line on.
    ///
    /// # Errors
    /// When `text` is none; then the one in force stays.
    pub fn take_up(&self, text: &str) -> Result<(), LogError> {
        self.0.exchange(parse(text)?);
        Ok(())
    }
}

/// How many lines found no place, or could not be written, since the start.
#[derive(Debug, Clone)]
pub struct LostLines(Lines);

impl Log {
    pub fn filter(&self) -> LogFilter {
        LogFilter(self.filter.clone())
    }

    pub fn lost_lines(&self) -> LostLines {
        LostLines(self.lines.clone())
    }
}

impl LostLines {
    pub fn count(&self) -> u64 {
        self.0.lost()
    }
}

/// Sends the log to standard error, by a thread of its own that writes many lines at once. Control
/// characters in values are escaped by the JSON writer and by the text writer, so that what a client sent
/// cannot draw on an operator's terminal.
///
/// # Errors
/// When the filter cannot be read, the log was set up before, or the system refuses a thread.
pub fn install(settings: &Settings) -> Result<Log, LogError> {
    let filter = Filter::new(parse(&settings.filter)?);
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        Format::Auto => !terminal,
        Format::Json => true,
        Format::Text => false,
    };
    let (lines, writing) = lines::start(std::io::stderr()).map_err(LogError::Thread)?;
    let shown = tracing_subscriber::fmt::layer().with_writer(lines.clone());
    let registry = tracing_subscriber::registry();
    let installed = if json {
        registry.with(shown.event_format(Json)).with(filter.clone()).try_init()
    } else {
        registry.with(shown.with_ansi(terminal)).with(filter.clone()).try_init()
    };
    installed.map_err(|_| LogError::Twice)?;
    Ok(Log { _writing: writing, lines, filter })
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|_| LogError::Filter { filter: filter.to_owned() })
}
