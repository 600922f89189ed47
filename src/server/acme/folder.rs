//! What outlasts the process: one folder for each authority, so that another one is a new beginning and the way back
//! finds everything as it was.
//!
//! A certificate and its key are one file: they are exchanged together or not at all.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::AcmeError;
use super::obtained::Certificate;
use crate::server::secrets::{self, SecretsError, replace_private};
use crate::server::tls::validity::Validity;

const ACCOUNT: &str = "account.json";

pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes what is missing, for nobody but this user.
    pub(super) fn open(folder: &Path, directory: &str) -> Result<Self, AcmeError> {
        let path = folder.join(name_of(directory));
        let fault = |error| AcmeError::Folder { path: path.clone(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(fault)?;
        // Who cannot keep a certificate would ask for one at every start, until the authority has enough of it.
        let probe = path.join("probe");
        replace_private(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(fault)?;
        Ok(Self(path))
    }

    /// `None`: there is no account yet.
    pub(super) fn account(&self) -> Result<Option<AccountCredentials>, AcmeError> {
        let path = self.0.join(ACCOUNT);
        let text = match secrets::read_private(&path) {
            Err(SecretsError::Missing(_)) => return Ok(None),
            read => read.map_err(|error| self.fault(&path, io::Error::other(error)))?,
        };
        let credentials = serde_json::from_str(&text).map_err(|error| self.fault(&path, error.into()))?;
        Ok(Some(credentials))
    }

    pub(super) fn keep_account(&self, credentials: &AccountCredentials) -> Result<(), AcmeError> {
        let path = self.0.join(ACCOUNT);
        let text = Zeroizing::new(serde_json::to_vec(credentials).map_err(|error| self.fault(&path, error.into()))?);
        replace_private(&path, &text).map_err(|error| self.fault(&path, error))
    }

    /// The key goes with it: a new account gets a new one.
    pub(super) fn forget_account(&self) -> Result<(), AcmeError> {
        let path = self.0.join(ACCOUNT);
        std::fs::remove_file(&path).map_err(|error| self.fault(&path, error))
    }

    /// `None`: there is none yet. What cannot be used is said in words, and replaced by the next that is obtained.
    pub(super) fn certificate(&self, name: &str) -> Result<Option<Certificate>, String> {
        match secrets::read_private(&self.file_of(name)) {
            Ok(text) => read(&text, name).map(Some),
            Err(SecretsError::Missing(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn keep_certificate(&self, name: &str, pem: &str) -> io::Result<()> {
        replace_private(&self.file_of(name), pem.as_bytes())
    }

    fn file_of(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    #[expect(clippy::unused_self, reason = "what goes wrong here goes wrong with the folder")]
    fn fault(&self, path: &Path, error: io::Error) -> AcmeError {
        AcmeError::Folder { path: path.to_owned(), error }
    }
}

/// Reads a key and the chain that begins with its certificate, which has to be for this name.
pub(super) fn read(pem: &str, name: &str) -> Result<Certificate, String> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| format!("its key: {error}"))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    let first = chain.first().ok_or("there is no certificate in it")?;
    let validity = Validity::of(first).ok_or("it cannot be read")?;
    let for_name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let parsed = ParsedCertificate::try_from(first).map_err(|error| error.to_string())?;
    rustls::client::verify_server_name(&parsed, &for_name).map_err(|error| error.to_string())?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| error.to_string())?;
    Ok(Certificate { key: key.into(), validity })
}

/// A name for the folder of a directory: its URL, without what means something in a path.
fn name_of(directory: &str) -> String {
    let url = directory.strip_prefix("https://").unwrap_or(directory);
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    url.chars().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_authority_has_a_folder_of_its_own() {
        assert_eq!(name_of("https://acme-v02.api.letsencrypt.org/directory"), "acme-v02.api.letsencrypt.org-directory");
        assert_eq!(name_of("https://ca.test:9000/../x"), "ca.test-9000-..-x");
    }
}
