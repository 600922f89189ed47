//! What can be typed: the whole command line, as clap reads it.
//!
//! Only shapes stand here; what a command does stands beside it in `cli`. Texts that name something of
//! the directory stay texts: the rules of usernames, roles and reasons are the server's, and the same
//! whoever asks.

mod account;
mod administrator;
mod api_key;
mod catalogue;
mod database;
mod import;
mod job;
mod legacy_name;
mod network;
mod operate;
mod pat;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use account::{
    NameArgument, NetworksArguments, PersonCommand, PersonSetArguments, PersonalArguments, ProxyUserCommand,
};
pub use administrator::{AdminCommand, EndArguments, RightArguments};
pub use api_key::{ApiKeyAddArguments, ApiKeyCommand};
pub use catalogue::{AppCommand, NameCommand, ReasonCommand, RoleCommand};
pub use database::{DbCommand, MoveArguments, RestoreArguments};
pub use import::ImportCommand;
pub use job::{JobAddArguments, JobCommand, JobProcess};
pub use legacy_name::LegacyNameCommand;
pub use operate::{
    AuditCommand, CompletionsArguments, ConfigCommand, ExportArguments, HistoryArguments, KeysCommand, ServeArguments,
    TrimArguments, VerifyArguments,
};
pub use pat::{PatAddArguments, PatCheckArguments, PatCommand, PatRotateArguments};

/// The gate in front of existing web applications: proxy users, personal access tokens, roles.
#[derive(Debug, Parser)]
#[command(name = "locum", version, max_term_width = 100, propagate_version = false, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// The configuration file of the gateway that is meant
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "state", help_heading = "Which gateway")]
    pub config: Option<PathBuf>,

    /// The state folder of the development gateway that is meant [default: ./locum-dev where it exists]
    ///
    /// The environment variable `LOCUM_ADMIN_SOCKET` names a running gateway's socket; both options
    /// win over it.
    #[arg(long, global = true, value_name = "DIR", help_heading = "Which gateway")]
    pub state: Option<PathBuf>,

    /// The gateway that is meant, by the URL of its admin API: `https://NAME:PORT`, on this machine `http://…` too
    ///
    /// The key is read from the file that `LOCUM_API_KEY_FILE` names, or from `LOCUM_API_KEY`.
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["config", "state"], help_heading = "Which gateway")]
    pub server: Option<String>,

    /// Who vouches for that gateway (PEM) [default: the authorities that this machine trusts]
    #[arg(long, global = true, value_name = "FILE", requires = "server", help_heading = "Which gateway")]
    pub ca_file: Option<PathBuf>,

    /// Print JSON for programs; errors too, as problem documents on the error output
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    Serve(ServeArguments),
    /// Write a commented configuration and the key files beside it; never overwrites
    Init,
    /// Check the configuration and the store, and say what they mean
    Check,
    /// About the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The database as a whole: copies of it, and moving it to PostgreSQL
    #[command(subcommand)]
    Db(DbCommand),
    #[command(flatten)]
    Administer(Administration),
    /// Print completions for a shell
    Completions(CompletionsArguments),
    /// Let the running gateway read its configuration again: it takes up all of it, or says what is wrong
    Reload,
    /// Let a new process take the place of the running gateway, without a request that fails
    Restart,
    /// Ask the running gateway whether it is well
    Healthcheck,
    /// Print the version
    Version,
}

