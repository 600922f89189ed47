//! `locum db …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Write a copy of the embedded database, while the gateway serves; the key files are not in it
    Backup {
        /// The file to write; it must not be there yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a copy in the place of the embedded database, which is kept beside it; the gateway must be stopped
    Restore(RestoreArguments),
    /// Move the embedded database into an empty PostgreSQL; the gateway must be stopped
    Move(MoveArguments),
}

#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The copy, as `locum db backup` wrote it
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,

    #[command(flatten)]
    pub tokens: RestoredTokens,
}

/// What becomes of tokens that were revoked after the copy was made, and are valid in it.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RestoredTokens {
    /// Revoke every token and every API key: some of them may have been revoked since the copy was made
    #[arg(long)]
    pub revoke_all: bool,

    /// Bring back everything as it was, also what was revoked, inactivated or deleted since
    #[arg(long)]
    pub as_it_was: bool,
}

#[derive(Debug, Args)]
pub struct MoveArguments {
    /// The new database, `postgres://USER@HOST/DATABASE`; a password is better kept in a file: see `--to-file`
    #[arg(long, value_name = "URL", required_unless_present = "to_file", conflicts_with = "to_file")]
    pub to: Option<String>,

    /// A file with the URL of the new database
    #[arg(long, value_name = "FILE")]
    pub to_file: Option<PathBuf>,
}
