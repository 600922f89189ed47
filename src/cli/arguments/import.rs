//! `locum import …`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Add the accounts of a table: a line each, under a line with the names of the columns
    ///
    /// Columns, in any order: `username`, `kind` (`person`, which is also what an empty one means, or `proxy`), `owner` (of
    /// a proxy user), `roles` (of a person, separated by spaces), `networks` (of a proxy user, separated by spaces), `name`,
    /// `email`, `phone` (of a person). Only `username` has to be there.
    Csv {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Add a proxy user for each line of a password file; passwords do not come along
    Htpasswd {
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The person that all of them are to belong to
        #[arg(long, value_name = "PERSON")]
        owner: String,
    },
}
