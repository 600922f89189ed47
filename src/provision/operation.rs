//! The frame of every change: one transaction with its actions, then the effects, then the answer.
//!
//! The whole of it runs in a task of its own: a caller that goes away between the commit and the
//! effects would otherwise leave caches that still hold what was taken away.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use super::{Error, Provision, Refusal, Request, caller};
use crate::clock::Timestamp;
use crate::cluster::Cut;
use crate::directory::{AccountId, Holding, Networks, PublicId, Username};
use crate::history::action_type::Causer;
use crate::history::{Action, ActionType, Actions};
use crate::store::{ChangeError, Outcome, StoreError, Writer};

/// What somebody tries, for the history in case it is refused.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    operation: &'static str,
    about: Option<Username>,
    object: Option<String>,
}

impl Attempt {
    /// `operation` is a slug such as `person_add`.
    pub(super) const fn to(operation: &'static str) -> Self {
        Self { operation, about: None, object: None }
    }

    pub(super) fn with_account(mut self, username: &Username) -> Self {
        self.about = Some(username.clone());
        self
    }

    pub(super) fn with_holding(self, holding: &Holding) -> Self {
        self.with_object(holding)
    }

    pub(super) fn with_object(mut self, object: &impl ToString) -> Self {
        self.object = Some(object.to_string());
        self
    }
}

/// What has to be made known on this node once a change is committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// Accounts that lost something: their cached answers end, and so does what runs for them.
    pub(super) narrowed: BTreeSet<AccountId>,
    /// Accounts that gained something.
    pub(super) widened: BTreeSet<AccountId>,
    /// Accounts that may be used from these networks only: what comes from elsewhere ends (L10).
    pub(super) confined: Vec<(AccountId, Networks)>,
    /// Tokens that ended by themselves, with the accounts that they belong to.
    pub(super) ended_pats: Vec<(AccountId, PublicId)>,
    /// Tokens whose end was moved nearer, with it: what runs with them ends then, whatever becomes of the store (R3).
    pub(super) shortened_pats: Vec<(PublicId, Timestamp)>,
    /// Accounts that are gone, and whose failures are to be forgotten (P12). Purposefully not those that
    /// were made active: a new life counts from zero by itself (P11), and forgetting would race with its
    /// first failures.
    pub(super) forgotten: BTreeSet<AccountId>,
}

/// What a rule came to.
pub(super) enum Decided<T> {
    Changed(T, Actions, Effects),
    /// There was nothing to do, which is no refusal and leaves no trace.
    AsItWas(T),
}

/// What a rule has in its hands: the transaction, who asks, and the instant.
pub(super) struct Hand<'w> {
    pub(super) writer: &'w mut Writer,
    pub(super) provision: Provision,
    pub(super) request: Request,
    pub(super) now: Timestamp,
}

impl Provision {
    /// Runs `rule` in a transaction, commits what it decided with its actions, makes the effects known
    /// and only then answers. A refusal is recorded.
    pub(super) async fn change<T, F>(&self, request: &Request, attempt: Attempt, rule: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'w> FnOnce(Hand<'w>) -> BoxFuture<'w, Result<Decided<T>, Error>> + Send + 'static,
    {
        let (provision, request) = (self.clone(), request.clone());
        let whole = tokio::spawn(async move {
            let result = provision.transact(&request, rule).await;
            if let Err(Error::Refused(refusal)) = &result {
                provision.record_refusal(&request, attempt, refusal).await?;
            }
            result
        });
        whole.await.unwrap_or(Err(Error::Interrupted))
    }

    async fn transact<T, F>(&self, request: &Request, rule: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'w> FnOnce(Hand<'w>) -> BoxFuture<'w, Result<Decided<T>, Error>> + Send + 'static,
    {
        let (provision, request) = (self.clone(), request.clone());
        let committed = self.0.store.change(move |writer: &mut Writer| {
            Box::pin(async move {
                let now = provision.clock().now();
                let request = caller::as_of_now(writer, request, now).await?;
                let asked_by = request.clone();
                Ok(match rule(Hand { writer: &mut *writer, provision, request, now }).await? {
                    Decided::Changed(value, actions, effects) => {
                        demand_causers(writer, &asked_by, &actions).await?;
                        Outcome::Changed((value, effects), actions)
                    }
                    Decided::AsItWas(value) => Outcome::Unchanged((value, Effects::default())),
                })
            })
        });
        let (value, effects) = committed.await.map_err(unwrap_error)?.value;
        self.make_known(effects).await;
        Ok(value)
    }

