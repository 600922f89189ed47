//! Who is at the other end of a request, past the proxies that are trusted (G10).
//!
//! Without trusted proxies that is the peer of the connection, whatever the head says. A trusted peer is
//! believed, and what it says is either understood or the request refused: an address that nobody can
//! read is not the proxy's own, or strangers would count as its network and share its budget.
//!
//! Architecture invariant: this runs before hygiene, which then removes every word that was read here, so
//! no later step can read them a second time, or in another way.

use std::net::IpAddr;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use ipnet::{IpNet, Ipv4Net};

use super::forwarded::{self, Unreadable};
use super::hygiene::{FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use super::visit::Peer;
use crate::policy::host::PresentedHost;

/// How a client speaks to the first of us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    pub(super) const fn value(self) -> HeaderValue {
        match self {
            Self::Http => HeaderValue::from_static("http"),
            Self::Https => HeaderValue::from_static("https"),
        }
    }

    pub(super) const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    fn parse(text: &str) -> Result<Self, Unreadable> {
        match text {
            text if text.eq_ignore_ascii_case("http") => Ok(Self::Http),
            text if text.eq_ignore_ascii_case("https") => Ok(Self::Https),
            _ => Err(Unreadable),
        }
    }
}

/// The proxies whose word is taken; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Of networks as [`TrustedProxies::network`] reads them.
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Reads one network; a bare address is the network of itself alone (AU-061). IPv4 inside of IPv6
    /// counts as itself.
    ///
    /// # Errors
    /// With what would be right.
    pub fn network(text: &str) -> Result<IpNet, &'static str> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network: IpNet =
            network.map_err(|_| "give an address or a network, such as `10.1.0.7` or `10.1.0.0/24`")?;
        if network.addr() != network.network() {
            return Err("this is an address within a network: give the network's first address, or the address alone");
        }
        let network = match network {
            IpNet::V6(inside) => match (inside.addr().to_ipv4_mapped(), inside.prefix_len().checked_sub(96)) {
                (Some(address), Some(bits)) => Ipv4Net::new(address, bits).map_or(network, IpNet::V4),
                _ => network,
            },
            IpNet::V4(_) => network,
        };
        if network.prefix_len() == 0 {
            return Err("everybody could then name any address: give the networks of the proxies");
        }
        Ok(network)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && {
            let address = address.to_canonical();
            self.0.iter().any(|network| network.contains(&address))
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }
}

/// In which headers trusted proxies speak; never in both kinds at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopWords {
    /// In none: the address comes from the connection, or from the PROXY protocol.
    Nothing,
    /// `X-Forwarded-For`, and these where the proxies set them.
    XForwarded { scheme: bool, host: bool },
    /// RFC 7239, with all that it says.
    Forwarded,
}

/// Which proxies are trusted, and how they speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopSettings {
    pub trusted: TrustedProxies,
    pub words: HopWords,
}

impl Default for HopSettings {
    fn default() -> Self {
        Self { trusted: TrustedProxies::default(), words: HopWords::XForwarded { scheme: true, host: false } }
    }
}

/// Who asks, and as what the request reached the first proxy.
#[derive(Debug, Clone)]
pub(super) struct Client {
    address: IpAddr,
    forwarded_for: HeaderValue,
    scheme: Scheme,
    port: u16,
    host: Option<HeaderValue>,
    unreadable: Option<&'static str>,
    behind_proxy: bool,
}

impl Client {
    /// The address that is logged, charged and compared with a token's networks.
    pub(super) const fn address(&self) -> IpAddr {
        self.address
    }

    /// The address as it stands in `X-Forwarded-For`.
    pub(super) const fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    pub(super) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host that a trusted proxy was asked for, where its word for it is taken.
    pub(super) const fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    /// The port that the client reached, whatever the head says of it: that of the connection; behind a trusted proxy
    /// the one in the host that the proxy says was asked for, or else that of the scheme (HD-026).
    pub(super) fn port(&self) -> u16 {
        if !self.behind_proxy {
            return self.port;
        }
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        let named = host.and_then(|host| PresentedHost::parse(host).ok()?.port());
        named.unwrap_or(self.scheme.default_port())
    }

