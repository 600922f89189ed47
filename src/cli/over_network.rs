//! A gateway elsewhere: its admin API over TLS, with a key.
//!
//! The key never stands on the command line, where other users of the machine could read it.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Uri};
use http::{HeaderValue, header};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::exit::Failure;

/// Names a file that holds the key.
const KEY_FILE: &str = "LOCUM_API_KEY_FILE";
/// Holds the key itself.
const KEY: &str = "LOCUM_API_KEY";
/// How long connecting may take, with the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a gateway is, who vouches for it, and the key for it.
pub(super) struct Server {
    authority: Authority,
    port: u16,
    /// `None`: in plain text, to this machine.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// `Bearer locum_key_…`.
    authorization: HeaderValue,
}

/// What bytes go by.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Server {
    /// Reads where it is, and the key from the environment.
    pub(super) fn parse(url: &str, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let advice = "give the URL of an admin API, such as `https://locum.example.org:8444`";
        let usage = |why: &str| Failure::Usage(format!("`--server {url}`: {why}"));
        let uri: Uri = url.parse().map_err(|_| usage(advice))?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).cloned();
        let authority = authority.ok_or_else(|| usage(advice))?;
        if !matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("/")) {
            return Err(usage("give no path: the commands know theirs"));
        }
        let host = bare(&authority);
        let tls = match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| usage(advice))?;
                Some((connector(ca_file)?, name))
            }
            Some("http") if is_here(host) => None,
            Some("http") => return Err(usage("the key would travel in plain text: use `https://`")),
            _ => return Err(usage(advice)),
        };
        let port = authority.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Ok(Self { authority, port, tls, authorization: authorization()? })
    }

    /// Connects.
    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, Failure> {
        let unreachable = |why: &dyn fmt::Display| {
            Failure::failed(format!("the gateway at `{}` cannot be reached: {why}", self.authority))
        };
        let dialling = async {
            let tcp = TcpStream::connect((bare(&self.authority), self.port)).await?;
            let stream: Box<dyn Stream> = match &self.tls {
                None => Box::new(tcp),
                Some((connector, name)) => Box::new(connector.connect(name.clone(), tcp).await?),
            };
            Ok::<_, std::io::Error>(stream)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, dialling).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(_late) => Err(unreachable(&"it does not answer in time")),
        }
    }

    /// Says on a request where it goes, and shows the key.
    pub(super) fn sign(&self, headers: &mut http::HeaderMap) -> Result<(), Failure> {
        let host = HeaderValue::from_str(self.authority.as_str()).map_err(Failure::failed)?;
        headers.insert(header::HOST, host);
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        Ok(())
    }

    pub(super) const fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// The brackets of an IPv6 address are of the URL only.
fn bare(authority: &Authority) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, Failure> {
    let roots = if let Some(file) = ca_file { authorities(file)? } else { authorities_of_this_machine()? };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(Failure::failed)?;
    Ok(TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

fn authorities(file: &Path) -> Result<RootCertStore, Failure> {
    let unusable = |why: &dyn fmt::Display| Failure::failed(format!("`{}`: {why}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(file).map_err(|error| unusable(&error))?) {
        let certificate = certificate.map_err(|_| unusable(&"it holds no certificates in PEM"))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"it holds no certificate in PEM")) } else { Ok(roots) }
}

fn authorities_of_this_machine() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    let (added, _unusable) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(Failure::failed("this machine trusts no authority: name one with `--ca-file`"));
    }
    Ok(roots)
}

fn read(file: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    std::fs::read(file).map(Zeroizing::new)
}

/// The key, from its file or from the environment.
fn authorization() -> Result<HeaderValue, Failure> {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let key = match (given(KEY_FILE), given(KEY).map(OsString::into_string)) {
        (Some(file), _) => read_key(Path::new(&file))?,
        (None, Some(Ok(key))) => Zeroizing::new(key),
        (None, Some(Err(_)) | None) => {
            let words = format!("a gateway elsewhere wants a key: name its file in `{KEY_FILE}`");
            return Err(Failure::Usage(words));
        }
    };
    let text = Zeroizing::new(format!("Bearer {}", key.trim()));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Failure::failed("the key is none: it begins with `locum_key_` and has no spaces"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read_key(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let unusable = |why: &dyn fmt::Display| {
        Failure::failed(format!("the key in `{}` ({KEY_FILE}) cannot be used: {why}", file.display()))
    };
    let mode = std::fs::metadata(file).map_err(|error| unusable(&error))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(unusable(&format!("others can read it (mode {mode:o}); run `chmod 600` on it")));
    }
    let bytes = read(file).map_err(|error| unusable(&error))?;
    std::str::from_utf8(&bytes).map(|key| Zeroizing::new(key.to_owned())).map_err(|error| unusable(&error))
}
