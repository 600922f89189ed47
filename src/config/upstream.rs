//! Where an app itself runs.

use std::fmt;

use http::uri::{Authority, Uri};

/// `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upstream {
    authority: Authority,
    tls: bool,
}

/// Why a text is not an upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    #[error("leave out the path: it reaches the app as the client sent it")]
    Path,
    #[error("leave out user and password: an app is told who asks by headers")]
    UserInfo,
    #[error("give `http://HOST:PORT`, and `http2 = true` for the app")]
    Http2,
    #[error("give `http://HOST:PORT` or `https://HOST:PORT`, such as `http://127.0.0.1:3000`")]
    Shape,
}

impl Upstream {
    /// Reads `http://HOST[:PORT][/]` or `https://HOST[:PORT][/]`; the port is 80 or 443 where none stands.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn parse(text: &str) -> Result<Self, UpstreamError> {
        let uri: Uri = text.parse().map_err(|_| UpstreamError::Shape)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some("h2c") => return Err(UpstreamError::Http2),
            _ => return Err(UpstreamError::Shape),
        };
        let authority = uri.authority().ok_or(UpstreamError::Shape)?;
        if authority.as_str().contains('@') {
            return Err(UpstreamError::UserInfo);
        }
        if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") || text.contains('#') {
            return Err(UpstreamError::Path);
        }
        let host = authority.host();
        let has_port = authority.as_str().len() > host.len();
        let port = if has_port { authority.port_u16().unwrap_or(0) } else { default_port(tls) };
        if host.is_empty() || port == 0 {
            return Err(UpstreamError::Shape);
        }
        let full = format!("{}:{port}", host.to_ascii_lowercase());
        full.parse().map(|authority| Self { authority, tls }).map_err(|_| UpstreamError::Shape)
    }

    /// Whether TLS is spoken to it.
    pub const fn speaks_tls(&self) -> bool {
        self.tls
    }

    /// `HOST:PORT`, the host in lower case, the port always there.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port() {
        for (text, shown) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
            ("http://Wiki", "http://wiki:80"),
            ("http://[::1]:81", "http://[::1]:81"),
            ("http://[::1]", "http://[::1]:80"),
            ("https://Wiki", "https://wiki:443"),
            ("https://wiki:8443/", "https://wiki:8443"),
        ] {
            assert_eq!(Upstream::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_right() {
        for (text, error) in [
            ("https://127.0.0.1:3000/base", UpstreamError::Path),
            ("h2c://127.0.0.1:3000", UpstreamError::Http2),
            ("http://127.0.0.1:3000/base", UpstreamError::Path),
            ("http://127.0.0.1:3000/?q", UpstreamError::Path),
            ("http://127.0.0.1:3000#f", UpstreamError::Path),
            ("http://me:secret@127.0.0.1:3000", UpstreamError::UserInfo),
            ("127.0.0.1:3000", UpstreamError::Shape),
            ("ftp://127.0.0.1", UpstreamError::Shape),
            ("http://", UpstreamError::Shape),
            ("http://:3000", UpstreamError::Shape),
            ("http://a:", UpstreamError::Shape),
            ("http://a:0", UpstreamError::Shape),
            ("http://a:99999", UpstreamError::Shape),
            ("http://a b", UpstreamError::Shape),
            ("", UpstreamError::Shape),
        ] {
            assert_eq!(Upstream::parse(text), Err(error), "{text:?}");
        }
    }
}
