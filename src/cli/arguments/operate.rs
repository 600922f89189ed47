//! `locum serve`, `config`, `history`, `audit`, `completions`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Everything at once on a machine with nothing else: an example app, an owner, a proxy user, a token
    #[arg(long, conflicts_with = "config")]
    pub dev: bool,

    /// With `--dev`: put this app behind the gateway in place of the example
    #[arg(long, value_name = "URL", requires = "dev")]
    pub upstream: Option<String>,

    /// Listen here; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,

    /// Look at what a start would need, print on what it would listen, and end; the store is not touched
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show which versions are in force, and how much is still under older ones
    Show,
    /// Bring new versions into force, of both unless one is named, while the gateway serves
    ///
    /// Data keys move to the new master key before this ends; broken off, the rest moves with the next start. A token
    /// moves to the new pepper when it is used.
    Rotate {
        /// The master key
        #[arg(long)]
        master: bool,
        /// The pepper
        #[arg(long)]
        pepper: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the JSON schema of the configuration file, for editors
    Schema,
}

#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// Access changes of this account, what was done to it; with `--initiated`, what was done by it
    #[arg(value_name = "ACCOUNT", conflicts_with_all = ["account", "by"])]
    pub of: Option<String>,

    /// What the account did, and what was done because it asked
    #[arg(long, requires = "of")]
    pub initiated: bool,

    /// What was done to this account: a username, or the id of a deleted one
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "by")]
    pub account: Option<String>,

    /// What was done by this actor: a username, `locum` or `host:USER`
    #[arg(long, value_name = "ACTOR")]
    pub by: Option<String>,

    /// Only actions of this type, such as `roles_changed`
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,

    /// Only what concerns this app
    #[arg(long, value_name = "APP")]
    pub app: Option<String>,

    /// Not before this instant, such as `2026-11-21T00:00:00Z`
    #[arg(long, value_name = "INSTANT")]
    pub since: Option<String>,

    /// Before this instant
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<String>,

    /// Only entries before this number, such as the last that was printed with `--json`
    #[arg(long, value_name = "SEQUENCE")]
    pub before: Option<u64>,

    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Follow the chain of the whole history; names the first entry that was changed or removed
    Verify(VerifyArguments),
    /// Print where the history stands, signed: keep it elsewhere, and `verify` finds a cut tail and a rewritten history
    Checkpoint,
    /// Print the public key that checkpoints are checked with
    Key,
    /// Print the whole history as JSON Lines, its end signed
    Export(ExportArguments),
    /// Move old entries to the archive, signed; what remains verifies, and with the archive all of it does
    Trim(TrimArguments),
}

#[derive(Debug, Args)]
pub struct TrimArguments {
    /// Entries before this instant, in RFC 3339 [default: those older than `[history] keep`]
    #[arg(long, value_name = "INSTANT")]
    pub before: Option<String>,

    /// Only say how many would be moved
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// A file of checkpoints that was kept elsewhere; may be given several times
    #[arg(long = "checkpoint", value_name = "FILE")]
    pub checkpoints: Vec<PathBuf>,

    /// What signatures are checked with: 64 hexadecimal digits, or a file with them [default: this installation's key]
    #[arg(long, value_name = "KEY")]
    pub public_key: Option<String>,

    /// Check this file that `export` wrote, and ask no gateway; several follow each other
    #[arg(long = "export", value_name = "FILE", requires = "public_key")]
    pub exports: Vec<PathBuf>,

    /// Check the archive too, from its first entry to where the history here begins: its folder, or files of it in order
    #[arg(long = "archive", value_name = "FILE", conflicts_with = "exports")]
    pub archive: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The number of the first entry [default: the first that is kept, or where the file ends]
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(u64).range(1..))]
    pub from: Option<u64>,

    /// Write to this file, readable by its owner only; where it holds an export, go on at its end
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CompletionsArguments {
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}
