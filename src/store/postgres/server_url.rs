//! The URL of a PostgreSQL server, read more strictly than the driver reads it.
//!
//! The driver passes over a parameter that it does not know, and takes a certificate unseen unless it is
//! told to verify it. One slip of the pen would be a connection that anybody on the way can answer. So a
//! parameter has to be one that is known, and whoever names an authority has to ask for all of it.

use std::net::IpAddr;
use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::error::OpenError;

/// Every parameter that is passed on.
const PARAMETERS: [&str; 13] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Reads the URL.
pub(super) fn read(url: &SecretString) -> Result<PgConnectOptions, OpenError> {
    let url = url.expose_secret();
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    // a `?` in the password would make parameters of what follows, and the driver logs unknown ones
    if parameters.contains('@') {
        return Err(OpenError::Url);
    }
    let names: Vec<&str> = parameters.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    if !names.iter().all(|name| name.is_empty() || known(name)) {
        return Err(OpenError::Parameter);
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Url)?;
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull => Ok(options),
        PgSslMode::VerifyCa => Err(OpenError::HalfVerified),
        _ if names.contains(&"sslrootcert") => Err(OpenError::Unverified),
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer | PgSslMode::Require => Ok(options),
    }
}

/// Whether somebody on the way to the server could read what is sent, or answer in its place: it is on
/// another machine, and nobody asks who it is.
pub(crate) fn is_unguarded(url: &SecretString) -> bool {
    let Ok(options) = read(url) else { return false };
    let host = options.get_host();
    let here = options.get_socket().is_some()
        || host == "localhost"
        || host.starts_with('/')
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    !here && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(parameters: &str) -> OpenError {
        read(&format!("postgres://locum:geheim@db.example.org/locum?{parameters}").into()).unwrap_err()
    }

    #[test]
    fn what_the_driver_would_pass_over_is_refused() {
        assert_eq!(refusal("ssl_mode=verify-full"), OpenError::Parameter);
        assert_eq!(refusal("sslmode=verify-full&sslrootcrt=/etc/ca.pem"), OpenError::Parameter);
        assert_eq!(refusal("sslmode=verify-ca&sslrootcert=/etc/ca.pem"), OpenError::HalfVerified);
        for mode in ["sslmode=require&", "sslmode=prefer&", ""] {
            assert_eq!(refusal(&format!("{mode}sslrootcert=/etc/ca.pem")), OpenError::Unverified);
        }
    }

    #[test]
    fn only_this_machine_or_a_verified_server_is_guarded() {
        let unguarded = |rest: &str| is_unguarded(&format!("postgres://locum:geheim@{rest}").into());
        for here in ["localhost/x", "127.0.0.1:1/x", "[::1]/x", "db/x?host=/run/postgresql", "db/x?sslmode=verify-full"]
        {
            assert!(!unguarded(here), "{here}");
        }
        for there in ["db/x", "192.0.2.1/x", "db/x?sslmode=require", "db/x?sslmode=allow"] {
            assert!(unguarded(there), "{there}");
        }
    }
}
