//! Certificates from an authority that speaks ACME (RFC 8555), obtained and renewed while the gate serves (G11).
//!
//! ```text
//! obtained       what is shown to clients, and to an authority that asks for a proof
//! folder         the account and the certificates, as they outlast the process
//! schedule       when to renew, and how long to wait after a failure
//! renewal_info   when the authority would have a certificate renewed
//! order          one certificate: order, proof, key, certificate
//! https          how the authority is spoken to
//! binding        whose customer the gate is, where the authority asks for that
//! ```
//!
//! Each name has a certificate of its own, so that one whose proof fails keeps no other waiting. The proof is
//! `tls-alpn-01` (RFC 8737): it is given in the handshake on the gate's own port, and nothing else has to be open.
//! Nothing that happens here ends the gate: a certificate that cannot be renewed is shown until it can.

mod binding;
mod folder;
mod https;
mod obtained;
mod order;
mod renewal_info;
mod schedule;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, NewAccount};

use self::binding::Binding;
use self::folder::Folder;
use self::https::Https;
use self::obtained::Certificate;
pub use self::obtained::Obtained;
use self::renewal_info::Suggestion;
use self::schedule::{Chance, Plan};
use super::house;
use super::tls::validity::Age;
use super::tls::{TlsError, meter_expiry};
use crate::clock::Clock;
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
    File(#[from] TlsError),
    #[error("this machine trusts no authority: name that of the ACME server by `server.acme.ca_file`")]
    NoAuthorities,
    #[error("`{}` cannot be used: {error}", path.display())]
    Folder { path: PathBuf, error: std::io::Error },
    #[error(
        "`{}` holds no MAC key: it is what the authority gave with the key identifier, in base64url, 16 bytes or more, and nothing else",
        .0.display()
    )]
    NoBindingKey(PathBuf),
    #[error(
        "the ACME server signs only for its customers: give `server.acme.eab_key_id` and `eab_mac_key_file`. It says: {0}"
    )]
    BindingRequired(instant_acme::Problem),
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
    binding: Option<Binding>,
    account: Option<Account>,
    obtained: Obtained,
    clock: Arc<dyn Clock>,
}

impl Acme {
    /// Takes up what an earlier process obtained; blocks, and asks nobody.
    ///
    /// # Errors
    /// When the folder, the authorities or the key of the binding cannot be used.
    pub fn open(settings: AcmeSettings, obtained: &Obtained, clock: Arc<dyn Clock>) -> Result<Self, AcmeError> {
        let https = Https::new(settings.authorities.as_deref())?;
        let binding = settings.binding.as_ref().map(Binding::read).transpose()?;
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
        Ok(Self { settings, folder, https, binding, account: None, obtained: obtained.clone(), clock })
    }

    /// Obtains what is missing and renews what ends, for ever.
    pub async fn run(mut self) {
        let names = self.settings.names.clone();
        let held = |name: &str| Some(self.obtained.certificate(name)?.validity);
        let plans = names.into_iter().map(|name| Plan::new(name.clone(), held(&name), self.clock.now(), chance()));
        let mut plans: Vec<Plan> = plans.collect();
        loop {
            for plan in &mut plans {
                if plan.asks <= self.clock.now() {
                    self.ask(plan).await;
                }
                if plan.due <= self.clock.now() {
                    self.attempt(plan).await;
                }
            }
            let Some(next) = plans.iter().map(|plan| plan.due.min(plan.asks)).min() else { return };
            tokio::time::sleep(next.since(self.clock.now()).min(LOOK)).await;
        }
    }

    /// Asks the authority when it would have the certificate renewed. One that does not say so is no fault.
    async fn ask(&mut self, plan: &mut Plan) {
        let held = self.obtained.certificate(&plan.name);
        let identified = held.and_then(|held| Some((renewal_info::identifier(held.key.cert.first()?)?, held.validity)));
        let Some((certificate, validity)) = identified else { return plan.asks_tomorrow(self.clock.now()) };
        let suggestion = async { Ok(renewal_info::suggestion(&self.account().await?, &certificate).await?) };
        let suggestion: Result<_, AcmeError> = suggestion.await;
        let (name, now) = (plan.name.clone(), self.clock.now());
        match suggestion {
            Ok(Suggestion { window, again, explanation }) => {
                if plan.heard(window, again, validity, now) {
                    let (from, until, due) = (window.start, window.end, plan.due);
                    tracing::info!(name, %from, %until, %due, explanation, "the ACME server says when to renew the certificate");
                }
            }
            Err(AcmeError::Acme(instant_acme::Error::Unsupported(_))) => plan.asks_tomorrow(now),
            Err(error) => {
                plan.unheard(now, chance());
                tracing::debug!(name, %error, "the ACME server does not say when to renew the certificate");
            }
        }
    }

    async fn attempt(&mut self, plan: &mut Plan) {
        let name = plan.name.clone();
        let obtained = match tokio::time::timeout(ATTEMPT, self.obtain(&name)).await {
            Ok(obtained) => obtained,
            Err(_) => Err(AcmeError::Timeout),
        };
        let now = self.clock.now();
        match obtained {
            Ok(certificate) => {
                let validity = certificate.validity;
                self.obtained.put(&name, certificate);
                meter_expiry(name.clone(), validity.until);
                metrics::counter!("locum_acme_attempts_total", "outcome" => "obtained").increment(1);
                tracing::info!(name, expires = %validity.until, "a certificate was obtained: new connections are shown it");
                plan.obtained(validity, now, chance());
            }
            Err(error) => {
                metrics::counter!("locum_acme_attempts_total", "outcome" => "failed").increment(1);
                let pause = plan.failed(now, chance());
                let shown = match self.obtained.certificate(&name).map(|held| held.validity.age(now)) {
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
            Err(AcmeError::Acme(instant_acme::Error::Api(problem))) if is(&problem, "accountDoesNotExist") => {
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
            let binding = self.binding.as_ref().map(Binding::key);
            let made = builder.create(&account, self.settings.directory.clone(), binding.as_ref()).await;
            let (account, credentials) = made.map_err(not_made)?;
            self.folder.keep_account(&credentials)?;
            account
        };
        self.account = Some(account.clone());
        Ok(account)
    }
}

/// Whether it is one of the errors that RFC 8555 §6.7 names.
fn is(problem: &instant_acme::Problem, error: &str) -> bool {
    problem.r#type.as_deref().and_then(|kind| kind.strip_prefix("urn:ietf:params:acme:error:")) == Some(error)
}

fn not_made(error: instant_acme::Error) -> AcmeError {
    match error {
        instant_acme::Error::Api(problem) if is(&problem, "externalAccountRequired") => {
            AcmeError::BindingRequired(problem)
        }
        other => other.into(),
    }
}

/// Checks what [`Acme::open`] would find, and changes nothing.
///
/// # Errors
/// When the authorities or the key of the binding cannot be used.
pub fn check(settings: &AcmeSettings) -> Result<(), AcmeError> {
    Https::new(settings.authorities.as_deref())?;
    settings.binding.as_ref().map(Binding::read).transpose().map(drop)
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
