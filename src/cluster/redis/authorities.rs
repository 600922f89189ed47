//! The authorities that may vouch for Redis, read once: a file without a certificate would otherwise be
//! found out only by a handshake that fails.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Certificates of authorities, in PEM. These and no others are believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities(Arc<[u8]>);

/// Why a text names no authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    #[error("it holds no certificate: give the certificate of the authority as PEM (`-----BEGIN CERTIFICATE-----`)")]
    None,
    #[error("the certificate no. {0} in it cannot be read: give certificates of authorities as PEM")]
    Unreadable(usize),
}

impl Authorities {
    /// Reads one certificate or several.
    ///
    /// # Errors
    /// When there is none, or one of them is none of an authority.
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let mut believed = RootCertStore::empty();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let unreadable = AuthoritiesError::Unreadable(index + 1);
            let Ok(certificate) = certificate else { return Err(unreadable) };
            believed.add(certificate).map_err(|_| unreadable)?;
        }
        if believed.is_empty() { Err(AuthoritiesError::None) } else { Ok(Self(pem.into())) }
    }

    pub(super) fn as_pem(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorities").field("pem_bytes", &self.0.len()).finish()
    }
}
