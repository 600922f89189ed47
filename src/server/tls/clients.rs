//! What clients have to show.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error};

use super::files::{self, TlsError};
use crate::config::settings::ClientCertificates;

/// Asks for certificates of these authorities that are not revoked. Where lists are named, each authority on the way
/// from the client to the one that is believed needs one, and a list past its date proves nothing any more.
pub(super) fn verifier(
    settings: &ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let file = &settings.authorities;
    let roots = Arc::new(files::authorities(file)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let mut lists = Vec::new();
    for file in &settings.revoked {
        lists.extend(files::revoked(file)?);
    }
    if !settings.revoked.is_empty() {
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let unusable = |error: &dyn fmt::Display| TlsError::Authorities { file: file.clone(), error: error.to_string() };
    builder.build().map_err(|error| unusable(&error))
}

/// Counts a certificate that a client showed and that is not taken. An outdated list keeps everybody out, so that is
/// more than a client's own matter.
pub(in crate::server) fn note_refusal(error: &io::Error) {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    let reason = match error {
        Some(Error::NoCertificatesPresented) => "none",
        Some(Error::InvalidCertificate(error)) => match error {
            CertificateError::Revoked => "revoked",
            CertificateError::UnknownIssuer => "unknown_authority",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
            CertificateError::UnknownRevocationStatus => {
                tracing::warn!("a client was refused: no list of `client_crl_files` is of its authority");
                "no_list"
            }
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
                tracing::warn!("a client was refused: a list of `client_crl_files` is past its date, renew it");
                "list_expired"
            }
            _ => "other",
        },
        _ => return,
    };
    metrics::counter!("locum_client_certificates_refused_total", "reason" => reason).increment(1);
}
