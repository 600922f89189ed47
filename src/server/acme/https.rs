//! How the authority is spoken to: HTTPS, a connection for each of the few requests, every step bounded.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::AcmeError;
use crate::server::tls::files;

/// From the look-up of the name to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A chain has some kilobytes.
const LONGEST_ANSWER: usize = 256 * 1024;

#[derive(Clone)]
pub(super) struct Https(TlsConnector);

type Fault = Box<dyn std::error::Error + Send + Sync>;

impl Https {
    /// Believes these authorities, or those that the machine does.
    pub(super) fn new(authorities: Option<&Path>) -> Result<Self, AcmeError> {
        let roots = match authorities {
            Some(file) => files::authorities(file)?,
            None => roots_of_this_machine()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("the provider has suites of both versions");
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

fn roots_of_this_machine() -> Result<RootCertStore, AcmeError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "an authority that this machine trusts could not be read");
    }
    let (added, _unusable) = roots.add_parsable_certificates(found.certs);
    if added == 0 { Err(AcmeError::NoAuthorities) } else { Ok(roots) }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let connector = self.0.clone();
        Box::pin(async move {
            let answer = tokio::time::timeout(TIMEOUT, exchange(connector, request)).await;
            let answer = answer.unwrap_or_else(|_| Err("the ACME server takes too long".into()));
            answer.map(BytesResponse::from).map_err(Error::Other)
        })
    }
}

async fn exchange(
    connector: TlsConnector,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, Fault> {
    let uri = std::mem::take(request.uri_mut());
    if uri.scheme_str() != Some("https") {
        return Err(format!("the ACME server names a URL that is not `https`: {uri}").into());
    }
    let host = uri.host().ok_or("the ACME server names a URL without a host")?;
    let authority = uri.authority().map_or(host, http::uri::Authority::as_str);
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
    *request.uri_mut() = Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));

    // The brackets of an IPv6 address are of the URL only.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let unreachable = |error: std::io::Error| format!("the ACME server `{authority}` cannot be reached: {error}");
    let tcp = TcpStream::connect((bare, uri.port_u16().unwrap_or(443))).await.map_err(unreachable)?;
    let name = ServerName::try_from(bare.to_owned())?;
    let tls = connector.connect(name, tcp).await.map_err(unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
    let connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
    drop(connection);
    Ok(Response::from_parts(head, Full::new(body)))
}
