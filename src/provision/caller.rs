//! Who calls, by what the store says *now*: nobody keeps a right by having had it when the connection was made.
//!
//! A door reads its caller here when a request comes in, and every change reads it once more inside its
//! transaction, behind all that was committed before: what ended the caller's administration has ended it for
//! the change that waited beside it, too.

use std::time::Duration;

use super::operation::Attempt;
use super::{Caller, Error, Provision, Refusal, Request};
use crate::clock::Timestamp;
use crate::directory::api_key::{ApiKey, KeyStanding, Scope};
use crate::directory::rights::Grade;
use crate::directory::{AccountId, Kind, Token, TokenKind};
use crate::store::Session;

/// How often it is noted that a key is in use, at most: never with each request.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// A person, with the grade and the rights that it has now.
///
/// # Errors
/// When there is no such person any more, or it is inactive; when the store does not answer.
pub async fn person(provision: &Provision, account: AccountId) -> Result<Caller, Error> {
    person_now(&mut *provision.0.store.read().await?, account).await
}

async fn person_now(session: &mut Session, account: AccountId) -> Result<Caller, Error> {
    let found = session.account(account).await?.filter(|found| found.kind == Kind::Person && found.state.is_active());
    if found.is_none() {
        return Err(Refusal::CallerEnded.into());
    }
    let held = session.rights_held(account).await?;
    Ok(Caller::Person { account, grade: held.grade(), granted: held.granted })
}

/// Whoever presents a key of the admin API, with the grade that its person has now; nobody, if it is none that is in
/// force, and for whatever reason: the same answer, after the same work.
///
/// # Errors
/// When the store does not answer, or the pepper of the key is missing.
pub async fn api_key(provision: &Provision, presented: &str) -> Result<Option<Caller>, Error> {
    let parts = &provision.0;
    let Ok(token) = Token::parse(presented, &provision.settings().prefix) else { return Ok(None) };
    if token.kind() != TokenKind::AdminApi {
        return Ok(None);
    }
    let mut reader = parts.store.read().await?;
    let found = reader.api_key(token.public_id()).await?;
    let version = found.as_ref().map_or_else(|| parts.peppers.newest(), |found| found.pepper);
    let hash = parts.peppers.hash(version, &token).ok_or(Error::Pepper(version.0))?;
    let Some(kept) = found.filter(|found| found.hash.agrees_with(&hash)) else { return Ok(None) };
    let (now, last_used_at) = (parts.clock.now(), kept.key.last_used_at);
    let caller = match key_now(&mut reader, &kept.key, now).await {
        Ok(caller) => caller,
        Err(Error::Refused(Refusal::CallerEnded)) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    drop(reader);
    if last_used_at.is_none_or(|last| now.since(last) >= NOTED_EVERY)
        && let Err(error) = parts.store.bookkeeping().key_used(kept.key.public_id, now).await
    {
        tracing::warn!(%error, key = %kept.key.public_id, "when a key was last used could not be noted");
    }
    Ok(Some(caller))
}

/// Records that a key does not reach so far, and says so.
pub async fn out_of_scope(provision: &Provision, request: &Request, operation: &str, needed: Scope) -> Error {
    let refusal = Refusal::OutOfScope(needed);
    let attempt = Attempt::to("admin_api").with_object(&operation);
    match provision.record_refusal(request, attempt, &refusal).await {
        Ok(()) => refusal.into(),
        Err(fault) => fault,
    }
}

async fn key_now(session: &mut Session, key: &ApiKey, now: Timestamp) -> Result<Caller, Error> {
    if key.standing(now) != KeyStanding::Usable {
        return Err(Refusal::CallerEnded.into());
    }
    match person_now(session, key.account).await? {
        Caller::Person { account, grade, .. } if grade != Grade::None => {
            Ok(Caller::ApiKey { account, grade, key: key.public_id, scopes: key.scopes.clone() })
        }
        _ => Err(Refusal::CallerEnded.into()),
    }
}

/// The caller of a change, as it is behind everything that was committed before.
pub(super) async fn as_of_now(session: &mut Session, request: Request, now: Timestamp) -> Result<Request, Error> {
    let caller = match request.caller {
        Caller::Person { account, .. } => person_now(session, account).await?,
        Caller::ApiKey { key, .. } => {
            let kept = session.api_key(key).await?.ok_or(Refusal::CallerEnded)?;
            key_now(session, &kept.key, now).await?
        }
        caller @ (Caller::HostShell { .. } | Caller::ProxyUser { .. } | Caller::StandIn { .. }) => caller,
    };
    Ok(Request { caller, ..request })
}
