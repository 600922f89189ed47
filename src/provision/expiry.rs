//! Warnings before tokens expire: 30, 7 and 1 days before, each once for a token, whatever node looks and however often
//! (T11).

use super::operation::{Attempt, Decided, Effects};
use super::{Error, Provision, Request};
use crate::history::{ActionType, Actions};
use crate::store::Expiring;

/// How many tokens are warned of in one transaction.
const AT_ONCE: u32 = 100;

/// Warns of every token that expires soon and is not being replaced; answers of how many. What was missed while nobody
/// looked is not made up for: of several warnings that are due the last is given.
///
/// # Errors
/// When the store cannot be read or written; it is safe to try again, on every node at once.
pub async fn warn(provision: &Provision) -> Result<usize, Error> {
    let mut warned = 0;
    loop {
        let now = provision.clock().now();
        if provision.0.store.read().await?.expiring_pats(now, 1).await?.is_empty() {
            return Ok(warned);
        }
        let batch = warn_some(provision).await?;
        for expiring in &batch {
            metrics::counter!("locum_pats_expiring_total", "days" => expiring.days.to_string()).increment(1);
        }
        if batch.is_empty() {
            return Ok(warned);
        }
        warned += batch.len();
    }
}

async fn warn_some(provision: &Provision) -> Result<Vec<Expiring>, Error> {
    // No right is asked for: this is Locum's own work, and nobody can call it from outside.
    let request = Request::from_host("locum");
    provision
        .change(&request, Attempt::to("pat_expiring"), |hand| {
            Box::pin(async move {
                // Behind the lock of all writers: what another node warned of is not among these.
                let expiring = hand.writer.expiring_pats(hand.now, AT_ONCE).await?;
                let mut actions = Vec::with_capacity(expiring.len());
                for Expiring { public_id, account, expires_at, days } in &expiring {
                    hand.writer.set_warned(*public_id, *days).await?;
                    let action = hand.request.consequence(ActionType::PatExpiring, "T11").to(*account);
                    let action = action.object(public_id.as_str()).detail("days", None, Some(&days.to_string()));
                    actions.push(action.detail("expires_at", None, Some(&expires_at.to_string())));
                }
                Ok(match Actions::from_vec(actions) {
                    Some(actions) => Decided::Changed(expiring, actions, Effects::default()),
                    None => Decided::AsItWas(expiring),
                })
            })
        })
        .await
}
