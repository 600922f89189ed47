//! Personal access tokens: made in two steps, confirmed, rotated, revoked (T1–T3, T6, T7).

use std::time::Duration;

use super::demands::NOBODY;
use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Error, Provision, Refusal, Request, Wanted};
use crate::directory::pat::{self, PatState, Succession, Terms};
use crate::directory::rights::Operation;
use crate::directory::{
    Account, AccountId, Actor, Pat, PublicId, ReasonCode, Restrictions, Token, TokenKind, Username,
};
use crate::history::{Action, ActionType, Actions};

/// How many tokens one round of the clock ends at most (T7).
const AT_ONCE: u32 = 100;
/// How many tokens are revoked in one transaction where all are.
const REVOKED_AT_ONCE: u32 = 200;

/// A token that somebody asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The proxy user that it is for.
    pub account: Username,
    /// The service or process that will use it.
    pub service: String,
    /// How long it is to live; the longest life that is allowed when not said.
    pub life: Option<Duration>,
    pub restrictions: Restrictions,
    /// The same wish under the same key makes one token, whose secret is shown once (T3).
    pub idempotency_key: Option<String>,
}

/// A token that is to take the place of another (T7): for the same service, with the same restrictions.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The token before.
    pub of: PublicId,
    /// For at most how long after the confirmation both are valid.
    pub overlap: Duration,
    /// The old one ends sooner once the new one is in use and the old one was not for so long.
    pub silence: Option<Duration>,
    /// How long the new one is to live; the longest life that is allowed when not said.
    pub life: Option<Duration>,
    /// As in a [`Wish`].
    pub idempotency_key: Option<String>,
}

/// A token that was made, now or by the same request before.
#[derive(Debug)]
pub struct Made {
    pub pat: Pat,
    pub account: Username,
    /// The secret, this once; `None` when the request was repeated.
    pub token: Option<Token>,
}

/// Makes a pending token (T1–T3).
///
/// # Errors
/// When the caller may not, the account is no active proxy user, an app is unknown, or the service's
/// name or the life is not allowed.
pub async fn add(provision: &Provision, request: &Request, wish: Wish) -> Result<Made, Error> {
    let attempt = Attempt::to("pat_add").with_account(&wish.account);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let may = |owner| Operation::MakeToken { owner };
                let account = hand.account(&wish.account, Wanted::ProxyUser, may).await?;
                let service = pat::service_name(&wish.service)?;
                let life = pat::life(wish.life, hand.provision.settings().longest_life)?;
                for app in &wish.restrictions.apps {
                    hand.demand_app(app).await?;
                }
                let public_id = hand.public_id_for(account.id, wish.idempotency_key.as_deref());
                let pat = hand.pending(public_id, account.id, service, life, wish.restrictions);
                if let Some(before) = hand.made_before(&pat, wish.idempotency_key.as_deref()).await? {
                    return Ok(Decided::AsItWas(Made { pat: before, account: account.username, token: None }));
                }
                if !account.state.is_active() {
                    return Err(Refusal::AccountInactive(account.username).into());
                }
                hand.make(pat, account.username).await
            })
        })
        .await
}

/// Makes a pending token that takes the place of another once it is confirmed (T7).
///
/// # Errors
/// When the caller may not, the token before is unknown, cannot be used or is being replaced already, or the life, the
/// overlap or the silence is not allowed.
pub async fn rotate(provision: &Provision, request: &Request, rotation: Rotation) -> Result<Made, Error> {
    let attempt = Attempt::to("pat_rotate").with_object(&rotation.of);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let (before, account) = hand.token(rotation.of, |owner| Operation::MakeToken { owner }).await?;
                let ceiling = hand.provision.settings().longest_life;
                let life = pat::life(rotation.life, ceiling)?;
                let terms = Terms::new(rotation.overlap, rotation.silence, ceiling)?;
                let key = rotation.idempotency_key.as_deref();
                let public_id = hand.public_id_for(account.id, key);
                let (service, restrictions) = (before.service.clone(), before.restrictions.clone());
                let mut pat = hand.pending(public_id, account.id, service, life, restrictions);
                pat.succession = Some(Succession { of: before.public_id, terms });
                if let Some(before) = hand.made_before(&pat, key).await? {
                    return Ok(Decided::AsItWas(Made { pat: before, account: account.username, token: None }));
                }
                if !account.state.is_active() {
                    return Err(Refusal::AccountInactive(account.username).into());
                }
                before
                    .may_be_rotated(hand.now)
                    .map_err(|refusal| Refusal::PatState { public_id: before.public_id, refusal })?;
                hand.make(pat, account.username).await
            })
        })
        .await
}

