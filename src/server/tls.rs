//! TLS to clients, by rustls: certificates for several names (G11).
//!
//! A set is read whole or not at all. When another takes its place, who is connected keeps the keys of its
//! connection, and who comes next gets the new certificate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::secrets::{self, SecretsError};
use crate::clock::Timestamp;
use crate::config::settings::{CertificateFiles, TlsSettings};

/// What is spoken over TLS, the better first.
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("`{}` cannot be read: {error}", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error("`{}` holds no certificate: it has to be in PEM, the gateway's own first", .0.display())]
    NoCertificate(PathBuf),
    #[error("`{}` holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    #[error(transparent)]
    Key(SecretsError),
    #[error("the key `{}` does not belong to the certificate `{}`", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("`{}` cannot be used: {error}", file.display())]
    Unusable { file: PathBuf, error: rustls::Error },
    #[error("the authorities of `{}` cannot be used: {error}", file.display())]
    Authorities { file: PathBuf, error: String },
}

/// The certificates of some settings, as they were when they were read.
#[derive(Clone)]
pub struct Certificates {
    settings: Arc<TlsSettings>,
    keys: Arc<[Arc<CertifiedKey>]>,
}

impl Certificates {
    /// Reads all files of the settings.
    ///
    /// # Errors
    /// At the first that cannot be used.
    pub fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let keys = read_all(settings)?;
        Ok(Self { settings: Arc::new(settings.clone()), keys: keys.into() })
    }

    /// What is wrong with their dates, in sentences.
    pub fn out_of_date(&self, now: Timestamp) -> Vec<String> {
        let files = self.settings.certificates.iter().map(|files| &files.certificate);
        let dated = files.zip(self.keys.iter());
        dated
            .filter_map(|(file, key)| Some(format!("the certificate `{}` {}", file.display(), when(key, now)?)))
            .collect()
    }

    /// What the gateway needs to speak TLS with them.
    ///
    /// # Errors
    /// When the authorities for clients cannot be read.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions");
        let builder = match &self.settings.client_authorities {
            None => versions.with_no_client_auth(),
            Some(file) => {
                let roots = Arc::new(authorities(file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let unusable =
                    |error: &dyn fmt::Display| TlsError::Authorities { file: file.clone(), error: error.to_string() };
                versions.with_client_cert_verifier(verifier.map_err(|error| unusable(&error))?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(config)
    }
}

/// By the name that the client asks for; where none fits, or it asks for none, the first.
impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = &self.keys;
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fitting = name.and_then(|name| keys.iter().find(|key| is_for(key, &name)));
        fitting.or_else(|| keys.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

fn read_all(settings: &TlsSettings) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    let provider = aws_lc_rs::default_provider();
    settings.certificates.iter().map(|files| read(files, &provider).map(Arc::new)).collect()
}

fn read(
    CertificateFiles { certificate, key }: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(certificate)?;
    let key_der = PrivateKeyDer::from_pem_slice(private(key)?.as_bytes()).map_err(|_| TlsError::NoKey(key.clone()))?;
    CertifiedKey::from_der(chain, key_der, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() }
        }
        rustls::Error::InvalidCertificate(_) => TlsError::Unusable { file: certificate.clone(), error },
        _ => TlsError::Unusable { file: key.clone(), error },
    })
}

/// Like every key, it may be read by its owner only.
fn private(file: &Path) -> Result<Zeroizing<String>, TlsError> {
    secrets::read_private(file).map_err(|error| match error {
        SecretsError::Missing(file) => TlsError::Unreadable { file, error: io::ErrorKind::NotFound.into() },
        SecretsError::Io { path: file, error } => TlsError::Unreadable { file, error },
        other => TlsError::Key(other),
    })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = bytes(file)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::NoCertificate(file.to_owned())),
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|error| TlsError::Authorities { file: file.to_owned(), error: error.to_string() })?;
    }
    Ok(roots)
}

fn bytes(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|error| TlsError::Unreadable { file: file.to_owned(), error })
}

/// What is wrong with the dates of a certificate. They are the first that is verified, so it does not
/// matter that nobody here signs it.
fn when(key: &CertifiedKey, now: Timestamp) -> Option<&'static str> {
    let certificate = ParsedCertificate::try_from(key.end_entity_cert().ok()?).ok()?;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)));
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let nobody = RootCertStore::empty();
    let verified = verify_server_cert_signed_by_trust_anchor(&certificate, &nobody, &[], now, algorithms.all);
    match verified {
        Err(rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            Some("has expired")
        }
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Some("is not valid yet"),
        _ => None,
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("count", &self.keys.len()).finish_non_exhaustive()
    }
}
