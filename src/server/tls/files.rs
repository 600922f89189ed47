//! What TLS reads from files.

use std::io;
use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use zeroize::Zeroizing;

use crate::config::settings::CertificateFiles;
use crate::server::secrets::{self, SecretsError};

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
    #[error("`{}` is no list of revoked certificates, in PEM or DER: {error}", file.display())]
    Revoked { file: PathBuf, error: String },
}

/// Reads a certificate and its key.
pub(super) fn certified_key(
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
pub(in crate::server) fn private(file: &Path) -> Result<Zeroizing<String>, TlsError> {
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

/// Reads certificates of authorities.
pub(in crate::server) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|error| TlsError::Authorities { file: file.to_owned(), error: error.to_string() })?;
    }
    Ok(roots)
}

/// Reads lists of revoked certificates: one in DER, or some in PEM.
pub(super) fn revoked(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let bytes = bytes(file)?;
    let wrong = |error: String| TlsError::Revoked { file: file.to_owned(), error };
    let mut lists: Vec<CertificateRevocationListDer<'static>> = CertificateRevocationListDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|e| wrong(e.to_string()))?;
    if lists.is_empty() {
        lists.push(bytes.into());
    }
    for list in &lists {
        webpki::BorrowedCertRevocationList::from_der(list).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(lists)
}

fn bytes(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|error| TlsError::Unreadable { file: file.to_owned(), error })
}
