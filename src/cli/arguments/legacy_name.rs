//! `locum legacy-name …`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum LegacyNameCommand {
    /// Say what a person is called in an app; `{legacy_name}` in its `set_headers` tells it
    Set {
        #[arg(value_name = "PERSON")]
        person: String,
        #[arg(long, value_name = "APP")]
        app: String,
        /// The name, exactly as the app knows it
        #[arg(long, value_name = "TEXT")]
        name: String,
    },
    /// Take away what a person is called in an app
    Remove {
        #[arg(value_name = "PERSON")]
        person: String,
        #[arg(long, value_name = "APP")]
        app: String,
    },
    /// Add the names that an app knows to its list, one a line
    Import {
        #[arg(long, value_name = "APP")]
        app: String,
        /// The file with the names; `-` for the standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Look whether a name stands in the list of an app and belongs to nobody
    Find {
        #[arg(long, value_name = "APP")]
        app: String,
        /// The whole name, exactly
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
    },
}
