//! The log: JSON for machines, text for a person at a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

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
}

/// Whether `text` can be a filter.
pub fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}

/// Sends the log to standard error. Control characters in values are escaped by the JSON writer and
/// by the text writer, so that what a client sent cannot draw on an operator's terminal.
///
/// # Errors
/// When the filter cannot be read, or the log was set up before.
pub fn install(settings: &Settings) -> Result<(), LogError> {
    let filter =
        EnvFilter::try_new(&settings.filter).map_err(|_| LogError::Filter { filter: settings.filter.clone() })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        Format::Auto => !terminal,
        Format::Json => true,
        Format::Text => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = if json {
        builder.json().flatten_event(true).with_current_span(false).fmt_fields(JsonFields::new()).try_init()
    } else {
        builder.with_ansi(terminal).try_init()
    };
    installed.map_err(|_| LogError::Twice)
}
