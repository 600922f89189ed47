//! Handing out a copy of the embedded database (C5).
//!
//! It runs in a task of its own: a caller that goes away leaves no copy behind.

use std::fs::File;

use super::operation::Attempt;
use super::{Error, Provision, Refusal, Request};
use crate::directory::rights::Operation;
use crate::history::{ActionType, Actions};
use crate::store::{ChangeError, Outcome, SnapshotError, Store, StoreError, Writer};

/// The embedded database as it is now; the peppers and other keys are not in it. Recorded when there is a copy to hand out.
///
/// # Errors
/// When the caller may not, or the database is not the embedded one.
pub async fn take(provision: &Provision, request: &Request) -> Result<File, Error> {
    let (provision, request) = (provision.clone(), request.clone());
    tokio::spawn(async move { recorded(&provision, &request).await }).await.unwrap_or(Err(Error::Interrupted))
}

async fn recorded(provision: &Provision, request: &Request) -> Result<File, Error> {
    let taken = async {
        request.demand(&Operation::ManageInstallation)?;
        let copy = provision.store().snapshot().await.map_err(|error| match error {
            SnapshotError::NotEmbedded => Refusal::NotEmbedded.into(),
            SnapshotError::Store(error) => Error::Store(error),
        })?;
        provision.store().record(vec![request.action(ActionType::BackupTaken)]).await?;
        Ok(copy)
    };
    match taken.await {
        Err(Error::Refused(refusal)) => {
            provision.record_refusal(request, Attempt::to("backup"), &refusal).await?;
            Err(refusal.into())
        }
        taken => taken,
    }
}

/// Records in a database what was done to it as a whole, by who holds the machine.
///
/// # Errors
/// When it cannot be written.
pub async fn note(store: &Store, kind: ActionType, unix_user: &str) -> Result<(), StoreError> {
    let action = Request::from_host(unix_user).action(kind);
    let noted = store.change(move |_: &mut Writer| {
        Box::pin(async move { Ok::<_, StoreError>(Outcome::Changed((), Actions::one(action))) })
    });
    match noted.await {
        Ok(_) => Ok(()),
        Err(ChangeError::Rule(error) | ChangeError::Store(error)) => Err(error),
    }
}
