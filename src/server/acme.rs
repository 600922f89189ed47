//! Certificates from an authority that speaks ACME (RFC 8555), obtained and renewed while the gate serves (G11).
//!
//! ```text
//! obtained   what is shown to clients, and to an authority that asks for a proof
//! folder     the account and the certificates, as they outlast the process
//! schedule   when to renew, and how long to wait after a failure
//! order      one certificate: order, proof, key, certificate
//! https      how the authority is spoken to
//! ```
//!
//! Each name has a certificate of its own, so that one whose proof fails keeps no other waiting. The proof is
//! `tls-alpn-01` (RFC 8737): it is given in the handshake on the gate's own port, and nothing else has to be open.
//! Nothing that happens here ends the gate: a certificate that cannot be renewed is shown until it can.

mod folder;
mod https;
mod obtained;
mod order;
mod schedule;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, NewAccount};

use self::folder::Folder;
use self::https::Https;
use self::obtained::Certificate;
pub use self::obtained::Obtained;
use self::schedule::{Chance, pause, renewal};
use super::house;
use super::tls::validity::Age;
use super::tls::{TlsError, meter_expiry};
use crate::clock::{Clock, Timestamp};
use crate::config::settings::AcmeSettings;

/// The protocol that is agreed on to see a proof.
pub(super) const PROOF: &[u8] = b"acme-tls/1";

