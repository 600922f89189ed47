//! What was obtained, as handshakes find it.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::server::tls::names::ByName;
use crate::server::tls::validity::Validity;

/// A certificate, its key and its life.
#[derive(Clone)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) validity: Validity,
}

/// The certificates that were obtained, and the proofs that are being asked for. A handle: clones share it.
#[derive(Clone, Default)]
pub struct Obtained(Arc<Register>);

#[derive(Default)]
struct Register {
    /// What is in force, by the name that it was obtained for.
    by_plan: Mutex<BTreeMap<String, Certificate>>,
    /// The same, as handshakes read it.
    shown: ArcSwap<ByName>,
    proofs: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Obtained {
    /// For handshakes.
    pub(in crate::server) fn certificates(&self) -> arc_swap::Guard<Arc<ByName>> {
        self.0.shown.load()
    }

    /// Shows it from the next handshake on.
    pub(super) fn put(&self, name: &str, certificate: Certificate) {
        let mut by_plan = locked(&self.0.by_plan);
        by_plan.insert(name.to_owned(), certificate);
        let keys = by_plan.values().map(|certificate| Arc::clone(&certificate.key)).collect();
        self.0.shown.store(Arc::new(ByName::new(keys)));
    }

    pub(super) fn certificate(&self, name: &str) -> Option<Certificate> {
        locked(&self.0.by_plan).get(name).cloned()
    }

    /// Shows a proof to who asks for one, until what is returned is dropped.
    pub(super) fn prove(&self, name: &str, proof: CertifiedKey) -> Proving {
        locked(&self.0.proofs).insert(name.to_owned(), Arc::new(proof));
        Proving { register: Arc::clone(&self.0), name: name.to_owned() }
    }

    /// Finds proofs.
    pub(in crate::server) fn proofs(&self) -> Proofs {
        Proofs(Arc::clone(&self.0))
    }
}

/// While it is held, the proof for one name is shown.
pub(super) struct Proving {
    register: Arc<Register>,
    name: String,
}

impl Drop for Proving {
    fn drop(&mut self) {
        locked(&self.register.proofs).remove(&self.name);
    }
}

/// What an authority is shown that asks for a proof: that, or nothing.
pub(in crate::server) struct Proofs(Arc<Register>);

impl ResolvesServerCert for Proofs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        locked(&self.0.proofs).get(&name).cloned()
    }
}

/// Nothing under these locks can leave half of a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proofs(..)")
    }
}

impl fmt::Debug for Obtained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = locked(&self.0.by_plan).keys().cloned().collect();
        f.debug_struct("Obtained").field("names", &names).finish_non_exhaustive()
    }
}
