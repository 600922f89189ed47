//! Keys of the admin API: made by super administrators for themselves, revoked, and ended with the administration of
//! their person (A6).

use std::time::Duration;

use super::demands::NOBODY;
use super::operation::{Attempt, Decided, Effects, Hand};
use super::{Error, Provision, Refusal, Request, Wanted};
use crate::directory::api_key::{ApiKey, KeyState, Scopes};
use crate::directory::rights::{Caller, Grade, Operation};
use crate::directory::{Account, AccountId, PublicId, ReasonCode, Token, TokenKind, Username, pat};
use crate::history::{Action, ActionType};

/// A key that somebody asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The person that it acts as; who asks, when not said. Only the host shell names somebody else.
    pub person: Option<Username>,
    /// The service or process that will use it.
    pub name: String,
    pub scopes: Scopes,
    /// How long it is to live.
    pub life: Duration,
    /// The same wish under the same key of its own makes one key, whose secret is shown once.
    pub idempotency_key: Option<String>,
}

/// A key that was made, now or by the same request before.
#[derive(Debug)]
pub struct Made {
    pub key: ApiKey,
    /// The secret, this once; `None` when the request was repeated.
    pub token: Option<Token>,
}

/// Makes a key, which is usable at once.
///
/// # Errors
/// When the caller may not, the person has no administration in force, or the name or the life is not allowed.
pub async fn add(provision: &Provision, request: &Request, wish: Wish) -> Result<Made, Error> {
    let mut attempt = Attempt::to("api_key_add");
    if let Some(person) = &wish.person {
        attempt = attempt.with_account(person);
    }
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                let person = hand.person_of_key(wish.person).await?;
                if hand.writer.rights_held(person.id).await?.grade() == Grade::None {
                    return Err(Refusal::NotAnAdministrator(person.username).into());
                }
                if !person.state.is_active() {
                    return Err(Refusal::AccountInactive(person.username).into());
                }
                let name = pat::service_name(&wish.name)?;
                let life = pat::life(Some(wish.life), hand.provision.settings().longest_life)?;
                let idempotency_key = wish.idempotency_key.as_deref();
                let key = ApiKey {
                    public_id: hand.public_id_for(person.id, idempotency_key),
                    account: person.id,
                    name,
                    scopes: wish.scopes,
                    state: KeyState::Active,
                    created_at: hand.now,
                    created_by: hand.request.actor(),
                    expires_at: hand.now.plus(life),
                    last_used_at: None,
                };
                if idempotency_key.is_some()
                    && let Some(before) = hand.writer.api_key(key.public_id).await?
                {
                    let before = before.key;
                    if is_same_wish(&before, &key) {
                        return Ok(Decided::AsItWas(Made { key: before, token: None }));
                    }
                    return Err(Refusal::KeyReused(before.public_id).into());
                }
                hand.make_key(key).await
            })
        })
        .await
}

/// Revokes a key at once and for good, with a reason of the code table.
///
/// # Errors
/// When the caller may not, the key or the reason is unknown, or the key is revoked already.
pub async fn revoke(
    provision: &Provision,
    request: &Request,
    public_id: PublicId,
    reason: ReasonCode,
) -> Result<(), Error> {
    let attempt = Attempt::to("api_key_revoke").with_object(&public_id);
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::ManageApiKeys)?;
                let found = hand.writer.api_key(public_id).await?;
                let key = found.ok_or(Refusal::UnknownApiKey(public_id))?.key;
                hand.demand_reason(&reason).await?;
                let by = hand.request.actor();
                if !hand.writer.revoke_api_key(public_id, hand.now, &by, &reason).await? {
                    return Err(Refusal::ApiKeyRevoked(public_id).into());
                }
                let revoked = hand.action(ActionType::ApiKeyRevoked).to(key.account).object(public_id.as_str()).detail(
                    "reason",
                    None,
                    Some(reason.as_str()),
                );
                Hand::done((), revoked, Effects::default())
            })
        })
        .await
}

/// Whether the same was wished for.
fn is_same_wish(before: &ApiKey, wanted: &ApiKey) -> bool {
    before.account == wanted.account
        && before.name == wanted.name
        && before.scopes == wanted.scopes
        && before.life() == wanted.life()
}

impl Hand<'_> {
    /// The person that a key is to act as: whoever asks, unless the host shell names somebody.
    async fn person_of_key(&mut self, named: Option<Username>) -> Result<Account, Error> {
        let may = |owner| Operation::MakeApiKey { owner };
        match (named, &self.request.caller) {
            (Some(username), _) => self.account(&username, Wanted::Person, may).await,
            (None, Caller::Person { account, .. }) => {
                let account = *account;
                self.request.demand(&may(account))?;
                self.writer.account(account).await?.ok_or(Error::Refused(Refusal::CallerEnded))
            }
            (None, _) => {
                self.request.demand(&may(NOBODY))?;
                Err(Refusal::KeyOfNobody.into())
            }
        }
    }

    async fn make_key(self, key: ApiKey) -> Result<Decided<Made>, Error> {
        let parts = &self.provision.0;
        let settings = self.provision.settings();
        let token = Token::with_public_id(TokenKind::AdminApi, &settings.prefix, key.public_id, |pool| {
            (parts.random)(pool);
        });
        let version = parts.peppers.newest();
        let hash = parts.peppers.hash(version, &token).expect("the newest pepper is one of the peppers");
        self.writer.insert_api_key(&key, &hash, version).await?;
        let mut created = self
            .action(ActionType::ApiKeyCreated)
            .to(key.account)
            .object(key.public_id.as_str())
            .detail("name", None, Some(&key.name))
            .detail("expires_at", None, Some(&key.expires_at.to_string()));
        for scope in key.scopes.iter() {
            created = created.detail("scope", None, Some(&scope.to_string()));
        }
        Hand::done(Made { key, token: Some(token) }, created, Effects::default())
    }

    /// Revokes the keys of a person who runs nothing any more, not even an app.
    pub(super) async fn end_keys_of_nobody(&mut self, account: AccountId) -> Result<Vec<Action>, Error> {
        if self.writer.rights_held(account).await?.grade() != Grade::None {
            return Ok(Vec::new());
        }
        self.end_keys(account, ReasonCode::administration_ended(), "A6").await
    }

    /// Revokes all keys of a person whose administration ends or shrinks: the key dies with it (A6).
    pub(super) async fn end_keys(
        &mut self,
        account: AccountId,
        reason: ReasonCode,
        cause: &'static str,
    ) -> Result<Vec<Action>, Error> {
        let by = crate::directory::Actor::Locum;
        let revoked = self.writer.revoke_api_keys_of(account, self.now, &by, &reason).await?;
        let action = |public_id: PublicId| {
            self.request.consequence(ActionType::ApiKeyRevoked, cause).to(account).object(public_id.as_str()).detail(
                "reason",
                None,
                Some(reason.as_str()),
            )
        };
        Ok(revoked.into_iter().map(action).collect())
    }
}