/// One name after the other gets so long; a slow authority is asked again later.
const ATTEMPT: Duration = Duration::from_mins(3);
/// The clock is looked at so often: it may be set, and machines sleep.
const LOOK: Duration = Duration::from_mins(30);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error(transparent)]
    Authorities(#[from] TlsError),
    #[error("this machine trusts no authority: name that of the ACME server by `server.acme.ca_file`")]
    NoAuthorities,
    #[error("`{}` cannot be used: {error}", path.display())]
    Folder { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Acme(#[from] instant_acme::Error),
    #[error("the ACME server offers no challenge `tls-alpn-01`")]
    NoChallenge,
    #[error("the proof was not accepted: {0}")]
    NotProven(String),
    #[error("the ACME server sent what is no certificate for this name: {0}")]
    Certificate(String),
    #[error("a key or a request could not be made: {0}")]
    Made(#[from] rcgen::Error),
    #[error("it took longer than {} s", ATTEMPT.as_secs())]
    Timeout,
}

/// Who obtains and renews.
pub struct Acme {
    settings: AcmeSettings,
    folder: Folder,
    https: Https,
    account: Option<Account>,
    obtained: Obtained,
    clock: Arc<dyn Clock>,
}

/// What is to be done for one name.
struct Plan {
    name: String,
    due: Timestamp,
    failures: u32,
}

impl Acme {
    /// Takes up what an earlier process obtained; blocks, and asks nobody.
    ///
    /// # Errors
    /// When the folder or the authorities cannot be used.
    pub fn open(settings: AcmeSettings, obtained: &Obtained, clock: Arc<dyn Clock>) -> Result<Self, AcmeError> {
        let https = Https::new(settings.authorities.as_deref())?;
        let folder = Folder::open(&settings.folder, &settings.directory)?;
        for name in &settings.names {
            match folder.certificate(name) {
                Ok(None) => tracing::warn!(
                    name,
                    "there is no certificate for this name yet: until there is, handshakes for it get another or fail"
                ),
                Ok(Some(certificate)) => {
                    meter_expiry(name.clone(), certificate.validity.until);
                    if certificate.validity.age(clock.now()) == Age::Expired {
                        tracing::warn!(name, "the certificate has expired");
                    }
                    obtained.put(name, certificate);
                }
                Err(why) => tracing::warn!(name, why, "the certificate that was kept is not used: another is obtained"),
            }
        }
        Ok(Self { settings, folder, https, account: None, obtained: obtained.clone(), clock })
    }

    /// Obtains what is missing and renews what ends, for ever.
    pub async fn run(mut self) {
        let names = self.settings.names.clone();
        let mut plans: Vec<Plan> = names.into_iter().map(|name| self.plan(name)).collect();
        loop {
            for plan in &mut plans {
                if plan.due <= self.clock.now() {
                    self.attempt(plan).await;
                }
            }
            let Some(due) = plans.iter().map(|plan| plan.due).min() else { return };
            tokio::time::sleep(due.since(self.clock.now()).min(LOOK)).await;
        }
    }

    fn plan(&self, name: String) -> Plan {
        let due = match self.obtained.validity(&name) {
            Some(validity) => renewal(validity, chance()),
            None => self.clock.now(),
        };
        Plan { name, due, failures: 0 }
    }

    async fn attempt(&mut self, plan: &mut Plan) {
        let name = &plan.name;
        let obtained = match tokio::time::timeout(ATTEMPT, self.obtain(name)).await {
            Ok(obtained) => obtained,
            Err(_) => Err(AcmeError::Timeout),
        };
        match obtained {
            Ok(certificate) => {
                let validity = certificate.validity;
                self.obtained.put(name, certificate);
                meter_expiry(name.clone(), validity.until);
                metrics::counter!("locum_acme_attempts_total", "outcome" => "obtained").increment(1);
                tracing::info!(name, expires = %validity.until, "a certificate was obtained: new connections are shown it");
                *plan = Plan { name: name.clone(), due: renewal(validity, chance()), failures: 0 };
            }
            Err(error) => {
                metrics::counter!("locum_acme_attempts_total", "outcome" => "failed").increment(1);
                plan.failures = plan.failures.saturating_add(1);
                let pause = pause(plan.failures, chance());
                plan.due = self.clock.now().plus(pause);
                let held = self.obtained.validity(name).map(|validity| validity.age(self.clock.now()));
                let shown = match held {
                    None => "there is none yet",
                    Some(Age::Expired) => "the one that is shown has expired",
                    Some(Age::Ending) => "the one that is shown expires soon",
                    Some(Age::Good | Age::NotYet) => "the one that is shown stays",
                };
                tracing::warn!(name, %error, next_in_s = pause.as_secs(), "a certificate could not be obtained: {shown}");
            }
        }
    }

    async fn obtain(&mut self, name: &str) -> Result<Certificate, AcmeError> {
        let account = self.account().await?;
        let made = match order::certificate(&account, &self.obtained, name, &*self.clock).await {
            Err(AcmeError::Acme(instant_acme::Error::Api(problem))) if is_gone(&problem) => {
                // The server has forgotten the account, as one that was set up anew does.
                self.account = None;
                self.folder.forget_account()?;
                return Err(instant_acme::Error::Api(problem).into());
            }
            made => made?,
        };
        if let Err(error) = self.folder.keep_certificate(name, &made.pem) {
            // It is good until the process ends, and asking for another would change nothing.
            tracing::error!(name, %error, "the certificate was obtained, but cannot be kept: the next start needs another");
        }
        Ok(made.certificate)
    }

    async fn account(&mut self) -> Result<Account, AcmeError> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let builder = Account::builder_with_http(Box::new(self.https.clone()));
        let account = if let Some(credentials) = self.folder.account()? {
            builder.from_credentials(credentials).await?
        } else {
            let contact: Vec<&str> = self.settings.contact.iter().map(String::as_str).collect();
            // To configure an authority is to agree to its terms, which the reference says.
            let account = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
            let (account, credentials) = builder.create(&account, self.settings.directory.clone(), None).await?;
            self.folder.keep_account(&credentials)?;
            account
        };
        self.account = Some(account.clone());
        Ok(account)
    }
}

fn is_gone(problem: &instant_acme::Problem) -> bool {
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

/// Checks what [`Acme::open`] would find, and changes nothing.
///
/// # Errors
/// When the authorities cannot be used.
pub fn check(settings: &AcmeSettings) -> Result<(), AcmeError> {
    Https::new(settings.authorities.as_deref()).map(drop)
}

fn chance() -> Chance {
    let mut byte = [0];
    house::random(&mut byte);
    Chance(byte[0])
}

impl std::fmt::Debug for Acme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acme").field("settings", &self.settings).finish_non_exhaustive()
    }
}
