//! From when to when a certificate is good.

use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};

use crate::clock::Timestamp;

/// Who renews by hand has to be told so long before the end, or
const WARNED_BEFORE: Duration = Duration::from_hours(14 * 24);
/// such a part of the whole life, where that is shorter.
const WARNED_PART: u32 = 6;

/// The life of a certificate, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Validity {
    pub(in crate::server) from: Timestamp,
    pub(in crate::server) until: Timestamp,
}

/// Where in its life a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Age {
    NotYet,
    Good,
    /// It ends soon.
    Ending,
    Expired,
}

impl Validity {
    /// `None` where the certificate cannot be read.
    pub(in crate::server) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        // The dates are the first that is verified, so it does not matter that nobody here signs it; and who is
        // asked about the two ends of time is told what they are.
        let at = |seconds| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
            let nobody = RootCertStore::empty();
            match verify_server_cert_signed_by_trust_anchor(&certificate, &nobody, &[], time, algorithms.all) {
                Err(rustls::Error::InvalidCertificate(error)) => Some(error),
                _ => None,
            }
        };
        let until = match at(u64::MAX)? {
            CertificateError::ExpiredContext { not_after, .. } => timestamp(not_after),
            _ => return None,
        };
        let from = match at(0) {
            Some(CertificateError::NotValidYetContext { not_before, .. }) => timestamp(not_before),
            _ => Timestamp::from_millis(0),
        };
        Some(Self { from, until })
    }

    pub(in crate::server) fn age(self, now: Timestamp) -> Age {
        let warned_before = WARNED_BEFORE.min(self.until.since(self.from) / WARNED_PART);
        if now > self.until {
            Age::Expired
        } else if now < self.from {
            Age::NotYet
        } else if self.until.since(now) < warned_before {
            Age::Ending
        } else {
            Age::Good
        }
    }
}

fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp::from_millis(0).plus(Duration::from_secs(time.as_secs()))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// G11: the dates are those that the certificate says, and its end is announced.
    #[test]
    fn a_certificate_has_an_age() {
        let mut params = CertificateParams::new(vec!["app.test".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 4, 1));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let validity = Validity::of(certificate.der()).unwrap();
        let at = |text| validity.age(Timestamp::parse(text).unwrap());
        assert_eq!(validity.until, Timestamp::parse("2026-04-01T00:00:00Z").unwrap());
        assert_eq!(at("2025-12-31T23:59:59Z"), Age::NotYet);
        assert_eq!(at("2026-01-01T00:00:00Z"), Age::Good);
        assert_eq!(at("2026-03-17T00:00:00Z"), Age::Good);
        assert_eq!(at("2026-03-19T00:00:00Z"), Age::Ending);
        assert_eq!(at("2026-04-01T00:00:01Z"), Age::Expired);
    }
}