/// What is asked of the admin API, of a running gateway's or in-process.
#[derive(Debug, Subcommand)]
pub enum Administration {
    /// People: those who own proxy users
    #[command(subcommand)]
    Person(PersonCommand),
    /// Proxy users: accounts for programs, each belonging to one person
    #[command(subcommand)]
    ProxyUser(ProxyUserCommand),
    /// Personal access tokens: the secrets that proxy users present
    #[command(subcommand)]
    Pat(PatCommand),
    /// Why tokens are revoked: the code table
    #[command(subcommand)]
    Reason(ReasonCommand),
    /// Roles: what they contain and who holds them
    #[command(subcommand)]
    Role(RoleCommand),
    /// Apps: who has access to them
    #[command(subcommand)]
    App(AppCommand),
    /// Those who run Locum: administrators and what they may do
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Keys of the admin API: for programs that administer over the network
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Usernames of deleted accounts
    #[command(subcommand)]
    Name(NameCommand),
    /// What people are called in apps
    #[command(subcommand)]
    LegacyName(LegacyNameCommand),
    /// The master key and the pepper: which versions are in force, and new ones
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Jobs: work on a schedule, such as revoking expired tokens
    #[command(subcommand)]
    Job(JobCommand),
    /// Accounts from elsewhere: every line that is refused is reported
    #[command(subcommand)]
    Import(ImportCommand),
    /// What was done, newest first
    History(HistoryArguments),
    /// Prove that the history is whole, and hand it out
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    /// C4: the lines of the guide are read as they stand there.
    #[test]
    fn every_promised_line_is_understood() {
        for line in [
            "serve --dev --state d --upstream http://127.0.0.1:3000 --listen 127.0.0.1:0",
            "serve --config locum.toml",
            "init --config locum.toml",
            "check --config locum.toml",
            "config schema",
            "person add ann --role reports --role blog/editor",
            "person add ann --name Ann --email ann@example.org --phone +41441234567",
            "person set ann --name Ann --no-email --no-phone",
            "person list --email ann@example.org",
            "person list --json",
            "person show ann",
            "person inactivate ann",
            "person activate ann",
            "person delete ann",
            "proxy-user add ann-ci --owner ann",
            "proxy-user list --owner ann --json",
            "proxy-user show ann-ci --json",
            "pat add ann-ci --service ci --expires 90d --network 10.0.0.0/8 --network ::1 --app blog --read-only --confirm",
            "pat list ann-ci",
            "pat revoke 0123456789ab --reason compromised",
            "pat confirm 0123456789ab",
            "pat show 0123456789ab --json",
            "pat check --from 10.0.0.1",
            "pat check --offline",
            "pat revoke-all --reason compromised",
            "import csv people.csv",
            "import htpasswd .htpasswd --owner ann --json",
            "db backup --to a.db",
            "db restore --from a.db --as-it-was",
            "db restore --from a.db --revoke-all",
            "db move --to postgres://locum@localhost/locum",
            "db move --to-file url --json",
            "reason list",
            "reason add moved_away The-service-moved",
            "role add reports --permission general:read",
            "role set reports --permission general:read --permission blog:write",
            "role set reports --empty",
            "role grant ann reports",
            "role remove ann reports",
            "role copy --from ann --to bob",
            "app grant ann blog",
            "app remove ann blog",
            "name release ann",
            "api-key add provisioning --for ann --scope roles:write --scope people:read --expires 90d",
            "api-key list --for ann --json",
            "api-key show 0123456789ab",
            "api-key revoke 0123456789ab --reason compromised",
            "admin add ann",
            "admin add ann --super --new",
            "admin list --super --json",
            "admin list --app blog",
            "admin show ann",
            "admin promote ann",
            "admin downgrade ann --force",
            "admin deactivate ann",
            "admin deactivate ann --force",
            "admin reactivate ann",
            "admin grant ann --app blog",
            "admin remove ann --app blog",
            "admin grant ann --right add_proxy_users",
            "admin remove ann --right update_users_and_permissions",
            "history --account ann --type roles_changed --limit 10 --json",
            "history --by host:root",
            "history ann --app blog",
            "history ann --initiated --before 17",
            "legacy-name set ann --app wiki --name a.smith",
            "legacy-name remove ann --app wiki",
            "legacy-name import --app wiki --file names.txt",
            "legacy-name find --app wiki --name a.smith",
            "keys show --json",
            "keys rotate",
            "keys rotate --master --pepper",
            "audit verify --state d",
            "audit verify --checkpoint a --checkpoint b --public-key k",
            "audit verify --export a.jsonl --export b.jsonl --public-key k",
            "audit verify --archive folder --checkpoint a",
            "audit trim --before 2026-01-01T00:00:00Z --dry-run --json",
            "job add nightly --process manage-pats --zone Europe/Berlin --schedule @daily --unused 90 --idle 365",
            "job add trim --process trim-history",
            "job run nightly --dry-run --json",
            "job runs nightly",
            "job show nightly",
            "job list",
            "job remove nightly",
            "audit checkpoint",
            "audit key --json",
            "audit export --from 17 --to a.jsonl",
            "completions bash",
            "reload --config locum.toml",
            "restart --config locum.toml",
            "serve --config locum.toml --check",
            "healthcheck",
            "person list --server https://locum.example.org:8444 --ca-file ca.pem",
            "version --json",
        ] {
            let words = std::iter::once("locum").chain(line.split(' '));
            assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
        }
    }

    /// R6: a role is emptied on purpose only.
    #[test]
    fn a_role_is_emptied_only_by_saying_so() {
        for line in ["role set reports", "role set reports --empty --permission general:read"] {
            let words = std::iter::once("locum").chain(line.split(' '));
            assert_eq!(Arguments::try_parse_from(words).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_configuration_and_a_state_folder_exclude_each_other() {
        let words = ["locum", "person", "list", "--config", "a", "--state", "b"];
        assert_eq!(Arguments::try_parse_from(words).unwrap_err().exit_code(), 2);
    }
}
