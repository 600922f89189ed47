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

#[cfg(test)]
mod tests {
    use super::super::digest::DigestKey;
    use super::super::presented::{Accepts, Presentation, present};
    use super::super::proven::LastUsed;
    use super::*;
    use crate::clock::Timestamp;
    use crate::cluster::{Stamp, Subjects};
    use crate::directory::{AccountId, Kind, Life, Networks, Restrictions, Token, TokenKind, Username};

    fn digest() -> Digest {
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, format!("Bearer {}", token.expose()).parse().unwrap());
        let accepts = Accepts::default();
        let Presentation::Claimed { presented, .. } = present(&headers, &accepts, "") else { panic!() };
        DigestKey::generate(&mut |bytes| bytes.fill(1)).digest(&presented).unwrap()
    }

    fn proven() -> Arc<Proven> {
        let token = Token::generate(TokenKind::PersonalAccess, "", |pool| pool.fill(9));
        let (account, now) = (AccountId::from_bytes([1; 16]), Timestamp::from_millis(0));
        Arc::new(Proven {
            account,
            username: Username::parse("billing").unwrap(),
            kind: Kind::Proxy { owner: AccountId::from_bytes([2; 16]) },
            owner: None,
            life: Life::FIRST,
            networks: Networks::ANY,
            pat: token.public_id(),
            service: "nightly export".to_owned(),
            expires_at: now,
            restrictions: Restrictions::default(),
            stamp: Stamp::take(&Subjects::new(), account, None),
            last_used: LastUsed::at(now),
        })
    }

    #[tokio::test]
    async fn those_who_wait_share_what_the_leader_proves() {
        let flights = Flights::default();
        let Part::Leads(lead) = flights.join(digest()) else { panic!("nobody was there before") };
        let (Part::Waits(one), Part::Waits(two)) = (flights.join(digest()), flights.join(digest())) else {
            panic!("one judges already")
        };
        let proven = proven();
        lead.share(&proven);
        drop(lead);
        assert!(Arc::ptr_eq(&one.proven().await.unwrap(), &proven));
        assert!(Arc::ptr_eq(&two.proven().await.unwrap(), &proven));
        assert!(matches!(flights.join(digest()), Part::Leads(_)), "nothing is under way any more");
    }

    /// L2: each refused attempt is one of its own.
    #[tokio::test]
    async fn those_who_wait_for_nothing_judge_for_themselves() {
        let flights = Flights::default();
        let Part::Leads(lead) = flights.join(digest()) else { panic!("nobody was there before") };
        let Part::Waits(wait) = flights.join(digest()) else { panic!("one judges already") };
        drop(lead);
        assert!(wait.proven().await.is_none());
    }
}