    async fn make_known(&self, effects: Effects) {
        let parts = &self.0;
        for account in effects.widened.difference(&effects.narrowed) {
            parts.subjects.widen(*account);
        }
        for (account, public_id) in effects.ended_pats {
            parts.subjects.narrow(account);
            parts.in_flight.cut(Cut::Pat(public_id));
        }
        // What enters meanwhile by what was known before is judged anew: its account was widened or narrowed.
        for (public_id, ends_at) in &effects.shortened_pats {
            parts.in_flight.shorten(*public_id, *ends_at);
        }
        if !effects.shortened_pats.is_empty() {
            parts.in_flight.cut_expired(parts.clock.now());
        }
        for (account, networks) in effects.confined {
            parts.subjects.narrow(account);
            parts.in_flight.cut_outside(account, &networks);
        }
        for account in effects.narrowed {
            parts.subjects.narrow(account);
            parts.in_flight.cut(Cut::Account(account));
        }
        let Some(counts) = &parts.counts else { return };
        for account in effects.forgotten {
            // Tidiness only: what stays behind belongs to nobody and is never counted again.
            if let Err(error) = counts.forget(account).await {
                tracing::warn!(%account, %error, "failures of a deleted account could not be forgotten");
            }
        }
    }

    /// Records what an identified caller was refused.
    pub(super) async fn record_refusal(
        &self,
        request: &Request,
        attempt: Attempt,
        refusal: &Refusal,
    ) -> Result<(), Error> {
        let mut action = request
            .action(ActionType::OperationRefused)
            .detail("operation", None, Some(attempt.operation))
            .detail("code", None, Some(refusal.code()));
        if let Some(rule) = refusal.rule() {
            action = action.detail("rule", None, Some(rule));
        }
        if let Some(username) = &attempt.about {
            let account = self.0.store.read().await?.account_by_folded(username).await?;
            action.target = account.map(|account| account.id);
        }
        action.object = attempt.object;
        self.0.store.record(vec![action]).await?;
        Ok(())
    }

    /// Records that `request` may not even look.
    pub(super) async fn refuse_reading<T>(
        &self,
        request: &Request,
        operation: &'static str,
        error: Error,
    ) -> Result<T, Error> {
        if let Error::Refused(refusal @ Refusal::NotAllowed(_)) = &error {
            self.record_refusal(request, Attempt::to(operation), refusal).await?;
        }
        Err(error)
    }
}

/// H4: who may cause a type is fixed, and whoever asks has to be one of those. What a rule let pass in spite of that is
/// a fault of Locum: nothing of it is kept.
async fn demand_causers(writer: &mut Writer, request: &Request, actions: &Actions) -> Result<(), Error> {
    let own = actions.as_slice().iter().filter(|action| action.actor == request.actor());
    for action in own {
        let causers = request.causers();
        let mut allowed = causers.iter().any(|causer| action.kind.is_caused_by(*causer));
        if !allowed && let Some((person, target)) = request.person().zip(action.target) {
            let owner = writer.account(target).await?.and_then(|account| account.kind.owner());
            let own = target == person || owner == Some(person);
            allowed = own && action.kind.is_caused_by(Causer::Owner);
        }
        if !allowed {
            let (kind, actor) = (action.kind.slug(), action.actor.to_stored());
            return Err(Error::Store(StoreError::Actor { kind, actor }));
        }
    }
    Ok(())
}

fn unwrap_error(error: ChangeError<Error>) -> Error {
    match error {
        ChangeError::Rule(error) => error,
        ChangeError::Store(error) => Error::Store(error),
    }
}

impl Hand<'_> {
    /// An action that the caller does.
    pub(super) fn action(&self, kind: ActionType) -> Action {
        self.request.action(kind)
    }

    /// The one action of a simple change, with its effects.
    #[expect(clippy::unnecessary_wraps, reason = "closes the happy path of every rule in one word")]
    pub(super) fn done<T>(value: T, action: Action, effects: Effects) -> Result<Decided<T>, Error> {
        Ok(Decided::Changed(value, Actions::one(action), effects))
    }
}

#[cfg(test)]
mod tests;
