//! The control side of authentication: one look-up, one HMAC, one step of the counter, the same work for
//! every class of refusal (L4, decision 21).
//!
//! Tokens carry 238 random bits, so a credential is verified first and failures are counted after;
//! nothing is reserved, and a good credential is never held up by a bad one. Locum's own errors (no
//! store, no counter, a missing pepper) are no attempts: they answer `Unavailable` and charge nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::authenticator::Parts;
use super::digest::Digest;
use super::flights::{Flights, Part};
use super::handle::{Question, Shared};
use super::journal::{Journal, Note};
use super::judgement::{Case, Charged, Judgement, Refusal};
use super::presented::Presented;
use super::proven::{LastUsed, Proven};
use super::verdict::{RefusalReason, Source, Verdict};
use crate::clock::Timestamp;
use crate::cluster::{Stamp, Unavailable};
use crate::directory::lockout::{Attempt, AttemptId, Counted, Reset};
use crate::directory::pepper::{PepperVersion, TokenHash};
use crate::directory::{PublicId, Token, TokenKind, Username};
use crate::store::{KeptPat, LookUp, StoreError};

/// How often a judgement begins anew because something changed while it read.
const READINGS: u32 = 4;

/// Judges credentials.
#[derive(Debug)]
pub(super) struct Judge {
    shared: Arc<Shared>,
    parts: Parts,
    /// Hashed where there is nothing to hash, so that the work is the same.
    dummy: Token,
    attempts: Attempts,
    flights: Flights,
    journal: Journal,
}

/// Why there is no verdict. Never the client's fault.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Counts(#[from] Unavailable),
    #[error("pepper version {version} is not in the pepper file, and token `{pat}` was hashed under it: put it back")]
    Pepper { version: u32, pat: String },
    #[error("the account changed {READINGS} times while it was read")]
    Changing,
}

impl Judge {
    pub(super) fn new(shared: Arc<Shared>, parts: Parts, journal: Journal, random: &mut dyn FnMut(&mut [u8])) -> Self {
        let dummy = Token::generate(TokenKind::PersonalAccess, &shared.settings.token_prefix, &mut *random);
        let mut process = [0; 8];
        random(&mut process);
        let attempts = Attempts { process: u64::from_le_bytes(process), next: AtomicU64::new(0) };
        Self { shared, parts, dummy, attempts, flights: Flights::default(), journal }
    }

    /// How many are judged at the same time.
    pub(super) fn parallel(&self) -> usize {
        self.shared.settings.parallel
    }

    /// Judges, answers, and then does what the answer need not wait for.
    pub(super) async fn answer(&self, question: Question) {
        let Question { presented, digest, source, answer } = question;
        let mut after = Aftermath::default();
        let verdict = self.verdict(&presented, digest, source, &mut after).await;
        let verdict = verdict.unwrap_or_else(|failure| {
            tracing::error!(error = %failure, "a credential could not be judged");
            metrics::counter!("locum_judgements_unavailable_total", "why" => "failure").increment(1);
            Verdict::Unavailable
        });
        // Whoever asked may have gone; what was counted stays counted.
        let _nobody_listens = answer.send(verdict);
        for note in after.notes {
            self.journal.note(note).await;
        }
        if let Some(Rehash { pat, from, to, hash }) = after.rehash
            && let Err(error) = self.parts.store.bookkeeping().rehash(pat, from, to, hash).await
        {
            tracing::warn!(%error, %pat, "a token stays under an old pepper until it is used again");
        }
    }

