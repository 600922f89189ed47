//! What of a request asks for another protocol.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use hyper::ext::Protocol;

use crate::policy::Upgrades;

/// A request that would like its connection to become a tunnel. Whether it may is for its route to say.
#[derive(Debug, Clone)]
pub(in crate::gateway) enum UpgradeRequest {
    /// The value of `Upgrade`, nominated by `Connection` as it has to be (RFC 9110 §7.8).
    Http1(HeaderValue),
    /// An extended `CONNECT` (RFC 8441 §4).
    Http2(Protocol),
}

impl UpgradeRequest {
    /// What asks in another way does not ask: a method with a meaning of its own, HTTP/1.0, an `Upgrade` that is not
    /// nominated or comes twice. It goes on as a plain request (UP-006, UP-007).
    pub(in crate::gateway) fn of<B>(request: &Request<B>) -> Option<Self> {
        let headers = request.headers();
        if *request.method() == Method::CONNECT {
            return request.extensions().get::<Protocol>().cloned().map(Self::Http2);
        }
        let offered = headers.get(UPGRADE)?;
        let asks = *request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && headers.get_all(UPGRADE).iter().nth(1).is_none()
            && nominates_upgrade(headers);
        asks.then(|| Self::Http1(offered.clone()))
    }

    pub(in crate::gateway) const fn is_of_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// The first of the protocols that the client offers and the route allows, as the client wrote it.
    pub(super) fn choose(&self, allowed: &Upgrades) -> Option<&str> {
        match self {
            Self::Http1(offered) => offered.to_str().ok()?.split(',').map(str::trim).find(|name| allowed.allow(name)),
            Self::Http2(protocol) => Some(protocol.as_str()).filter(|name| allowed.allow(name)),
        }
    }
}

/// Whether `Connection` names `Upgrade`, in a request or in the answer to one.
pub(super) fn nominates_upgrade(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: &str, version: Version, lines: &[(&'static str, &'static str)]) -> Option<String> {
        let mut request = Request::builder().method(method).version(version).body(()).unwrap();
        for (name, value) in lines {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let ask = UpgradeRequest::of(&request)?;
        ask.choose(&Upgrades::default()).map(str::to_owned)
    }

    /// UP-006, UP-007
    #[test]
    fn only_a_nominated_upgrade_of_a_get_asks() {
        let (connection, upgrade) = (("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"));
        assert_eq!(asks("GET", Version::HTTP_11, &[connection, upgrade]).as_deref(), Some("WebSocket"));
        assert_eq!(asks("GET", Version::HTTP_11, &[connection, ("upgrade", "h2c, websocket")]).unwrap(), "websocket");
        for (method, version, lines) in [
            ("GET", Version::HTTP_11, &[upgrade][..]),
            ("GET", Version::HTTP_11, &[("connection", "close"), upgrade]),
            ("GET", Version::HTTP_11, &[connection, upgrade, upgrade]),
            ("GET", Version::HTTP_11, &[connection, ("upgrade", "h2c")]),
            ("GET", Version::HTTP_11, &[connection]),
            ("GET", Version::HTTP_10, &[connection, upgrade]),
            ("GET", Version::HTTP_2, &[connection, upgrade]),
            ("POST", Version::HTTP_11, &[connection, upgrade]),
            ("HEAD", Version::HTTP_11, &[connection, upgrade]),
            ("CONNECT", Version::HTTP_11, &[connection, upgrade]),
        ] {
            assert_eq!(asks(method, version, lines), None, "{method} {version:?} {lines:?}");
        }
    }
}
