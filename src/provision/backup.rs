//! Handing out a copy of the embedded database (C5).

use std::fs::File;

use super::operation::Attempt;
use super::{Error, Provision, Refusal, Request};
use crate::directory::rights::Operation;
use crate::history::ActionType;
use crate::store::SnapshotError;

/// The embedded database as it is now, with the action that tells of it: the peppers and other keys are not in it.
///
/// # Errors
/// When the caller may not, or the database is not the embedded one.
pub async fn take(provision: &Provision, request: &Request) -> Result<File, Error> {
    let taken = async {
        request.demand(&Operation::ManageInstallation)?;
        provision.store().record(vec![request.action(ActionType::BackupTaken)]).await?;
        provision.store().snapshot().await.map_err(|error| match error {
            SnapshotError::NotEmbedded => Refusal::NotEmbedded.into(),
            SnapshotError::Store(error) => Error::Store(error),
        })
    };
    match taken.await {
        Err(Error::Refused(refusal)) => {
            provision.record_refusal(request, Attempt::to("backup"), &refusal).await?;
            Err(refusal.into())
        }
        taken => taken,
    }
}
