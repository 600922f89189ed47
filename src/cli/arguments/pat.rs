//! `locum pat …`.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::network::parse_network;

#[derive(Debug, Subcommand)]
pub enum PatCommand {
    /// Make a token for a proxy user; its secret is shown this once
    Add(PatAddArguments),
    /// List the tokens of a proxy user
    List {
        #[arg(value_name = "PROXY-USER")]
        proxy_user: String,
    },
    /// Show one token, without its secret
    Show {
        #[arg(value_name = "PUBLIC-ID")]
        public_id: String,
    },
    /// Revoke a token at once and for good
    Revoke {
        #[arg(value_name = "PUBLIC-ID")]
        public_id: String,
        /// Why: a code of `locum reason list`
        #[arg(long, value_name = "CODE")]
        reason: String,
    },
    /// Revoke every token of everybody at once and for good; only from the machine that runs the gateway
    RevokeAll {
        /// Why: a code of `locum reason list`
        #[arg(long, value_name = "CODE")]
        reason: String,
    },
    /// Make a token that takes the place of another; both are valid for a while
    Rotate(PatRotateArguments),
    /// Confirm that a token's secret was copied: from then on it is usable
    Confirm {
        #[arg(value_name = "PUBLIC-ID")]
        public_id: String,
    },
    /// Say what a token is, without using it; the token is read from the standard input
    Check(PatCheckArguments),
}

#[derive(Debug, Args)]
pub struct PatAddArguments {
    #[arg(value_name = "PROXY-USER")]
    pub proxy_user: String,

    /// The service or process that will use the token, 1 to 200 characters
    #[arg(long, value_name = "TEXT")]
    pub service: String,

    /// How long it lives, such as `90d` or `12h` [default: the longest life that is allowed]
    #[arg(long, value_name = "DURATION", value_parser = parse_life)]
    pub expires: Option<Duration>,

    /// A network that it may come from; may be given several times
    #[arg(long = "network", value_name = "CIDR", value_parser = parse_network)]
    pub networks: Vec<IpNet>,

    /// An app that it may reach; may be given several times [default: all that the account reaches]
    #[arg(long = "app", value_name = "APP")]
    pub apps: Vec<String>,

    /// Only methods that read: GET, HEAD, OPTIONS, TRACE, PROPFIND, REPORT, SEARCH, QUERY
    #[arg(long)]
    pub read_only: bool,

    /// Confirm in the same breath that the secret will have been copied
    #[arg(long)]
    pub confirm: bool,
}

#[derive(Debug, Args)]
pub struct PatRotateArguments {
    /// The token before; the new one is for the same service, with the same restrictions
    #[arg(value_name = "PUBLIC-ID")]
    pub public_id: String,

    /// For at most how long both are valid once the new one is confirmed
    #[arg(long, value_name = "DURATION", value_parser = parse_life, default_value = "7d")]
    pub overlap: Duration,

    /// End the old one sooner: once the new one is in use, and the old one was not for so long
    #[arg(long, value_name = "DURATION", value_parser = parse_life)]
    pub silence: Option<Duration>,

    /// How long the new one lives, such as `90d` or `12h` [default: the longest life that is allowed]
    #[arg(long, value_name = "DURATION", value_parser = parse_life)]
    pub expires: Option<Duration>,

    /// Confirm in the same breath that the secret will have been copied
    #[arg(long)]
    pub confirm: bool,
}

#[derive(Debug, Args)]
pub struct PatCheckArguments {
    /// The address that it would come from
    #[arg(long, value_name = "ADDR", conflicts_with = "offline")]
    pub from: Option<IpAddr>,

    /// Look at format and checksum only; asks nobody
    #[arg(long)]
    pub offline: bool,
}

/// Reads a life such as `90d`, `12h`, `45m`; a day is 24 hours (T2).
pub(super) fn parse_life(text: &str) -> Result<Duration, String> {
    let refuse =
        || format!("`{text}` is not a duration: write a whole number and a unit, such as `90d`, `12h` or `45m`");
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?);
    let count: u64 = digits.parse().map_err(|_| refuse())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(refuse()),
    };
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T2
    #[test]
    fn a_day_is_24_hours() {
        assert_eq!(parse_life("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(parse_life("2w"), parse_life("14d"));
        assert_eq!(parse_life("45m"), Ok(Duration::from_mins(45)));
        for text in ["", "90", "d", "-1d", "1.5d", "1y", "99999999999999999999d", "18446744073709551615w"] {
            assert!(parse_life(text).is_err(), "{text}");
        }
    }
}