/// Confirms that a token's secret was copied: from now on it is usable (T3), and the token whose place it takes has its
/// end set (T7).
///
/// # Errors
/// When the caller may not, there is no such token, or it is not pending any more.
pub async fn confirm(provision: &Provision, request: &Request, public_id: PublicId) -> Result<(), Error> {
    let attempt = Attempt::to("pat_confirm").with_object(&public_id);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let (mut pat, _) = hand.token(public_id, |owner| Operation::MakeToken { owner }).await?;
                pat.confirm(hand.now).map_err(|refusal| Refusal::PatState { public_id, refusal })?;
                hand.writer.save_pat_state(&pat).await?;
                let confirmed = hand
                    .action(ActionType::PatConfirmed)
                    .to(pat.account)
                    .object(public_id.as_str())
                    .detail("state", Some("pending"), Some("usable"));
                let (mut actions, mut effects) = (Actions::one(confirmed), Effects::default());
                // Whoever is known by the token before is asked again, and learns when that ends.
                effects.widened.insert(pat.account);
                if let Some((before, rotated)) = hand.retire_before(&pat).await? {
                    effects.shortened_pats.push((before.public_id, before.ends_at()));
                    actions = actions.and(rotated);
                }
                Ok(Decided::Changed((), actions, effects))
            })
        })
        .await
}

/// Revokes a token at once and for good, with a reason of the code table (T6).
///
/// # Errors
/// When the caller may not, the token or the reason is unknown, or the token is revoked already.
pub async fn revoke(
    provision: &Provision,
    request: &Request,
    public_id: PublicId,
    reason: ReasonCode,
) -> Result<(), Error> {
    let attempt = Attempt::to("pat_revoke").with_object(&public_id);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let (mut pat, _) = hand.token(public_id, |owner| Operation::RevokeToken { owner }).await?;
                hand.demand_reason(&reason).await?;
                let before = pat.standing(hand.now);
                let by = hand.request.actor();
                pat.revoke(hand.now, by, reason.clone()).map_err(|refusal| Refusal::PatState { public_id, refusal })?;
                hand.writer.save_pat_state(&pat).await?;
                let revoked = hand
                    .action(ActionType::PatRevoked)
                    .to(pat.account)
                    .object(public_id.as_str())
                    .detail("state", Some(before.slug()), Some("revoked"))
                    .detail("reason", None, Some(reason.as_str()));
                let ended_pats = vec![(pat.account, public_id)];
                Hand::done((), revoked, Effects { ended_pats, ..Effects::default() })
            })
        })
        .await
}

/// Revokes every token of everybody: after a restore, which brings back what was revoked since, or when all of them may
/// have been seen. Answers how many. What was revoked before a fault stays so; asked again, it goes on.
///
/// # Errors
/// When the caller is not the host shell, or the reason is unknown.
pub async fn revoke_all(provision: &Provision, request: &Request, reason: &ReasonCode) -> Result<u64, Error> {
    let mut revoked = 0;
    loop {
        let some = revoke_some(provision, request, reason.clone()).await?;
        if some == 0 {
            return Ok(revoked);
        }
        revoked += some;
    }
}