    async fn verdict(
        &self,
        presented: &Presented,
        digest: Option<Digest>,
        source: Source,
        after: &mut Aftermath,
    ) -> Result<Verdict, Failure> {
        if self.parts.lockout.is_closed() {
            return Ok(Verdict::Unavailable);
        }
        let now = self.now();
        if let Some(proven) = digest.and_then(|digest| self.shared.verified.known(&digest, source.address, now)) {
            return Ok(Verdict::Proven(proven));
        }
        if let Some(wait) = self.shared.throttled(digest.as_ref(), source.address, now) {
            return Ok(Verdict::Throttled(wait));
        }
        let Some(digest) = digest else { return self.judge(presented, source, after).await };
        let lead = match self.flights.join(digest) {
            Part::Leads(lead) => lead,
            Part::Waits(wait) => {
                return match wait.proven().await {
                    Some(proven) if proven.holds(source.address, self.now()) => Ok(Verdict::Proven(proven)),
                    _ => self.judge(presented, source, after).await,
                };
            }
        };
        let verdict = self.judge(presented, source, after).await?;
        if let Verdict::Proven(proven) = &verdict {
            self.shared.verified.remember(digest, Arc::clone(proven));
            lead.share(proven);
        }
        Ok(verdict)
    }

    async fn judge(&self, presented: &Presented, source: Source, after: &mut Aftermath) -> Result<Verdict, Failure> {
        for _ in 0..READINGS {
            let moment = self.parts.subjects.moment();
            let found = self.look_up(presented).await?;
            let secret_agrees = self.secret_agrees(presented, found.pat.as_ref())?;
            let case = Case { presented, found: &found, secret_agrees, address: source.address, now: self.now() };
            let kept = match case.judge(self.parts.lockout.settings().counts) {
                Judgement::Good(kept) => kept,
                Judgement::Bad(refusal) => return self.refuse(refusal, presented, source, after).await,
            };
            let owner = kept.account.kind.owner();
            let Some(stamp) = Stamp::since(&self.parts.subjects, moment, kept.account.id, owner) else { continue };
            match self.clear_streak(kept, &stamp).await? {
                Reset::Cleared => {}
                Reset::Locked => return Ok(locked()),
                Reset::Stale => continue,
            }
            if stamp.subject().tripped_in(kept.account.life) {
                return Ok(locked());
            }
            if stamp.holds() {
                after.rehash = self.rehash(presented, kept);
                return Ok(Verdict::Proven(Arc::new(proven(kept, stamp, self.now()))));
            }
        }
        Err(Failure::Changing)
    }

    /// The one look-up. A username that no account can have is looked up as the empty one.
    async fn look_up(&self, presented: &Presented) -> Result<LookUp, Failure> {
        let username = presented.username().filter(|name| Username::parse(name).is_ok());
        let mut reader = self.parts.store.read().await?;
        Ok(reader.look_up(username, presented.public_id().ok()).await?)
    }

    /// The one HMAC: of the presented token under the kept one's pepper, or of a dummy.
    fn secret_agrees(&self, presented: &Presented, kept: Option<&KeptPat>) -> Result<bool, Failure> {
        let peppers = &self.parts.peppers;
        let token = presented.token(&self.shared.settings.token_prefix);
        let version = kept.map_or_else(|| peppers.newest(), |kept| kept.pepper);
        let hash = peppers.hash(version, token.as_ref().unwrap_or(&self.dummy));
        match (hash, kept) {
            (Some(hash), Some(kept)) => Ok(token.is_some() && hash.agrees_with(&kept.hash)),
            (Some(hash), None) => {
                let _compared_all_the_same = hash.agrees_with(&hash);
                Ok(false)
            }
            (None, Some(kept)) => Err(Failure::Pepper { version: version.0, pat: kept.pat.public_id.to_string() }),
            (None, None) => Ok(false),
        }
    }

    /// A token that is used moves to the newest pepper, so that an old one can be retired.
    fn rehash(&self, presented: &Presented, kept: &KeptPat) -> Option<Rehash> {
        let to = self.parts.peppers.newest();
        if kept.pepper == to {
            return None;
        }
        let token = presented.token(&self.shared.settings.token_prefix)?;
        let hash = self.parts.peppers.hash(to, &token)?;
        Some(Rehash { pat: kept.pat.public_id, from: kept.pepper, to, hash })
    }

    /// A success ends the streak, if failures are on record; else nothing is asked of the counter (L3).
    async fn clear_streak(&self, kept: &KeptPat, stamp: &Stamp) -> Result<Reset, Failure> {
        if stamp.subject().streak() == 0 {
            return Ok(Reset::Cleared);
        }
        Ok(self.parts.lockout.succeed(kept.account.id, kept.account.life).await?)
    }

