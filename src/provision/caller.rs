//! Who calls, by what the store says *now*: nobody keeps a right by having had it when the connection was made.
//!
//! A door reads its caller here when a request comes in, and every change reads it once more inside its
//! transaction, behind all that was committed before: what ended the caller's administration has ended it for
//! the change that waited beside it, too.

use super::{Caller, Error, Provision, Refusal, Request};
use crate::directory::{AccountId, Kind};
use crate::store::Session;

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

/// The caller of a change, as it is behind everything that was committed before.
pub(super) async fn as_of_now(session: &mut Session, request: Request) -> Result<Request, Error> {
    let caller = match request.caller {
        Caller::Person { account, .. } => person_now(session, account).await?,
        caller @ (Caller::HostShell { .. }
        | Caller::ProxyUser { .. }
        | Caller::StandIn { .. }
        | Caller::ApiKey { .. }) => caller,
    };
    Ok(Request { caller, ..request })
}
