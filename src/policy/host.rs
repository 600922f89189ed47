//! Host names as an app is configured for them and as a client writes them.
//!
//! A name is compared without case, without its port and without the final dot of a fully qualified
//! name (RFC 3986 §6.2.2.1, RFC 9110 §4.2.3), so that `APP.Test:8080` cannot meet another policy than
//! `app.test` does.

use std::fmt;

/// The longest name that the DNS can carry, in bytes.
const LONGEST: usize = 253;

/// A host that an app answers to, in lower case, without port and final dot: a registered name, an
/// IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostName {
    /// This name or address.
    Exact(Box<str>),
    /// `*.NAME`: every name below this one, at any depth, and not the name itself.
    Below(Box<str>),
}

/// Why a text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("a host cannot be empty")]
    Empty,
    #[error("a host has letters, digits, `-`, `_` and `.`, or is an IPv6 address in brackets")]
    Shape,
    #[error("a port is a number from 0 to 65535")]
    Port,
    #[error("hosts are written without a port here: an app answers on whatever port the gateway listens on")]
    PortGiven,
}

impl HostName {
    /// Reads a host as it stands in the configuration: without a port, `*.` before it for all below it.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let (name, kind): (_, fn(Box<str>) -> Self) = match text.strip_prefix("*.") {
            Some(name) => (name, Self::Below),
            None => (text, Self::Exact),
        };
        let presented = PresentedHost::parse(name)?;
        if presented.has_port {
            return Err(HostError::PortGiven);
        }
        Ok(kind(presented.with_lower_case(|name| name.into())))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// A host as a client wrote it, checked and taken apart, not yet in lower case.
#[derive(Debug, Clone, Copy)]
pub struct PresentedHost<'a> {
    name: &'a str,
    port: Option<u16>,
    has_port: bool,
}

impl<'a> PresentedHost<'a> {
    /// Reads the value of a `Host` field, or the authority of a request target (RFC 9112 §3.2).
    ///
    /// # Errors
    /// Names the rule that the text breaks. User information (`user@`) is no part of a host.
    pub fn parse(text: &'a str) -> Result<Self, HostError> {
        let (name, port) = if text.starts_with('[') {
            let end = text.find(']').ok_or(HostError::Shape)?;
            let address = &text[1..end];
            address.parse::<std::net::Ipv6Addr>().map_err(|_| HostError::Shape)?;
            let port = match &text[end + 1..] {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(HostError::Shape)?),
            };
            (&text[..=end], port)
        } else {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.is_empty() {
                return Err(HostError::Empty);
            }
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            let empty_label = name.contains("..") || name.starts_with('.') || name.ends_with('.');
            if name.len() > LONGEST || !name.bytes().all(allowed) || empty_label {
                return Err(HostError::Shape);
            }
            (name, port)
        };
        Ok(Self { name, port: port.map_or(Ok(None), read_port)?, has_port: port.is_some() })
    }

    /// Whether both name the same host and port, `default_port` standing in where none is written.
    pub fn is_same_as(&self, other: &PresentedHost<'_>, default_port: u16) -> bool {
        self.name.eq_ignore_ascii_case(other.name)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }

    /// The port, where one is written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Hands the name in its one spelling to `look_up`: lower case, and the shortest form of an IPv6
    /// address. A name costs no allocation.
    pub(crate) fn with_lower_case<T>(&self, look_up: impl FnOnce(&str) -> T) -> T {
        let address = self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        if let Some(Ok(address)) = address.map(str::parse::<std::net::Ipv6Addr>) {
            return look_up(&format!("[{address}]"));
        }
        let mut buffer = [0_u8; LONGEST];
        let lower = &mut buffer[..self.name.len().min(LONGEST)];
        lower.copy_from_slice(&self.name.as_bytes()[..lower.len()]);
        lower.make_ascii_lowercase();
        look_up(std::str::from_utf8(lower).unwrap_or(""))
    }
}

/// An empty port stands for the scheme's own (RFC 3986 §3.2.3).
fn read_port(text: &str) -> Result<Option<u16>, HostError> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    text.parse().map(Some).map_err(|_| HostError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lower(text: &str) -> String {
        PresentedHost::parse(text).unwrap().with_lower_case(str::to_owned)
    }

    /// HO-008, HO-010, HO-015
    #[test]
    fn case_port_and_final_dot_do_not_make_another_host() {
        for text in ["app.test", "APP.Test", "app.test:443", "app.test:", "App.Test.", "app.test.:80"] {
            assert_eq!(lower(text), "app.test", "{text}");
        }
        assert_eq!(lower("[::1]:8080"), "[::1]");
        assert_eq!(lower("[0:0::1]"), "[::1]");
    }

    /// HO-004, HO-006
    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ":80",
            "a, b",
            "app.test:99999",
            "app.test:80:80",
            "app.test:abc",
            "app.test:+80",
            "user@app.test",
            "app.test/",
            "app%2etest",
            "[::1",
            "[::1]x",
            "[zz]",
            "a..b",
            "app.test..",
            ".app.test",
            "äpp.test",
        ] {
            assert!(PresentedHost::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_configured_host_has_no_port() {
        assert_eq!(HostName::parse("App.Test"), Ok(HostName::Exact("app.test".into())));
        assert_eq!(HostName::parse("*.App.Test"), Ok(HostName::Below("app.test".into())));
        assert_eq!(HostName::parse("*.*.test"), Err(HostError::Shape));
        assert_eq!(HostName::parse("app.test:80"), Err(HostError::PortGiven));
    }
}
