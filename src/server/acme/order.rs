//! One certificate: the order, the proof, the key and what is made of them.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::obtained::{Certificate, Obtained, Proving};
use super::{AcmeError, folder, is, renewal_info};
use crate::clock::Clock;
use crate::server::tls::validity::Age;

/// How long the authority may take to look at the proof, and again to sign. It is asked more and more rarely, and given up
/// before a pause that would be too long: twice as long each time, that would be after a quarter of the minute.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_mins(1)).backoff(1.2);

/// The authority's clock may be so much ahead of ours: what it signs now begins later here.
const SKEW: Duration = Duration::from_mins(1);

/// A certificate, and what of it is kept.
pub(super) struct Made {
    pub(super) certificate: Certificate,
    pub(super) pem: Zeroizing<String>,
}

/// In the place of the one that is shown now.
pub(super) async fn certificate(
    account: &Account,
    obtained: &Obtained,
    name: &str,
    clock: &dyn Clock,
) -> Result<Made, AcmeError> {
    let shown = obtained.certificate(name);
    let replaced = shown.and_then(|shown| renewal_info::identifier(shown.key.cert.first()?));
    let mut order = ordered(account, name, replaced).await?;
    let proving = prove(&mut order, obtained, name).await?;
    if proving.is_some() || order.state().status == OrderStatus::Pending {
        let polled = order.poll_ready(&PATIENCE).await;
        if !matches!(polled, Ok(OrderStatus::Ready)) {
            return Err(match (why_not_proven(&mut order).await, polled) {
                (Some(why), _) => AcmeError::NotProven(why),
                (None, Err(error)) => error.into(),
                (None, Ok(_)) => AcmeError::NotProven("the ACME server does not say why".to_owned()),
            });
        }
    }
    drop(proving);

    let key = KeyPair::generate()?;
    let mut request = CertificateParams::new(vec![name.to_owned()])?;
    request.distinguished_name = DistinguishedName::new();
    order.finalize_csr(request.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;

    let key = Zeroizing::new(key.serialize_pem());
    let pem = Zeroizing::new(format!("{}{chain}", *key));
    let certificate = folder::read(&pem, name).map_err(AcmeError::Certificate)?;
    let now = clock.now();
    if certificate.validity.age(now) == Age::Expired {
        return Err(AcmeError::Certificate("it has expired".to_owned()));
    }
    if certificate.validity.age(now.plus(SKEW)) == Age::NotYet {
        return Err(AcmeError::Certificate("it is not valid yet: is the clock right?".to_owned()));
    }
    Ok(Made { certificate, pem })
}

/// Says which certificate the new one replaces (RFC 9773 §5): authorities let that pass where they limit how often they sign.
async fn ordered(
    account: &Account,
    name: &str,
    replaced: Option<CertificateIdentifier<'static>>,
) -> Result<Order, Error> {
    let identifiers = [Identifier::Dns(name.to_owned())];
    let order = NewOrder::new(&identifiers);
    let Some(replaced) = replaced else { return account.new_order(&order).await };
    match account.new_order(&order.replaces(replaced)).await {
        Err(Error::Api(problem)) if is(&problem, "accountDoesNotExist") || is(&problem, "rateLimited") => {
            Err(Error::Api(problem))
        }
        Err(error) => {
            // It knows of no such thing, or not of this certificate: what counts is that there is another.
            tracing::debug!(name, %error, "the order does not say which certificate it replaces");
            account.new_order(&NewOrder::new(&identifiers)).await
        }
        ordered => ordered,
    }
}

/// Shows the proof where one is asked for, and says that it can be looked at. `None` where the authority remembers an
/// earlier proof.
async fn prove(order: &mut Order, obtained: &Obtained, name: &str) -> Result<Option<Proving>, AcmeError> {
    let mut authorizations = order.authorizations();
    let mut proving = None;
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization.challenge(ChallengeType::TlsAlpn01).ok_or(AcmeError::NoChallenge)?;
        let proof = proof(name, challenge.key_authorization().digest().as_ref())?;
        proving = Some(obtained.prove(name, proof));
        challenge.set_ready().await?;
    }
    Ok(proving)
}

/// A certificate that nobody signs, for the name, with the digest of what only this account can know (RFC 8737 §3).
fn proof(name: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| AcmeError::Certificate(error.to_string()))?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// What the authority says about the challenge, which is more than it says about the order.
async fn why_not_proven(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return Some(problem.to_string());
        }
    }
    None
}
