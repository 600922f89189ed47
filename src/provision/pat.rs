//! Personal access tokens: made in two steps, confirmed, revoked (T1–T3, T6).

use std::time::Duration;

use super::demands::NOBODY;
use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Error, Provision, Refusal, Request, Wanted};
use crate::directory::pat::{self, PatState};
use crate::directory::rights::Operation;
use crate::directory::{Account, AccountId, Pat, PublicId, ReasonCode, Restrictions, Token, TokenKind, Username};
use crate::history::{Action, ActionType};

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
                let public_id = match &wish.idempotency_key {
                    Some(key) => PublicId::derived(&hand.key_parts(account.id, key)),
                    None => hand.draw_public_id(),
                };
                let pat = hand.pending(public_id, &account, service, life, wish.restrictions);
                if wish.idempotency_key.is_some()
                    && let Some(before) = hand.writer.pat(public_id).await?
                {
                    return repeated(before, &pat, account.username);
                }
                if !account.state.is_active() {
                    return Err(Refusal::AccountInactive(account.username).into());
                }
                hand.make(pat, account.username).await
            })
        })
        .await
}

/// Confirms that a token's secret was copied: from now on it is usable (T3).
///
/// # Errors
/// When the caller may not, there is no such token, or it is not pending any more.
pub async fn confirm(provision: &Provision, request: &Request, public_id: PublicId) -> Result<(), Error> {
    let attempt = Attempt::to("pat_confirm").with_object(&public_id);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let mut pat = hand.token(public_id, |owner| Operation::MakeToken { owner }).await?;
                pat.confirm(hand.now).map_err(|refusal| Refusal::PatState { public_id, refusal })?;
                hand.writer.save_pat_state(&pat).await?;
                let confirmed = hand.action(ActionType::PatConfirmed).to(pat.account).object(public_id.as_str());
                let mut effects = Effects::default();
                effects.widened.insert(pat.account);
                Hand::done((), confirmed.detail("state", Some("pending"), Some("usable")), effects)
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
                let mut pat = hand.token(public_id, |owner| Operation::RevokeToken { owner }).await?;
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

/// The answer to a wish that was granted before under its key; the secret is not shown again.
fn repeated(before: Pat, wanted: &Pat, account: Username) -> Result<Decided<Made>, Error> {
    let life = |pat: &Pat| pat.expires_at.since(pat.created_at);
    let same = before.account == wanted.account
        && before.service == wanted.service
        && before.restrictions == wanted.restrictions
        && life(&before) == life(wanted);
    if !same {
        return Err(Refusal::KeyReused(before.public_id).into());
    }
    Ok(Decided::AsItWas(Made { pat: before, account, token: None }))
}

impl Hand<'_> {
    /// What a public id is derived from, so that the same request comes to the same id.
    fn key_parts(&self, account: AccountId, key: &str) -> [Vec<u8>; 3] {
        [self.request.actor().to_stored().into_bytes(), account.as_bytes().to_vec(), key.as_bytes().to_vec()]
    }

    fn draw_public_id(&self) -> PublicId {
        PublicId::draw(|pool| (self.provision.0.random)(pool))
    }

    fn pending(
        &self,
        public_id: PublicId,
        account: &Account,
        service: String,
        life: Duration,
        restrictions: Restrictions,
    ) -> Pat {
        Pat {
            public_id,
            account: account.id,
            service,
            state: PatState::Pending { until: self.now.plus(self.provision.settings().confirm_within) },
            created_at: self.now,
            created_by: self.request.actor(),
            expires_at: self.now.plus(life),
            restrictions,
            last_used_at: None,
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

    /// The token with this public id, once the caller has the right to what `operation` says of the
    /// owner of its account.
    async fn token(&mut self, public_id: PublicId, operation: impl Fn(AccountId) -> Operation) -> Result<Pat, Error> {
        let Some(pat) = self.writer.pat(public_id).await? else {
            self.request.demand(&operation(NOBODY))?;
            return Err(Refusal::UnknownPat(public_id).into());
        };
        let account = self.writer.account(pat.account).await?.ok_or(Refusal::UnknownPat(public_id))?;
        self.request.demand(&operation(account.kind.owner().unwrap_or(account.id)))?;
        Ok(pat)
    }

    async fn demand_reason(&mut self, code: &ReasonCode) -> Result<(), Error> {
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
    action
}
