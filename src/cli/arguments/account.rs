//! `locum person …` and `locum proxy-user …`.

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::network::parse_network;

/// The one account that a command is about.
#[derive(Debug, Args)]
pub struct NameArgument {
    /// The username
    #[arg(value_name = "NAME")]
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
    },
    /// List people
    List {
        /// Only usernames that begin so
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
    },
    /// Show one person with roles, apps and proxy users
    Show(NameArgument),
    /// Disable a person and all of its proxy users, and revoke their tokens
    Inactivate(NameArgument),
    /// Enable a person again; its proxy users stay inactive until each is activated
    Activate(NameArgument),
    /// Delete a person and all of its proxy users for good; the history stays
    Delete(NameArgument),
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