    /// The one step of the counter, on the account or on a sink; then what the refusal leaves behind.
    async fn refuse(
        &self,
        refusal: Refusal,
        presented: &Presented,
        source: Source,
        after: &mut Aftermath,
    ) -> Result<Verdict, Failure> {
        let Refusal { mut reason, charged, told } = refusal;
        let (address, pat) = (source.address, presented.public_id().ok());
        let attempt = Attempt { id: self.attempts.next(), address, at: self.now() };
        match charged {
            Charged::Account(account, life) => {
                let on_record = match self.parts.lockout.fail(account, life, attempt).await? {
                    Counted::Counted(on_record) => Some(on_record),
                    Counted::Tripped(streak) => Some(u32::try_from(streak.len()).unwrap_or(u32::MAX)),
                    Counted::Locked => {
                        reason = RefusalReason::Locked;
                        None
                    }
                    Counted::Stale | Counted::Repeated(_) => None,
                };
                after.notes.push(match on_record {
                    Some(on_record) => Note::Counted { account, reason, pat, on_record, address },
                    None => Note::Aside { reason, address },
                });
            }
            Charged::Source | Charged::Nobody => {
                self.parts.lockout.sink(spread(presented), attempt).await?;
                after.notes.push(Note::Aside { reason, address });
            }
        }
        if charged != Charged::Nobody {
            self.shared.budget.load().sources.charge(address);
        }
        if let (Some(told), Some(pat)) = (told, pat) {
            after.notes.push(Note::Told { told, pat, address });
        }
        metrics::counter!("locum_refusals_total", "reason" => reason.slug()).increment(1);
        Ok(Verdict::Refused(reason))
    }

    /// Writes down when tokens were last used; a loss of it is the loss of a time in a list.
    pub(super) async fn write_uses(&self) {
        let mut uses = Vec::new();
        self.shared.verified.each(|proven| {
            if let Some(last) = proven.last_used.take() {
                uses.push((proven.pat, last));
            }
        });
        if !uses.is_empty()
            && let Err(error) = self.parts.store.bookkeeping().used(uses).await
        {
            tracing::warn!(%error, "the last use of tokens could not be written");
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }
}

fn locked() -> Verdict {
    metrics::counter!("locum_refusals_total", "reason" => RefusalReason::Locked.slug()).increment(1);
    Verdict::Refused(RefusalReason::Locked)
}

/// What is left to do once the answer was given.
#[derive(Debug, Default)]
struct Aftermath {
    notes: Vec<Note>,
    rehash: Option<Rehash>,
}

/// A token's hash under another pepper.
#[derive(Debug)]
struct Rehash {
    pat: PublicId,
    from: PepperVersion,
    to: PepperVersion,
    hash: TokenHash,
}

fn proven(kept: &KeptPat, stamp: Stamp, now: Timestamp) -> Proven {
    Proven {
        account: kept.account.id,
        username: kept.account.username.clone(),
        kind: kept.account.kind,
        owner: kept.owner.as_ref().map(|owner| (owner.id, owner.username.clone())),
        life: kept.account.life,
        networks: kept.account.networks.clone(),
        pat: kept.pat.public_id,
        service: kept.pat.service.clone(),
        expires_at: kept.pat.ends_at(),
        restrictions: kept.pat.restrictions.clone(),
        stamp,
        last_used: LastUsed::at(now),
    }
}

/// Spreads names over the sinks; not secret, only even.
fn spread(presented: &Presented) -> u64 {
    let hash = match (presented.username(), presented.public_id()) {
        (Some(username), _) => crc32fast::hash(username.as_bytes()),
        (None, Ok(public_id)) => crc32fast::hash(public_id.as_str().as_bytes()),
        (None, Err(_)) => 0,
    };
    u64::from(hash)
}

/// Numbers attempts: this process's random half, then a counter.
#[derive(Debug)]
struct Attempts {
    process: u64,
    next: AtomicU64,
}

impl Attempts {
    fn next(&self) -> AttemptId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        AttemptId(u128::from(self.process) << 64 | u128::from(number))
    }
}
