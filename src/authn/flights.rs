//! Judgements under way, so that identical good credentials share one.
//!
//! The first with a digest leads; those that come while it is judged wait for it. What it proves is
//! theirs too, if it holds for them. What it does not prove they have to find out by themselves: every
//! refused attempt is an attempt of its own, and is counted as one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::digest::Digest;
use super::proven::Proven;

type Landing = watch::Receiver<Option<Arc<Proven>>>;

/// The register of what is being judged.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Digest, Landing>>);

/// The part that somebody has in a judgement.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Leads(Lead<'a>),
    Waits(Wait),
}

impl Flights {
    pub(super) fn join(&self, digest: Digest) -> Part<'_> {
        let mut under_way = self.under_way();
        if let Some(landing) = under_way.get(&digest) {
            return Part::Waits(Wait(landing.clone()));
        }
        let (land, landing) = watch::channel(None);
        under_way.insert(digest, landing);
        Part::Leads(Lead { flights: self, digest, land })
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Digest, Landing>> {
        // Nothing that runs under this lock leaves a half-done change behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the one who judges for all; dropping it sends the others off to judge for themselves.
#[derive(Debug)]
pub(super) struct Lead<'a> {
    flights: &'a Flights,
    digest: Digest,
    land: watch::Sender<Option<Arc<Proven>>>,
}

impl Lead<'_> {
    /// Shares what was proven.
    pub(super) fn share(&self, proven: &Arc<Proven>) {
        self.land.send_replace(Some(Arc::clone(proven)));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.flights.under_way().remove(&self.digest);
    }
}

/// Held by those who wait.
#[derive(Debug)]
pub(super) struct Wait(Landing);

impl Wait {
    /// What the leader proved; nothing when it proved nothing.
    pub(super) async fn proven(mut self) -> Option<Arc<Proven>> {
        match self.0.wait_for(Option::is_some).await {
            Ok(proven) => proven.clone(),
            Err(_nothing_was_proven) => None,
        }
    }
}
