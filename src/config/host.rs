//! Host names that an app answers to.

use std::fmt;

/// One entry of `hosts`, in lower case and without port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This name or address.
    Exact(Box<str>),
    /// `*.NAME`: every name below this one, at any depth, and not the name itself.
    Below(Box<str>),
}

/// Why a text is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("leave out the port: hosts are compared without it")]
    Port,
    #[error("leave out `{0}`: give the name alone")]
    MoreThanAName(&'static str),
    #[error("a `*` stands only for the first labels, as in `*.example.org`")]
    Star,
    #[error("give a name such as `wiki.example.org`, or an address; IPv6 in brackets, as in `[::1]`")]
    Shape,
}

impl HostPattern {
    /// Reads a name, an address, or `*.NAME`; case is folded.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let host = text.to_ascii_lowercase();
        if host.contains("://") {
            return Err(HostError::MoreThanAName("://"));
        }
        if host.contains('/') {
            return Err(HostError::MoreThanAName("/"));
        }
        if let Some((address, rest)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            let address: std::net::Ipv6Addr = address.parse().map_err(|_| HostError::Shape)?;
            return match rest {
                "" => Ok(Self::Exact(format!("[{address}]").into())),
                rest if rest.starts_with(':') => Err(HostError::Port),
                _ => Err(HostError::Shape),
            };
        }
        if host.matches(':').count() == 1 {
            return Err(HostError::Port);
        }
        let (name, pattern): (&str, fn(Box<str>) -> Self) = match host.strip_prefix("*.") {
            Some(name) => (name, Self::Below),
            None => (&host, Self::Exact),
        };
        if name.contains('*') {
            return Err(HostError::Star);
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(HostError::Shape);
        }
        Ok(pattern(name.into()))
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=63).contains(&label.len()) && label.chars().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_and_folded() {
        for (text, shown) in [
            ("Wiki.Example.ORG", "wiki.example.org"),
            ("*.example.org", "*.example.org"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[0:0::1]", "[::1]"),
        ] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_leave_out() {
        for (text, error) in [
            ("wiki.example.org:8080", HostError::Port),
            ("[::1]:80", HostError::Port),
            ("https://wiki.example.org", HostError::MoreThanAName("://")),
            ("wiki.example.org/x", HostError::MoreThanAName("/")),
            ("*", HostError::Star),
            ("a.*.org", HostError::Star),
            ("*.*.org", HostError::Star),
            ("", HostError::Shape),
            ("*.", HostError::Shape),
            ("a..b", HostError::Shape),
            ("a.", HostError::Shape),
            ("-a.org", HostError::Shape),
            ("bücher.example", HostError::Shape),
            ("::1", HostError::Shape),
            ("a b", HostError::Shape),
        ] {
            assert_eq!(HostPattern::parse(text), Err(error), "{text:?}");
        }
    }
}