    /// Why the request is to be refused: a trusted proxy said something that cannot be read.
    pub(super) const fn unreadable(&self) -> Option<&'static str> {
        self.unreadable
    }

    /// Whether a trusted proxy forwarded the request.
    pub(super) const fn is_behind_proxy(&self) -> bool {
        self.behind_proxy
    }

    fn of(peer: &Peer) -> Self {
        Self {
            address: peer.address(),
            forwarded_for: peer.forwarded_for().clone(),
            scheme: peer.scheme(),
            port: peer.port(),
            host: None,
            unreadable: None,
            behind_proxy: false,
        }
    }

    fn move_to(&mut self, address: IpAddr) {
        self.address = address;
        self.forwarded_for = super::visit::written(address);
    }
}

impl HopSettings {
    /// The client of a request that came from `peer` with these headers.
    pub(super) fn client(&self, peer: &Peer, headers: &HeaderMap) -> Client {
        let mut client = Client::of(peer);
        if !self.trusted.contains(peer.address()) {
            return client;
        }
        client.behind_proxy = true;
        let read = match self.words {
            HopWords::Nothing => Ok(()),
            HopWords::XForwarded { scheme, host } => self.read_x_forwarded(&mut client, headers, scheme, host),
            HopWords::Forwarded => self.read_forwarded(&mut client, headers),
        };
        client.unreadable = read.err();
        client
    }

    fn read_x_forwarded(
        &self,
        client: &mut Client,
        headers: &HeaderMap,
        scheme: bool,
        host: bool,
    ) -> Result<(), &'static str> {
        let mut address = client.address;
        'fields: for field in headers.get_all(X_FORWARDED_FOR).iter().rev() {
            let text = field.to_str().map_err(|_| "x_forwarded_for")?;
            for entry in forwarded::entries(text) {
                if !self.trusted.contains(address) {
                    break 'fields;
                }
                address = forwarded::address(entry).map_err(|Unreadable| "x_forwarded_for")?;
            }
        }
        if address != client.address {
            client.move_to(address);
        }
        if scheme && let Some(value) = one(headers, &X_FORWARDED_PROTO, "x_forwarded_proto")? {
            let text = value.to_str().map_err(|_| "x_forwarded_proto")?;
            client.scheme = Scheme::parse(text).map_err(|Unreadable| "x_forwarded_proto")?;
        }
        if host {
            client.host = one(headers, &X_FORWARDED_HOST, "x_forwarded_host")?.cloned();
        }
        Ok(())
    }

    /// Scheme and host stand in the element that names the client: that proxy was asked by it.
    fn read_forwarded(&self, client: &mut Client, headers: &HeaderMap) -> Result<(), &'static str> {
        const UNREADABLE: &str = "forwarded";
        let mut address = client.address;
        let mut outermost = forwarded::Element::default();
        'fields: for field in headers.get_all(FORWARDED).iter().rev() {
            let text = field.to_str().map_err(|_| UNREADABLE)?;
            for element in forwarded::elements(text) {
                if !self.trusted.contains(address) {
                    break 'fields;
                }
                outermost = element.map_err(|Unreadable| UNREADABLE)?;
                address = outermost.address().map_err(|Unreadable| UNREADABLE)?;
            }
        }
        if address != client.address {
            client.move_to(address);
        }
        if let Some(scheme) = outermost.scheme {
            client.scheme = Scheme::parse(scheme).map_err(|Unreadable| UNREADABLE)?;
        }
        if let Some(host) = outermost.host {
            client.host = Some(HeaderValue::from_str(host).map_err(|_| UNREADABLE)?);
        }
        Ok(())
    }
}

