//! Certificates by the names that they are for, found without reading one of them again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

/// Certificates in an order that matters: for a name that several are for, the first is shown.
#[derive(Default)]
pub(in crate::server) struct ByName {
    keys: Vec<Arc<CertifiedKey>>,
    exact: HashMap<Box<str>, usize>,
    /// `example.org` for `*.example.org`.
    below: HashMap<Box<str>, usize>,
}

impl ByName {
    pub(in crate::server) fn new(keys: Vec<Arc<CertifiedKey>>) -> Self {
        let (mut exact, mut below) = (HashMap::new(), HashMap::new());
        for (number, key) in keys.iter().enumerate() {
            for name in names(key) {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut below, parent),
                    None => (&mut exact, name.as_str()),
                };
                names.entry(name.into()).or_insert(number);
            }
        }
        Self { keys, exact, below }
    }

    /// The first that is for this name; a `*` stands for one label.
    pub(in crate::server) fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = lower(name);
        let exact = self.exact.get(&*name);
        let below = name.split_once('.').filter(|(label, _)| !label.is_empty());
        let below = below.and_then(|(_, parent)| self.below.get(parent));
        let first = exact.into_iter().chain(below).min()?;
        self.keys.get(*first)
    }

    pub(in crate::server) fn first(&self) -> Option<&Arc<CertifiedKey>> {
        self.keys.first()
    }

    pub(in crate::server) const fn len(&self) -> usize {
        self.keys.len()
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

/// They only choose what a client is shown: whether that is for the name it asked for is the client's to judge.
fn names(key: &CertifiedKey) -> Vec<String> {
    let certificate = key.end_entity_cert().ok().and_then(|der| webpki::EndEntityCert::try_from(der).ok());
    certificate
        .map_or_else(Vec::new, |certificate| certificate.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::PrivatePkcs8KeyDer;

    use super::*;

    fn key_for(names: &[&str]) -> Arc<CertifiedKey> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Arc::new(CertifiedKey::from_der(vec![certificate.der().clone()], key, &default_provider()).unwrap())
    }

    /// G11: as clients will judge it: a `*` is one label, and the first of several is shown.
    #[test]
    fn a_certificate_is_found_by_each_of_its_names() {
        let keys = vec![
            key_for(&["App.test", "www.app.test"]),
            key_for(&["*.ledger.test"]),
            key_for(&["eu.ledger.test", "app.test"]),
        ];
        let by_name = ByName::new(keys.clone());
        let place = |name| by_name.find(name).map(|found| keys.iter().position(|key| Arc::ptr_eq(key, found)).unwrap());
        assert_eq!(place("app.test"), Some(0));
        assert_eq!(place("WWW.app.test"), Some(0));
        assert_eq!(place("eu.ledger.test"), Some(1), "the first, though another names it exactly");
        for nobodys in ["a.eu.ledger.test", "ledger.test", ".ledger.test", "test", "", "*.ledger.test."] {
            assert_eq!(place(nobodys), None, "{nobodys}");
        }
    }
}
