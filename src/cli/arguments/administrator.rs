//! `locum admin …`.

use clap::{Args, Subcommand};

use super::account::NameArgument;

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make a person an administrator
    Add {
        #[command(flatten)]
        person: NameArgument,
        /// A super administrator
        #[arg(long = "super")]
        as_super: bool,
        /// Add the person first
        #[arg(long)]
        new: bool,
    },
    /// List administrators, of everything and of single apps
    List {
        /// Only super administrators
        #[arg(long = "super")]
        only_super: bool,
        /// Only those who administer this app by a right of its own
        #[arg(long, value_name = "APP")]
        app: Option<String>,
    },
    /// Show what a person may do with Locum
    Show(NameArgument),
    /// Make an administrator a super administrator
    Promote(NameArgument),
    /// Make a super administrator an administrator; only from the host
    Downgrade(EndArguments),
    /// Take an administrator's rights as such, and leave its account as it is; a super administrator's only from the host
    Deactivate(EndArguments),
    /// Give an administrator its rights as such again; a super administrator's only from the host
    Reactivate(NameArgument),
    /// Make a person administrator of one app, or grant a right to a plain person
    Grant(RightArguments),
    /// Take what `grant` gives
    Remove(RightArguments),
}

#[derive(Debug, Args)]
pub struct EndArguments {
    #[command(flatten)]
    pub person: NameArgument,

    /// Even if it is the last active super administrator
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["app", "right"])]
pub struct RightArguments {
    #[command(flatten)]
    pub person: NameArgument,

    /// The app to administer
    #[arg(long, value_name = "APP")]
    pub app: Option<String>,

    /// `add_proxy_users` or `update_users_and_permissions`
    #[arg(long, value_name = "RIGHT")]
    pub right: Option<String>,
}
