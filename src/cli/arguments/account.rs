//! `locum person …` and `locum proxy-user …`.

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::network::parse_network;

/// The one account that a command is about.
#[derive(Debug, Args)]
pub struct NameArgument {
    /// The username
    #[arg(id = "username", value_name = "NAME")]
    pub name: String,
}

#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Add a person
    Add {
        #[command(flatten)]
        person: NameArgument,
        /// A role to hold from the start; may be given several times
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        #[command(flatten)]
        known: PersonalArguments,
    },
    /// List people
    List {
        /// Only usernames that begin so
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
        /// Only the person with exactly this email address
        #[arg(long, value_name = "ADDRESS", conflicts_with = "prefix")]
        email: Option<String>,
    },
    /// Change what is known of a person; what is not named stays
    Set(PersonSetArguments),
    /// Show one person with roles, apps and proxy users
    Show(NameArgument),
    /// Disable a person and all of its proxy users, and revoke their tokens
    Inactivate(NameArgument),
    /// Enable a person again; its proxy users stay inactive until each is activated
    Activate(NameArgument),
    /// Delete a person and all of its proxy users for good; the history stays
    Delete(NameArgument),
}

/// What is known of a person beside the username; kept sealed.
#[derive(Debug, Args)]
pub struct PersonalArguments {
    /// What people call this person
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// An email address, which nobody else here has
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// A phone number, such as `+41 44 123 45 67`; no app is told it
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<String>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)
    .args(["name", "email", "phone", "no_name", "no_email", "no_phone"])))]
pub struct PersonSetArguments {
    /// The username
    #[arg(value_name = "NAME")]
    pub person: String,
    #[command(flatten)]
    pub known: PersonalArguments,
    /// Forget the name
    #[arg(long, conflicts_with = "name")]
    pub no_name: bool,
    /// Forget the email address
    #[arg(long, conflicts_with = "email")]
    pub no_email: bool,
    /// Forget the phone number
    #[arg(long, conflicts_with = "phone")]
    pub no_phone: bool,
}

#[derive(Debug, Subcommand)]
pub enum ProxyUserCommand {
    /// Add a proxy user; it holds from the start exactly what its owner holds
    Add {
        #[command(flatten)]
        proxy_user: NameArgument,
        /// The person that it belongs to
        #[arg(long, value_name = "PERSON")]
        owner: String,
        /// A network that it may be used from; may be given several times [default: all]
        #[arg(long = "network", value_name = "CIDR", value_parser = parse_network)]
        networks: Vec<IpNet>,
    },
    /// List proxy users
    List {
        /// Only those of this person
        #[arg(long, value_name = "PERSON")]
        owner: Option<String>,
        /// Only usernames that begin so
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
    },
    /// Show one proxy user with its owner, roles and apps
    Show(NameArgument),
    /// Disable a proxy user and revoke all of its tokens
    Inactivate(NameArgument),
    /// Enable a proxy user again; its revoked tokens stay revoked
    Activate(NameArgument),
    /// Say which networks a proxy user may be used from, in place of those before
    Networks(NetworksArguments),
    /// Delete a proxy user and its tokens for good; the history stays
    Delete(NameArgument),
}

#[derive(Debug, Args)]
pub struct NetworksArguments {
    #[command(flatten)]
    pub proxy_user: NameArgument,

    /// A network that it may be used from; may be given several times
    #[arg(long = "network", value_name = "CIDR", value_parser = parse_network, required_unless_present = "any")]
    pub networks: Vec<IpNet>,

    /// From everywhere
    #[arg(long, conflicts_with = "networks")]
    pub any: bool,
}
