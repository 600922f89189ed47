//! `locum role …`, `locum reason …`, `locum app …`, `locum name …`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Define a role: `NAME` for the whole installation, `APP/NAME` for one app
    Add {
        #[arg(value_name = "ROLE")]
        role: String,
        /// A permission in it, `NAMESPACE:NAME`; may be given several times
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Vec<String>,
    },
    /// List the roles that are defined
    List,
    /// Show what a role contains and who holds it
    Show {
        #[arg(value_name = "ROLE")]
        role: String,
    },
    /// Replace what a role contains, for everybody who holds it
    Set {
        #[arg(value_name = "ROLE")]
        role: String,
        /// A permission in it; may be given several times
        #[arg(long = "permission", value_name = "PERMISSION", required_unless_present = "empty")]
        permissions: Vec<String>,
        /// Leave no permission in it
        #[arg(long, conflicts_with = "permissions")]
        empty: bool,
    },
    /// Give a role to an account; what a person newly gains, its proxy users gain too
    Grant {
        #[arg(value_name = "ACCOUNT")]
        account: String,
        #[arg(value_name = "ROLE")]
        role: String,
    },
    /// Take a role from an account; what a person loses, its proxy users lose too
    Remove {
        #[arg(value_name = "ACCOUNT")]
        account: String,
        #[arg(value_name = "ROLE")]
        role: String,
    },
    /// Give an account all roles of another one, or none of them
    Copy {
        /// Whose roles
        #[arg(long, value_name = "ACCOUNT")]
        from: String,
        /// Who gains them
        #[arg(long, value_name = "ACCOUNT")]
        to: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ReasonCommand {
    /// List the reasons
    List,
    /// Add a reason to the table
    Add {
        /// The code: a letter, then up to 47 of `a-z 0-9 _`
        #[arg(value_name = "CODE")]
        code: String,
        /// What it means, for people
        #[arg(value_name = "TEXT")]
        text: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// List the apps that the gateway knows
    List,
    /// Give an account access to an app
    Grant {
        #[arg(value_name = "ACCOUNT")]
        account: String,
        #[arg(value_name = "APP")]
        app: String,
    },
    /// Take an account's access to an app, and all of its roles in it
    Remove {
        #[arg(value_name = "ACCOUNT")]
        account: String,
        #[arg(value_name = "APP")]
        app: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum NameCommand {
    /// Let the username of a deleted account be used again; only from the host
    Release {
        #[arg(value_name = "NAME")]
        name: String,
    },
}
