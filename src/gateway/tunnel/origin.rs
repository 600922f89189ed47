//! Which pages may open a tunnel on somebody's behalf.
//!
//! A browser adds credentials to a WebSocket whatever page opens it, and no preflight asks first. So a page
//! anywhere could speak for whoever looks at it, unless the server compares origins (RFC 6455 §10.2).

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};

use crate::gateway::client::Scheme;
use crate::gateway::refusal::Refusal;
use crate::policy::host::PresentedHost;

/// An origin as browsers write it (RFC 6454 §6.2): lower case, without the port that its scheme implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Box<str>);

/// Why a text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("give a scheme and a host, such as `https://www.example.org`, without path and user")]
    Shape,
}

impl Origin {
    /// # Errors
    /// When the text has another shape.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(OriginError::Shape)?;
        let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return Err(OriginError::Shape);
        }
        if PresentedHost::parse(authority).is_err() || authority.ends_with(':') {
            return Err(OriginError::Shape);
        }
        let implied = match scheme {
            "http" => authority.strip_suffix(":80"),
            "https" => authority.strip_suffix(":443"),
            _ => None,
        };
        let authority = implied.unwrap_or(authority);
        Ok(Self(format!("{scheme}://{authority}").into()))
    }

    /// Whether it is that of a request for `host`. `https` is taken where the gateway speaks `http`, because TLS may end
    /// before it; the other way round the page came over a connection that anybody can write into.
    fn is_of(&self, host: &str, spoken: Scheme) -> bool {
        let default_port = match self.0.split_once("://") {
            Some(("http", _)) if spoken == Scheme::Http => 80,
            Some(("https", _)) => 443,
            _ => return false,
        };
        let authority = self.0.split_once("://").map_or("", |(_, authority)| authority);
        let hosts = PresentedHost::parse(authority).ok().zip(PresentedHost::parse(host).ok());
        hosts.is_some_and(|(origin, host)| host.is_same_as(&origin, default_port))
    }
}

/// Refuses what a page elsewhere asks for. Programs send no `Origin`, and none is no page (UP-008).
///
/// # Errors
/// When the origin is another one and not allowed, is hidden (`null`), or cannot be read.
pub(super) fn check(
    headers: &HeaderMap,
    host: &HeaderValue,
    spoken: Scheme,
    allowed: &[Origin],
) -> Result<(), Refusal> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|text| Origin::parse(text).ok());
    let (Some(origin), None) = (origin, origins.next()) else { return Err(Refusal::ForeignOrigin) };
    let own = host.to_str().is_ok_and(|host| origin.is_of(host, spoken));
    if own || allowed.contains(&origin) { Ok(()) } else { Err(Refusal::ForeignOrigin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UP-008
    #[test]
    fn a_page_elsewhere_has_to_be_allowed() {
        let allowed = [Origin::parse("https://WWW.example.org:443").unwrap(), Origin::parse("app://local").unwrap()];
        for (origins, host, spoken, passes) in [
            (&[][..], "app.test", Scheme::Https, true),
            (&["https://app.test"], "app.test", Scheme::Https, true),
            (&["https://app.test:443"], "APP.test.", Scheme::Https, true),
            (&["https://app.test"], "app.test:443", Scheme::Https, true),
            (&["https://app.test:8443"], "app.test:8443", Scheme::Https, true),
            (&["http://app.test:8080"], "app.test:8080", Scheme::Http, true),
            (&["https://app.test"], "app.test", Scheme::Http, true),
            (&["https://www.example.org"], "app.test", Scheme::Http, true),
            (&["app://local"], "app.test", Scheme::Http, true),
            (&["http://app.test"], "app.test", Scheme::Https, false),
            (&["https://app.test"], "app.test:8443", Scheme::Https, false),
            (&["https://app.test.evil.test"], "app.test", Scheme::Https, false),
            (&["https://evil.test"], "app.test", Scheme::Https, false),
            (&["https://app.test@evil.test"], "app.test", Scheme::Https, false),
            (&["http://www.example.org"], "app.test", Scheme::Http, false),
            (&["null"], "app.test", Scheme::Https, false),
            (&["https://app.test", "https://app.test"], "app.test", Scheme::Https, false),
            (&["https://app.test https://evil.test"], "app.test", Scheme::Https, false),
        ] {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            let checked = check(&headers, &HeaderValue::from_static(host), spoken, &allowed);
            assert_eq!(checked.is_ok(), passes, "{origins:?} {host}");
        }
        for text in ["", "www.example.org", "https://", "https://a/b", "https://*.example.org", "*", "https://a:"] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
