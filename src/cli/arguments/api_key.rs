//! `locum api-key …`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::pat::parse_life;

#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key; its secret is shown this once, and it is usable at once
    Add(ApiKeyAddArguments),
    /// List keys
    List {
        /// Only those that act as this person
        #[arg(long = "for", value_name = "PERSON")]
        person: Option<String>,
    },
    /// Show one key, without its secret
    Show {
        #[arg(value_name = "PUBLIC-ID")]
        public_id: String,
    },
    /// Revoke a key at once and for good
    Revoke {
        #[arg(value_name = "PUBLIC-ID")]
        public_id: String,
        /// Why: a code of `locum reason list`
        #[arg(long, value_name = "CODE")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub struct ApiKeyAddArguments {
    /// The service or process that will use the key, 1 to 200 characters
    #[arg(value_name = "TEXT")]
    pub name: String,

    /// The administrator that it acts as
    #[arg(long = "for", value_name = "PERSON")]
    pub person: Option<String>,

    /// What it may do: `AREA:read` or `AREA:write`, or `all` for the area; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    pub scopes: Vec<String>,

    /// How long it lives, such as `90d` or `12h`, at most 365 days
    #[arg(long, value_name = "DURATION", value_parser = parse_life)]
    pub expires: Duration,
}