/// The one value of a header that a proxy sets anew; a second could be the client's.
fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    unreadable: &'static str,
) -> Result<Option<&'a HeaderValue>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() { Err(unreadable) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn settings(trusted: &[&str], words: HopWords) -> HopSettings {
        let networks = trusted.iter().map(|text| TrustedProxies::network(text).unwrap()).collect();
        HopSettings { trusted: TrustedProxies::new(networks), words }
    }

    fn ask(settings: &HopSettings, peer: &str, lines: &[(&'static str, &str)]) -> Client {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        settings.client(&Peer::new(peer.parse().unwrap(), Scheme::Http, 8080), &headers)
    }

    const FOR: HopWords = HopWords::XForwarded { scheme: true, host: true };

    /// G10, HD-028: from the right, past whom we trust, and no further.
    #[test]
    fn hops_are_counted_from_the_right() {
        let hops = settings(&["10.0.0.0/8", "2001:db8:1::/64"], FOR);
        for (peer, lines, client) in [
            ("192.0.2.9", &["203.0.113.7"][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("::ffff:10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["8.8.8.8, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["junk, \", 203.0.113.7 ,10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", &["8.8.8.8", "203.0.113.7", "10.0.0.2, 10.0.0.3"], "203.0.113.7"),
            ("2001:db8:1::9", &["2001:db8:2::1"], "2001:db8:2::1"),
            ("10.0.0.1", &["10.0.0.4, 10.0.0.3"], "10.0.0.4"),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let found = ask(&hops, peer, &lines);
            assert_eq!((found.address(), found.unreadable()), (client.parse().unwrap(), None), "{peer} {lines:?}");
            assert_eq!(found.forwarded_for(), client);
        }
    }

    /// HD-030, FC-002: what a trusted proxy said is understood, or the request refused.
    #[test]
    fn an_unreadable_word_of_a_trusted_proxy_is_an_error() {
        let hops = settings(&["10.0.0.0/8"], FOR);
        for (name, value) in [
            ("x-forwarded-for", "a"),
            ("x-forwarded-for", ""),
            ("x-forwarded-for", "203.0.113.7, unknown"),
            ("x-forwarded-for", "nobody, 10.0.0.2"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-proto", "ftp"),
        ] {
            assert!(ask(&hops, "10.0.0.1", &[(name, value)]).unreadable().is_some(), "{name}: {value}");
            assert!(ask(&hops, "192.0.2.9", &[(name, value)]).unreadable().is_none(), "{name}: {value}");
        }
        for name in ["x-forwarded-proto", "x-forwarded-host"] {
            assert!(ask(&hops, "10.0.0.1", &[(name, "http"), (name, "http")]).unreadable().is_some(), "{name}");
        }
    }

    /// HD-021: scheme and host, from whom we trust only, and only where that is its word.
    #[test]
    fn scheme_and_host_come_from_trusted_proxies_only() {
        let lines = [("x-forwarded-proto", "https"), ("x-forwarded-host", "app.test"), ("forwarded", "proto=https")];
        let told = |hops: &HopSettings, peer| {
            let client = ask(hops, peer, &lines);
            (client.scheme(), client.host().map(|host| host.to_str().unwrap().to_owned()))
        };
        let all = settings(&["10.0.0.0/8"], FOR);
        assert_eq!(told(&all, "10.0.0.1"), (Scheme::Https, Some("app.test".to_owned())));
        assert_eq!(told(&all, "192.0.2.9"), (Scheme::Http, None));
        let address_only = settings(&["10.0.0.0/8"], HopWords::XForwarded { scheme: false, host: false });
        assert_eq!(told(&address_only, "10.0.0.1"), (Scheme::Http, None));
        assert_eq!(told(&settings(&["10.0.0.0/8"], HopWords::Nothing), "10.0.0.1"), (Scheme::Http, None));
    }

    /// HD-026: the real port; behind a trusted proxy that which the client asked for.
    #[test]
    fn the_port_is_that_of_the_connection_or_of_what_the_proxy_was_asked_for() {
        let hops = settings(&["10.0.0.0/8"], FOR);
        let port = |peer, host: &'static str| {
            let words = [("host", "evil.test:2"), ("x-forwarded-port", "1"), ("x-forwarded-proto", "https")];
            let words = [&words[..], &[("x-forwarded-host", host)]].concat();
            ask(&hops, peer, &words).port()
        };
        assert_eq!(port("192.0.2.9", "app.test"), 8080);
        assert_eq!(port("192.0.2.9", "app.test:9"), 8080);
        assert_eq!(port("10.0.0.1", "app.test"), 443);
        assert_eq!(port("10.0.0.1", "app.test:8443"), 8443);
        assert_eq!(port("10.0.0.1", "[::1]:"), 443);
        let silent = settings(&["10.0.0.0/8"], HopWords::XForwarded { scheme: true, host: false });
        let words = [("host", "app.test:6666"), ("x-forwarded-proto", "https")];
        assert_eq!(ask(&silent, "10.0.0.1", &words).port(), 443, "many proxies pass a client's `Host` on as it is");
    }

    /// G10: one language only; what is said in the other is the client's invention.
    #[test]
    fn forwarded_is_read_from_the_right_and_x_forwarded_is_not() {
        let hops = settings(&["10.0.0.0/8"], HopWords::Forwarded);
        let lines = [
            ("forwarded", "for=\"1.2.3.4, for=8.8.8.8;proto=http"),
            ("forwarded", "for=203.0.113.7;proto=https;host=app.test, for=10.0.0.2;proto=http;host=inner"),
            ("x-forwarded-for", "8.8.8.8"),
        ];
        let client = ask(&hops, "10.0.0.1", &lines);
        assert_eq!((client.address(), client.unreadable()), ("203.0.113.7".parse().unwrap(), None));
        assert_eq!((client.scheme(), client.host().unwrap().to_str().unwrap()), (Scheme::Https, "app.test"));
        for value in ["for=unknown", "for=_x", "proto=https", "for=a;for=b", "for=1.1.1.1;proto=ftp"] {
            assert!(ask(&hops, "10.0.0.1", &[("forwarded", value)]).unreadable().is_some(), "{value}");
        }
        let x_forwarded = settings(&["10.0.0.0/8"], FOR);
        assert_eq!(ask(&x_forwarded, "10.0.0.1", &lines).address(), "8.8.8.8".parse::<IpAddr>().unwrap());
    }

    /// HD-029: as long as a head may be, and all of it trusted, it takes no time worth the name.
    #[test]
    fn thousands_of_entries_are_read_in_bounded_time() {
        let hops = settings(&["10.0.0.0/8"], FOR);
        let long = vec!["10.0.0.9"; 5_000].join(", ");
        let started = Instant::now();
        for _ in 0..100 {
            assert_eq!(ask(&hops, "10.0.0.1", &[("x-forwarded-for", &long)]).address().to_string(), "10.0.0.9");
        }
        let half = started.elapsed() / 100;
        assert!(half < Duration::from_millis(50), "{half:?} for 5,000 entries");
    }

    /// HD-022, AU-061: a network is read as it is meant, and nobody can trust everybody.
    #[test]
    fn a_network_without_bits_is_one_address_and_all_addresses_are_refused() {
        let read = |text| TrustedProxies::network(text).map(|network| network.to_string());
        assert_eq!(read("10.0.0.1"), Ok("10.0.0.1/32".to_owned()));
        assert_eq!(read("2001:db8::1"), Ok("2001:db8::1/128".to_owned()));
        assert_eq!(read("::ffff:10.0.0.0/104"), Ok("10.0.0.0/8".to_owned()));
        for text in ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "10.0.0.1/8", "proxy.test", "", "10.0.0.0/33"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(!TrustedProxies::default().contains("127.0.0.1".parse().unwrap()));
    }
}
