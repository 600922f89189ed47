//! TLS to clients, by rustls: certificates for several names (G11).
//!
//! ```text
//! files      certificates, keys, authorities and lists of revoked certificates, as they lie on the disk
//! names      which certificate is for which name
//! validity   from when to when it is good
//! clients    what clients have to show
//! ```
//!
//! A set is read whole or not at all. When another takes its place, who is connected keeps the keys of its
//! connection, and who comes next gets the new certificate.

pub(super) mod clients;
pub(super) mod files;
pub(super) mod names;
pub(super) mod validity;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

pub use self::files::TlsError;
use self::names::ByName;
use self::validity::{Age, Validity};
use super::acme::{Obtained, PROOF};
use crate::clock::Timestamp;
use crate::config::settings::TlsSettings;

/// What is spoken over TLS, the better first.
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What TLS is spoken with, as it was when it was read. Cheap to clone.
#[derive(Clone)]
pub struct Certificates {
    config: Arc<ServerConfig>,
    proofs: Option<Arc<ServerConfig>>,
    dated: Arc<[(PathBuf, Validity)]>,
}

impl Certificates {
    /// Reads all files of the settings; what was `obtained` is shown beside them.
    ///
    /// # Errors
    /// At the first that cannot be used.
    pub fn read(settings: &TlsSettings, obtained: &Obtained) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (mut keys, mut dated) = (Vec::new(), Vec::new());
        for files in &settings.certificates {
            let key = files::certified_key(files, &provider)?;
            let validity = key.end_entity_cert().ok().and_then(Validity::of);
            dated.extend(validity.map(|validity| (files.certificate.clone(), validity)));
            keys.push(Arc::new(key));
        }
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites of both versions");
        let builder = match &settings.clients {
            None => versions.with_no_client_auth(),
            Some(clients) => versions.with_client_cert_verifier(clients::verifier(clients, provider)?),
        };
        let shown = Shown { files: ByName::new(keys), obtained: obtained.clone() };
        let mut config = builder.with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        if settings.clients.is_some() {
            // Who resumes a session shows nothing, and may have been revoked since it began.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let proofs = settings.acme.is_some().then(|| Arc::new(proofs(obtained)));
        Ok(Self { config: Arc::new(config), proofs, dated: dated.into() })
    }

    /// With which clients are spoken to.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// With which an ACME server is spoken to that asks for a proof; `None` where nobody expects one.
    pub(super) const fn proofs(&self) -> Option<&Arc<ServerConfig>> {
        self.proofs.as_ref()
    }

    /// Which files cannot be shown at this time, in sentences.
    pub fn out_of_date(&self, now: Timestamp) -> Vec<String> {
        self.dated(now, |age, _| match age {
            Age::Expired => Some("has expired".to_owned()),
            Age::NotYet => Some("is not valid yet".to_owned()),
            Age::Good | Age::Ending => None,
        })
    }

    /// Which files end soon, in sentences.
    pub fn ending(&self, now: Timestamp) -> Vec<String> {
        self.dated(now, |age, until| (age == Age::Ending).then(|| format!("expires at {until}: renew it")))
    }

    fn dated(&self, now: Timestamp, say: impl Fn(Age, Timestamp) -> Option<String>) -> Vec<String> {
        let said = self.dated.iter().filter_map(|(file, validity)| {
            let words = say(validity.age(now), validity.until)?;
            Some(format!("the certificate `{}` {words}", file.display()))
        });
        said.collect()
    }

    /// Says in the metrics when each file expires.
    pub(super) fn meter(&self) {
        for (file, validity) in &*self.dated {
            meter_expiry(file.display().to_string(), validity.until);
        }
    }
}

/// Clients that ask for a proof are no clients: they show no certificate, and are shown none but the proof (RFC 8737).
fn proofs(obtained: &Obtained) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has suites of both versions");
    let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::new(obtained.proofs()));
    config.alpn_protocols = vec![PROOF.to_vec()];
    config
}

/// What clients are shown: files first, then what was obtained.
struct Shown {
    files: ByName,
    obtained: Obtained,
}

/// By the name that the client asks for; where none fits, or it asks for none, the first.
impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let obtained = self.obtained.certificates();
        let fitting = hello.server_name().and_then(|name| self.files.find(name).or_else(|| obtained.find(name)));
        fitting.or_else(|| self.files.first()).or_else(|| obtained.first()).cloned()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.dated.len()).finish_non_exhaustive()
    }
}

/// Says in the metrics when a certificate expires.
pub(super) fn meter_expiry(certificate: String, until: Timestamp) {
    #[expect(clippy::cast_precision_loss, reason = "a time in seconds has few digits beside what a float holds")]
    let seconds = (until.as_millis() / 1000) as f64;
    metrics::gauge!("locum_certificate_expiry_timestamp_seconds", "certificate" => certificate).set(seconds);
}
