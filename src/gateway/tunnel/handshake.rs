//! What the app is asked in the client's place, and what it has to answer before anything is a tunnel.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::upgrade::{UpgradeRequest, nominates_upgrade};
use super::{TunnelSettings, origin};
use crate::gateway::client::Scheme;
use crate::gateway::refusal::Refusal;
use crate::gateway::visit::{Peer, RequestId};
use crate::policy::Upgrades;
use crate::policy::upgrades::WEBSOCKET;

/// What is put behind a key before it is hashed (RFC 6455 §1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";

/// A tunnel that was asked for and may be.
#[derive(Debug)]
pub(in crate::gateway) struct Handshake {
    client: OnUpgrade,
    protocol: HeaderValue,
    /// What a WebSocket's app answers when it has read the request.
    accept: Option<String>,
    over_http2: bool,
}

/// On whose behalf a tunnel is asked for.
pub(in crate::gateway) struct Asker<'a> {
    /// Whether the gateway has judged a credential.
    pub(in crate::gateway) is_judged: bool,
    pub(in crate::gateway) host: &'a HeaderValue,
    pub(in crate::gateway) scheme: Scheme,
    pub(in crate::gateway) id: &'a RequestId,
}

impl Handshake {
    /// Puts into the head what asks the app for a tunnel. `None` when the route allows no such protocol: the request goes on
    /// without, as a plain one (UP-007).
    ///
    /// # Errors
    /// When the request may not be for a tunnel and cannot be for anything else.
    pub(in crate::gateway) fn of(
        wish: &UpgradeRequest,
        request: &mut Request<Incoming>,
        allowed: &Upgrades,
        settings: &TunnelSettings,
        asker: &Asker<'_>,
    ) -> Result<Option<Self>, Refusal> {
        let over_http2 = wish.is_of_http2();
        let Some(protocol) = wish.choose(allowed) else {
            return if over_http2 { Err(Refusal::NoTunnel) } else { Ok(None) };
        };
        if !request.body().is_end_stream() {
            // Where it ends, and whether what follows is a body or the tunnel, two programs could read in two ways.
            return Err(Refusal::Malformed("upgrade_with_body"));
        }
        if asker.is_judged {
            origin::check(request.headers(), asker.host, asker.scheme, &settings.allowed_origins)?;
        }
        let client = hyper::upgrade::on(&mut *request);
        let is_websocket = protocol.eq_ignore_ascii_case(WEBSOCKET);
        let protocol = HeaderValue::from_str(protocol).map_err(|_| Refusal::Malformed("upgrade"))?;
        let headers = request.headers_mut();
        let accept = if is_websocket { Some(websocket(headers, over_http2.then_some(asker.id))?) } else { None };
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol.clone());
        Ok(Some(Self { client, protocol, accept, over_http2 }))
    }

    /// Makes the answer to the client of the app's, and says whether what follows is a tunnel. To be called before the
    /// headers of the hop are taken from the answer.
    ///
    /// # Errors
    /// When the app's answer is none to what it was asked, or the client did not wait for it.
    pub(in crate::gateway) fn conclude<B>(
        self,
        response: &mut Response<B>,
        peer: &Peer,
    ) -> Result<Option<Switch>, Refusal> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // To a `CONNECT`, any success says that there is a tunnel.
            let misread = self.over_http2 && response.status().is_success();
            return if misread { Err(Refusal::BadUpstream("not_switched")) } else { Ok(None) };
        }
        if !self.is_agreed(response.headers()) {
            return Err(Refusal::BadUpstream("switched_wrongly"));
        }
        if !self.over_http2 && !peer.becomes_a_tunnel() {
            return Err(Refusal::Malformed("early_bytes"));
        }
        response.headers_mut().remove(CONTENT_LENGTH);
        if self.over_http2 {
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        }
        let hop = (!self.over_http2).then(|| self.protocol.clone());
        Ok(Some(Switch { client: self.client, is_websocket: self.accept.is_some(), hop }))
    }

    fn is_agreed(&self, headers: &HeaderMap) -> bool {
        let same = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(self.protocol.as_bytes());
        let accepted = || match &self.accept {
            None => true,
            Some(accept) => one(headers, &SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value == accept.as_str()),
        };
        nominates_upgrade(headers) && one(headers, &UPGRADE).is_some_and(same) && accepted()
    }
}

/// An answer that switches.
#[derive(Debug)]
pub(in crate::gateway) struct Switch {
    pub(in crate::gateway) client: OnUpgrade,
    pub(in crate::gateway) is_websocket: bool,
    /// The protocol, where the answer has to name it.
    hop: Option<HeaderValue>,
}

impl Switch {
    /// Says in the answer what HTTP/1.1 says of a switch, after the app's own words for its hop were removed.
    pub(in crate::gateway) fn announce(&self, headers: &mut HeaderMap) {
        if let Some(protocol) = &self.hop {
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, protocol.clone());
        }
    }
}

/// Checks a client's opening handshake (RFC 6455 §4.2.1) and answers what the app has to accept it with. HTTP/2 has no key
/// (RFC 8441 §5), so there the gateway makes one, out of the id of the request.
fn websocket(headers: &mut HeaderMap, of_http2: Option<&RequestId>) -> Result<String, Refusal> {
    let has_no_version = of_http2.is_some() && !headers.contains_key(SEC_WEBSOCKET_VERSION);
    if !has_no_version && one(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(Refusal::Malformed("websocket_version"));
    }
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    if let Some(id) = of_http2 {
        headers.insert(SEC_WEBSOCKET_KEY, key_of(id)?);
    }
    let key = one(headers, &SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let key = key.ok_or(Refusal::Malformed("websocket_key"))?;
    Ok(accept_of(key.as_bytes()))
}

/// A key is no secret: it shows that the app answers this request, and not some other one from a memory. So it has to
/// be another one for each request, and nothing more.
fn key_of(id: &RequestId) -> Result<HeaderValue, Refusal> {
    let hash = digest::digest(&digest::SHA256, id.as_str().as_bytes());
    HeaderValue::from_str(&STANDARD.encode(&hash.as_ref()[..16])).map_err(|_| Refusal::Fault)
}

/// SHA-1 is the protocol's own choice, and protects nothing: it shows that the app speaks it.
fn accept_of(key: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, ACCEPT_SUFFIX].concat());
    STANDARD.encode(hash)
}

/// The value of a field that is there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::visit::RequestIds;

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// UP-003, with the example of RFC 6455 §1.3.
    #[test]
    fn a_handshake_needs_the_version_and_one_key_of_sixteen_bytes() {
        let (version, key) = (("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="));
        let accept = websocket(&mut head(&[version, key]), None).unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for lines in [
            &[key][..],
            &[version],
            &[version, key, key],
            &[version, version, key],
            &[("sec-websocket-version", "8"), key],
            &[version, ("sec-websocket-key", "")],
            &[version, ("sec-websocket-key", "dGhl")],
            &[version, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")],
        ] {
            assert!(websocket(&mut head(lines), None).is_err(), "{lines:?}");
        }
        let ids = RequestIds::new(1, 1);
        let (mut of_http2, id) = (head(&[]), ids.next());
        let accept = websocket(&mut of_http2, Some(&id)).unwrap();
        assert_eq!(accept, accept_of(of_http2[SEC_WEBSOCKET_KEY].as_bytes()));
        assert_ne!(of_http2[SEC_WEBSOCKET_KEY], key_of(&ids.next()).unwrap());
        assert!(websocket(&mut head(&[("sec-websocket-version", "8")]), Some(&id)).is_err());
    }
}
