//! When the authority would have a certificate renewed (ACME renewal information, RFC 9773). It says so before it revokes
//! many at once, and spreads all others over time.

use std::time::Duration;

use instant_acme::{Account, CertificateIdentifier, Error};
use rustls::pki_types::{CertificateDer, Der};
use yasna::models::TaggedDerValue;
use yasna::tags::TAG_BOOLEAN;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag};

use super::schedule::Window;
use crate::clock::Timestamp;

/// `id-ce-authorityKeyIdentifier` (RFC 5280 §4.2.1.1).
const AUTHORITY_KEY: [u64; 4] = [2, 5, 29, 35];

/// What the authority says about one certificate.
pub(super) struct Suggestion {
    pub(super) window: Window,
    /// When it may be asked again.
    pub(super) again: Duration,
    /// A page that says why.
    pub(super) explanation: Option<String>,
}

pub(super) async fn suggestion(
    account: &Account,
    certificate: &CertificateIdentifier<'_>,
) -> Result<Suggestion, Error> {
    let (info, again) = account.renewal_info(certificate).await?;
    let window = &info.suggested_window;
    let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    let window = Window::new(at(window.start.unix_timestamp()), at(window.end.unix_timestamp()));
    let window = window.ok_or(Error::Str("a window that ends after it begins"))?;
    Ok(Suggestion { window, again, explanation: info.explanation_url })
}

/// The name by which the authority knows a certificate (RFC 9773 §4.1). `None` where the certificate does not say whose
/// key signed it.
pub(super) fn identifier(certificate: &CertificateDer<'_>) -> Option<CertificateIdentifier<'static>> {
    let (serial, key) = yasna::parse_der(certificate, serial_and_key).ok()?;
    Some(CertificateIdentifier::new(Der::from_slice(&key?), Der::from_slice(&serial)).into_owned())
}

/// The serial number, as it is encoded, and the identifier of the authority's key.
fn serial_and_key(reader: BERReader<'_, '_>) -> ASN1Result<(Vec<u8>, Option<Vec<u8>>)> {
    reader.read_sequence(|certificate| {
        let found = certificate.next().read_sequence(|fields| {
            let version = fields.next().read_tagged_der()?;
            let serial = if version.tag() == Tag::context(0) { fields.next().read_tagged_der()? } else { version };
            let mut key = None;
            while let Some(field) = next_of(fields)? {
                if field.tag() == Tag::context(3) {
                    key = yasna::parse_der(field.value(), authority_key)?;
                }
            }
            Ok((serial.value().to_vec(), key))
        })?;
        let (_algorithm, _signature) = (next_of(certificate)?, next_of(certificate)?);
        Ok(found)
    })
}

fn authority_key(extensions: BERReader<'_, '_>) -> ASN1Result<Option<Vec<u8>>> {
    let mut key = None;
    extensions.read_sequence_of(|extension| {
        extension.read_sequence(|fields| {
            let id = fields.next().read_oid()?;
            let critical = fields.next().read_tagged_der()?;
            let value = if critical.tag() == TAG_BOOLEAN { fields.next().read_tagged_der()? } else { critical };
            if id.components().as_slice() == AUTHORITY_KEY {
                key = yasna::parse_der(value.value(), key_identifier)?;
            }
            Ok(())
        })
    })?;
    Ok(key)
}

/// One of its fields; others name the authority in another way.
fn key_identifier(reader: BERReader<'_, '_>) -> ASN1Result<Option<Vec<u8>>> {
    reader.read_sequence(|fields| {
        let mut key = None;
        while let Some(field) = next_of(fields)? {
            if field.tag() == Tag::context(0) {
                key = Some(field.value().to_vec());
            }
        }
        Ok(key)
    })
}

#[expect(clippy::redundant_closure_for_method_calls, reason = "the method itself is not for readers of every lifetime")]
fn next_of(fields: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Option<TaggedDerValue>> {
    fields.read_optional(|field| field.read_tagged_der())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};

    use super::*;

    /// G11: the example of RFC 9773 §4.1.
    #[test]
    fn a_certificate_is_named_by_its_authoritys_key_and_its_number() {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.key_identifier_method = KeyIdMethod::PreSpecified(
            b"\x69\x88\x5b\x6b\x87\x46\x40\x41\xe1\xb3\x7b\x84\x7b\xa0\xae\x2c\xde\x01\xc8\xd4".to_vec(),
        );
        let authority = Issuer::new(authority, KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(b"\x87\x65\x43\x21"));
        let key = KeyPair::generate().unwrap();
        let without = params.signed_by(&key, &authority).unwrap();
        assert_eq!(identifier(without.der()), None);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &authority).unwrap();
        assert_eq!(identifier(certificate.der()).unwrap().to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        assert_eq!(identifier(&CertificateDer::from(&certificate.der()[..100])), None);
    }
}
