//! TLS to an app: who is believed to be it, and what it is shown of the gateway.
//!
//! Architecture invariant: nothing here leaves the check of an app's certificate out, or goes on without TLS
//! where TLS was asked for (TL-007). An app whose certificate nobody vouches for is given an authority of its
//! own, with `ca_file`.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use tokio_rustls::TlsConnector;

use super::connect::Offer;

/// What is agreed on with an app, by ALPN.
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// How many sessions of one app are remembered by one core, so that a new connection costs less.
const SESSIONS: usize = 64;

/// What TLS to an app needs. Cheap to clone.
#[derive(Clone)]
pub struct AppTlsSettings {
    roots: Arc<RootCertStore>,
    shown: Option<Arc<CertifiedKey>>,
    name: Option<ServerName<'static>>,
}

/// Why TLS to an app cannot be spoken with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppTlsError {
    #[error("it holds no certificate: give the certificate of the authority in PEM (`-----BEGIN CERTIFICATE-----`)")]
    NoAuthority,
    #[error("the certificate no. {0} in it cannot be read: give certificates of authorities in PEM")]
    Authority(usize),
    #[error("this machine trusts no authority that could vouch for an app: give one with `ca_file`")]
    NoAuthorityOfThisMachine,
    #[error("it holds no certificate: give it in PEM, the gateway's own first")]
    NoCertificate,
    #[error("it holds no private key in PEM")]
    NoKey,
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(String),
    #[error("give a host name or an address, without port")]
    Name,
}

impl AppTlsSettings {
    /// Believes these authorities and no others.
    ///
    /// # Errors
    /// When the text names none, or one that cannot be read.
    pub fn believing(pem: &[u8]) -> Result<Self, AppTlsError> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let unreadable = AppTlsError::Authority(index + 1);
            let Ok(certificate) = certificate else { return Err(unreadable) };
            roots.add(certificate).map_err(|_| unreadable)?;
        }
        if roots.is_empty() {
            return Err(AppTlsError::NoAuthority);
        }
        Ok(Self { roots: Arc::new(roots), shown: None, name: None })
    }

    /// Believes the authorities that this machine trusts. Blocks for reading them.
    ///
    /// # Errors
    /// When it trusts none.
    pub fn believing_this_machine() -> Result<Self, AppTlsError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "an authority that this machine trusts could not be read");
        }
        // A machine may hold some that no library understands any more; the others count.
        let (added, _unusable) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err(AppTlsError::NoAuthorityOfThisMachine);
        }
        Ok(Self { roots: Arc::new(roots), shown: None, name: None })
    }

    /// Shows the app a certificate of the gateway (mTLS), when it asks for one.
    ///
    /// # Errors
    /// When one of them cannot be read, or they do not belong together.
    pub fn showing(self, certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, AppTlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate_pem).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(AppTlsError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| AppTlsError::NoKey)?;
        let shown =
            CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => AppTlsError::Mismatch,
                error => AppTlsError::Unusable(error.to_string()),
            })?;
        Ok(Self { shown: Some(Arc::new(shown)), ..self })
    }

    /// Asks for a certificate of this name, in place of the host of each upstream.
    ///
    /// # Errors
    /// When it is no name.
    pub fn named(self, name: &str) -> Result<Self, AppTlsError> {
        Ok(Self { name: Some(server_name(name)?), ..self })
    }

    /// The name for which the app at `HOST:PORT` has to show a certificate.
    ///
    /// # Errors
    /// When the host cannot stand in a certificate, and no name was given.
    pub fn name_of(&self, authority: &str) -> Result<ServerName<'static>, AppTlsError> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => server_name(authority.rsplit_once(':').map_or(authority, |(host, _port)| host)),
        }
    }

    /// To be made once a core, which then remembers its own sessions.
    pub(super) fn connector(&self, offer: Offer) -> TlsConnector {
        let versions = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions");
        let roots = versions.with_root_certificates(Arc::clone(&self.roots));
        let mut config = match &self.shown {
            None => roots.with_no_client_auth(),
            Some(key) => roots.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key)))),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.alpn_protocols = match offer {
            Offer::Http1 => vec![HTTP1.to_vec()],
            Offer::Http2 => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        };
        TlsConnector::from(Arc::new(config))
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, AppTlsError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| AppTlsError::Name)
}

impl fmt::Debug for AppTlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppTlsSettings")
            .field("authorities", &self.roots.len())
            .field("shows_certificate", &self.shown.is_some())
            .field("name", &self.name)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> (rcgen::Certificate, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["authority.test".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        (params.self_signed(&key).unwrap(), key)
    }

    #[test]
    fn an_app_is_asked_for_the_name_of_its_upstream_or_the_one_that_is_given() {
        let (certificate, _) = authority();
        let tls = AppTlsSettings::believing(certificate.pem().as_bytes()).unwrap();
        for (authority, name) in
            [("wiki.internal:8443", "wiki.internal"), ("[::1]:443", "::1"), ("10.0.0.1:1", "10.0.0.1")]
        {
            assert_eq!(tls.name_of(authority).unwrap().to_str(), name);
        }
        assert_eq!(tls.name_of("a b:1"), Err(AppTlsError::Name));
        let named = tls.clone().named("wiki.example.org").unwrap();
        assert_eq!(named.name_of("10.0.0.1:1").unwrap().to_str(), "wiki.example.org");
        assert!(matches!(tls.named("wiki:443"), Err(AppTlsError::Name)));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let (certificate, key) = authority();
        let (pem, key_pem) = (certificate.pem(), key.serialize_pem());
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let tls = || AppTlsSettings::believing(pem.as_bytes()).unwrap();
        let error = |tls: Result<AppTlsSettings, AppTlsError>| tls.unwrap_err();
        assert_eq!(error(AppTlsSettings::believing(b"")), AppTlsError::NoAuthority);
        assert_eq!(error(AppTlsSettings::believing(key_pem.as_bytes())), AppTlsError::NoAuthority);
        assert_eq!(error(tls().showing(b"", key_pem.as_bytes())), AppTlsError::NoCertificate);
        assert_eq!(error(tls().showing(pem.as_bytes(), b"")), AppTlsError::NoKey);
        assert_eq!(error(tls().showing(pem.as_bytes(), other.as_bytes())), AppTlsError::Mismatch);
        let shown = tls().showing(pem.as_bytes(), key_pem.as_bytes()).unwrap();
        assert!(!format!("{shown:?}").contains("BEGIN"), "{shown:?}");
    }
}
