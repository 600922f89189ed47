//! Usernames of deleted accounts, which only the host shell can set free (P12).

use super::operation::{Attempt, Effects, Hand};
use super::{Error, Provision, Refusal, Request};
use crate::directory::Username;
use crate::directory::rights::Operation;
use crate::history::ActionType;

/// Lets the username of a deleted account be used again.
///
/// # Errors
/// When the caller is not the host shell, or no deleted account had this username.
pub async fn release(provision: &Provision, request: &Request, username: Username) -> Result<(), Error> {
    let attempt = Attempt::to("name_release");
    provision
        .change(request, attempt, move |hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::BreakGlass)?;
                let tombstone = hand.provision.0.tombstones.tombstone_of(&username);
                if !hand.writer.remove_tombstone(&tombstone).await? {
                    return Err(Refusal::NameNotKept(username).into());
                }
                let released = hand.action(ActionType::NameReleased).object(username.as_str());
                Hand::done((), released, Effects::default())
            })
        })
        .await
}