async fn revoke_some(provision: &Provision, request: &Request, reason: ReasonCode) -> Result<u64, Error> {
    provision
        .change(request, Attempt::to("pat_revoke_all"), move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::BreakGlass)?;
                hand.demand_reason(&reason).await?;
                let (mut actions, mut effects) = (Vec::new(), Effects::default());
                for mut pat in hand.writer.unrevoked_pats(REVOKED_AT_ONCE).await? {
                    let (public_id, before, by) = (pat.public_id, pat.standing(hand.now), hand.request.actor());
                    pat.revoke(hand.now, by, reason.clone())
                        .map_err(|refusal| Refusal::PatState { public_id, refusal })?;
                    hand.writer.save_pat_state(&pat).await?;
                    let revoked = hand.action(ActionType::PatRevoked).to(pat.account).object(public_id.as_str());
                    let revoked = revoked.detail("state", Some(before.slug()), Some("revoked")).detail(
                        "reason",
                        None,
                        Some(reason.as_str()),
                    );
                    actions.push(revoked);
                    effects.ended_pats.push((pat.account, public_id));
                }
                let revoked = effects.ended_pats.len() as u64;
                Ok(match Actions::from_vec(actions) {
                    Some(actions) => Decided::Changed(revoked, actions, effects),
                    None => Decided::AsItWas(0),
                })
            })
        })
        .await
}

