//! What `[tracing]` configures.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderName, HeaderValue};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

/// What of a request is traced, and who is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub endpoint: Endpoint,
    /// `None` where the endpoint is plain HTTP.
    pub tls: Option<CollectorTls>,
    /// Sent with every batch, each marked as sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// One request in so many is traced, unless a trusted proxy decided before.
    pub sample_one_in: NonZeroU32,
    pub service_name: String,
    /// For one batch, the connection included.
    pub timeout: Duration,
}

/// Where a collector takes spans: OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`
    pub authority: Authority,
    /// Ends in `/v1/traces`.
    pub path: String,
    pub tls: bool,
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("give `http://HOST:PORT` or `https://HOST:PORT`, such as `http://127.0.0.1:4318`")]
    Shape,
    #[error("leave out user and password: put a header into `headers_file`")]
    UserInfo,
    #[error("leave out `/v1/traces`: it is added")]
    Signal,
    #[error("port 4317 is for gRPC by custom: give the one for HTTP, such as `http://127.0.0.1:4318`")]
    Grpc,
}

impl Endpoint {
    /// Reads `http[s]://HOST[:PORT][/BASE]`; the port is 4318, or 443 with TLS, where none stands.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::Shape)?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(EndpointError::Shape),
        };
        let authority = uri.authority().ok_or(EndpointError::Shape)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(EndpointError::Shape);
        }
        let base = uri.path().trim_end_matches('/');
        if base.ends_with("/v1/traces") {
            return Err(EndpointError::Signal);
        }
        let host = authority.host();
        let has_port = authority.as_str().len() > host.len();
        let port = if has_port {
            authority.port_u16().unwrap_or(0)
        } else if tls {
            443
        } else {
            4318
        };
        if host.is_empty() || port == 0 {
            return Err(EndpointError::Shape);
        }
        if port == 4317 {
            return Err(EndpointError::Grpc);
        }
        let authority = format!("{host}:{port}").parse().map_err(|_| EndpointError::Shape)?;
        Ok(Self { authority, path: format!("{base}/v1/traces"), tls })
    }

    /// Without port and brackets.
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority, self.path)
    }
}

/// Why a text does not hold headers. Never says what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadersError {
    #[error("its line {0} is no header: give one `Name: value` a line")]
    Line(usize),
    #[error("its line {0} names a header that belongs to every message")]
    Taken(usize),
    #[error("it holds no header: give one `Name: value` a line")]
    None,
}

/// Reads one `Name: value` a line; empty lines and those that begin with `#` say nothing.
///
/// # Errors
/// When a line is something else, or there is none.
pub fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, HeadersError> {
    const TAKEN: [HeaderName; 6] =
        [HOST, CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING, CONNECTION];
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let headers: Result<Vec<_>, _> = lines
        .map(|(number, line)| {
            let (name, value) = line.split_once(':').ok_or(HeadersError::Line(number))?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| HeadersError::Line(number))?;
            let mut value = HeaderValue::from_str(value.trim()).map_err(|_| HeadersError::Line(number))?;
            value.set_sensitive(true);
            if TAKEN.contains(&name) { Err(HeadersError::Taken(number)) } else { Ok((name, value)) }
        })
        .collect();
    let headers = headers?;
    if headers.is_empty() { Err(HeadersError::None) } else { Ok(headers) }
}

/// Who is believed to be the collector.
#[derive(Clone)]
pub struct CollectorTls {
    /// What it was made from, by which two are compared.
    pem: Option<Box<[u8]>>,
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "only what sends spans reads it"))]
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// Why TLS to the collector cannot be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("it holds no certificate: give that of the authority in PEM (`-----BEGIN CERTIFICATE-----`)")]
    NoAuthority,
    #[error("the certificate no. {0} in it cannot be read: give certificates of authorities in PEM")]
    Authority(usize),
    #[error("this machine trusts no authority that could vouch for the collector: give one with `ca_file`")]
    NoAuthorityOfThisMachine,
    #[error("no certificate can name this host")]
    Name,
}

impl CollectorTls {
    /// Believes the authorities in `pem`, or without any those that this machine trusts, which blocks.
    ///
    /// # Errors
    /// When there is no authority, or no certificate can be for the host.
    pub fn to(endpoint: &Endpoint, pem: Option<&[u8]>) -> Result<Self, TlsError> {
        let name = ServerName::try_from(endpoint.host().to_owned()).map_err(|_| TlsError::Name)?;
        let mut roots = RootCertStore::empty();
        if let Some(pem) = pem {
            for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
                let certificate = certificate.map_err(|_| TlsError::Authority(number))?;
                roots.add(certificate).map_err(|_| TlsError::Authority(number))?;
            }
            if roots.is_empty() {
                return Err(TlsError::NoAuthority);
            }
        } else {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "an authority that this machine trusts could not be read");
            }
            // A machine may hold some that no library understands any more; the others count.
            let (added, _unusable) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(TlsError::NoAuthorityOfThisMachine);
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { pem: pem.map(Into::into), config: Arc::new(config), name })
    }
}

impl PartialEq for CollectorTls {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem && self.name == other.name
    }
}

impl Eq for CollectorTls {}

impl fmt::Debug for CollectorTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorTls").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_base() {
        for (text, written) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/", "http://collector:4318/v1/traces"),
            ("https://otlp.example.org/otlp/", "https://otlp.example.org:443/otlp/v1/traces"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), written);
        }
        assert_eq!(Endpoint::parse("http://[::1]:4318").unwrap().host(), "::1");
        for (text, error) in [
            ("", EndpointError::Shape),
            ("127.0.0.1:4318", EndpointError::Shape),
            ("grpc://127.0.0.1:4318", EndpointError::Shape),
            ("http://collector:0", EndpointError::Shape),
            ("http://collector?a=b", EndpointError::Shape),
            ("http://collector/#a", EndpointError::Shape),
            ("http://me:secret@collector", EndpointError::UserInfo),
            ("http://collector/v1/traces", EndpointError::Signal),
            ("http://collector:4317", EndpointError::Grpc),
        ] {
            assert_eq!(Endpoint::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn headers_are_read_one_a_line_and_never_shown() {
        let read = headers("# who we are\nAuthorization: Bearer a:b\n\nX-Tenant:7\n").unwrap();
        assert_eq!(read.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["authorization", "x-tenant"]);
        assert_eq!(read[0].1, "Bearer a:b");
        assert!(!format!("{read:?}").contains("Bearer"), "{read:?}");
        assert_eq!(headers("\n"), Err(HeadersError::None));
        assert_eq!(headers("a: b\nno header"), Err(HeadersError::Line(2)));
        assert_eq!(headers("a b: c"), Err(HeadersError::Line(1)));
        assert_eq!(headers("Host: c"), Err(HeadersError::Taken(1)));
    }
}