/// Revokes the tokens whose successors have taken their place (T7): a clock calls it. Answers how many.
///
/// # Errors
/// When the store cannot be read or written; it is safe to try again, on every node at once.
pub async fn end_retired(provision: &Provision) -> Result<usize, Error> {
    let now = provision.clock().now();
    let due = provision.0.store.read().await?.retired_pats(now, None, AT_ONCE).await?;
    let (mut ended, mut failed) = (0, None);
    for public_id in due {
        match end_one_retired(provision, public_id).await {
            Ok(done) => ended += usize::from(done),
            // One that cannot be ended keeps none behind it from its end.
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(ended), Err)
}

async fn end_one_retired(provision: &Provision, public_id: PublicId) -> Result<bool, Error> {
    // No right is asked for: this is Locum's own work, and nobody can call it from outside.
    let request = Request::from_host("locum");
    provision
        .change(&request, Attempt::to("pat_retire"), move |hand| {
            Box::pin(async move {
                // Another node may have done it meanwhile, or the token was used once more.
                if hand.writer.retired_pats(hand.now, Some(public_id), 1).await?.is_empty() {
                    return Ok(Decided::AsItWas(false));
                }
                let Some(mut pat) = hand.writer.pat(public_id).await? else { return Ok(Decided::AsItWas(false)) };
                let (reason, before) = (ReasonCode::rotated(), pat.standing(hand.now));
                if pat.revoke(hand.now, Actor::Locum, reason.clone()).is_err() {
                    return Ok(Decided::AsItWas(false));
                }
                hand.writer.save_pat_state(&pat).await?;
                let revoked = hand
                    .request
                    .consequence(ActionType::PatRevoked, "T7")
                    .to(pat.account)
                    .object(public_id.as_str())
                    .detail("state", Some(before.slug()), Some("revoked"))
                    .detail("reason", None, Some(reason.as_str()));
                let ended_pats = vec![(pat.account, public_id)];
                Hand::done(true, revoked, Effects { ended_pats, ..Effects::default() })
            })
        })
        .await
}

/// Whether the same was wished for.
fn is_same_wish(before: &Pat, wanted: &Pat) -> bool {
    let life = |pat: &Pat| pat.expires_at.since(pat.created_at);
    before.account == wanted.account
        && before.service == wanted.service
        && before.restrictions == wanted.restrictions
        && before.succession == wanted.succession
        && life(before) == life(wanted)
}

impl Hand<'_> {
    /// What a public id is derived from, so that the same request comes to the same id.
    fn key_parts(&self, account: AccountId, key: &str) -> [Vec<u8>; 3] {
        [self.request.actor().to_stored().into_bytes(), account.as_bytes().to_vec(), key.as_bytes().to_vec()]
    }

    pub(super) fn public_id_for(&self, account: AccountId, idempotency_key: Option<&str>) -> PublicId {
        match idempotency_key {
            Some(key) => PublicId::derived(&self.key_parts(account, key)),
            None => PublicId::draw(|pool| (self.provision.0.random)(pool)),
        }
    }

    /// The token that the same request made before under its key, whose secret is not shown again.
    async fn made_before(&mut self, wanted: &Pat, idempotency_key: Option<&str>) -> Result<Option<Pat>, Error> {
        if idempotency_key.is_none() {
            return Ok(None);
        }
        match self.writer.pat(wanted.public_id).await? {
            Some(before) if !is_same_wish(&before, wanted) => Err(Refusal::KeyReused(before.public_id).into()),
            before => Ok(before),
        }
    }

    /// Sets the end of the token whose place `pat` takes from now on, and tells of it.
    async fn retire_before(&mut self, pat: &Pat) -> Result<Option<(Pat, Action)>, Error> {
        let Some(Succession { of, terms }) = &pat.succession else { return Ok(None) };
        let Some(mut before) = self.writer.pat(*of).await? else { return Ok(None) };
        let ends_at = before.ends_at();
        if !before.retire(self.now, terms) {
            return Ok(None);
        }
        self.writer.save_pat_state(&before).await?;
        let rotated = self
            .action(ActionType::PatRotated)
            .to(before.account)
            .object(before.public_id.as_str())
            .detail("replaced_by", None, Some(pat.public_id.as_str()))
            .detail("ends_at", Some(&ends_at.to_string()), Some(&before.ends_at().to_string()));
        Ok(Some((before, rotated)))
    }

    fn pending(
        &self,
        public_id: PublicId,
        account: AccountId,
        service: String,
        life: Duration,
        restrictions: Restrictions,
    ) -> Pat {
        Pat {
            public_id,
            account,
            service,
            state: PatState::Pending { until: self.now.plus(self.provision.settings().confirm_within) },
            created_at: self.now,
            created_by: self.request.actor(),
            expires_at: self.now.plus(life),
            restrictions,
            last_used: None,
            succession: None,
            retires_at: None,
        }
    }

    async fn make(self, pat: Pat, account: Username) -> Result<Decided<Made>, Error> {
        let parts = &self.provision.0;
        let settings = self.provision.settings();
        let token = Token::with_public_id(TokenKind::PersonalAccess, &settings.prefix, pat.public_id, |pool| {
            (parts.random)(pool);
        });
        let version = parts.peppers.newest();
        let hash = parts.peppers.hash(version, &token).expect("the newest pepper is one of the peppers");
        self.writer.insert_pat(&pat, &hash, version).await?;
        let created =
            with_restrictions(self.action(ActionType::PatCreated), &pat).to(pat.account).object(pat.public_id.as_str());
        Hand::done(Made { pat, account, token: Some(token) }, created, Effects::default())
    }

    /// The token with this public id and its account, once the caller has the right to what `operation` says of the
    /// owner of its account.
    async fn token(
        &mut self,
        public_id: PublicId,
        operation: impl Fn(AccountId) -> Operation,
    ) -> Result<(Pat, Account), Error> {
        let Some(pat) = self.writer.pat(public_id).await? else {
            self.request.demand(&operation(NOBODY))?;
            return Err(Refusal::UnknownPat(public_id).into());
        };
        let account = self.writer.account(pat.account).await?.ok_or(Refusal::UnknownPat(public_id))?;
        self.request.demand(&operation(account.kind.owner().unwrap_or(account.id)))?;
        Ok((pat, account))
    }

    pub(super) async fn demand_reason(&mut self, code: &ReasonCode) -> Result<(), Error> {
        let reasons = self.writer.reasons().await?;
        if reasons.iter().any(|(known, _)| known == code) {
            return Ok(());
        }
        let nearest = super::nearest::nearest(code.as_str(), reasons.iter().map(|(known, _)| known.as_str()));
        Err(Refusal::UnknownReason { code: code.clone(), nearest }.into())
    }
}

fn with_restrictions(action: Action, pat: &Pat) -> Action {
    let mut action = action.detail("service", None, Some(&pat.service)).detail(
        "expires_at",
        None,
        Some(&pat.expires_at.to_string()),
    );
    for network in pat.restrictions.networks.iter() {
        action = action.detail("network", None, Some(&network.to_string()));
    }
    for app in &pat.restrictions.apps {
        action = action.detail("app", None, Some(app.as_str()));
    }
    if pat.restrictions.read_only {
        action = action.detail("read_only", None, Some("true"));
    }
    if let Some(succession) = &pat.succession {
        action = action.detail("replaces", None, Some(succession.of.as_str()));
    }
    action
}
