//! Carrying out a trip: the account that failed too often in a row is shut, by Locum, once (L1, L2).

use std::net::IpAddr;

use super::household::{Doer, Plan};
use super::operation::{Attempt, Decided};
use super::{Error, Provision, Request};
use crate::directory::lockout::Attempt as FailedAttempt;
use crate::directory::{AccountId, Kind, Life, ReasonCode};
use crate::history::{Action, ActionType};

/// The rule by which Locum acts here.
const CAUSE: &str = "L1";

/// Marks a proxy user inactive and revokes all of its tokens, with the addresses of the attempts that
/// tripped. Answers whether this call did it: an account in another life, inactive already, deleted,
/// or a person (L9) stays as it is.
///
/// # Errors
/// When the store cannot be written; it is safe to try again.
pub async fn carry_out(
    provision: &Provision,
    account: AccountId,
    life: Life,
    attempts: Vec<FailedAttempt>,
) -> Result<bool, Error> {
    // No right is asked for: this is Locum's own work, and nobody can call it from outside.
    let request = Request::from_host("locum");
    provision
        .change(&request, Attempt::to("lockout"), move |mut hand| {
            Box::pin(async move {
                let Some(account) = hand.writer.account(account).await? else {
                    return Ok(Decided::AsItWas(false));
                };
                let Kind::Proxy { .. } = account.kind else { return Ok(Decided::AsItWas(false)) };
                if account.life != life || !account.state.is_active() {
                    return Ok(Decided::AsItWas(false));
                }
                let household = hand.household(&account).await?;
                let changes = household.inactivate_proxy(account.id);
                let locked = hand.request.consequence(ActionType::AttemptsLocked, CAUSE).to(account.id);
                let doer = Doer::Locum { cause: CAUSE, reason: ReasonCode::failed_attempts() };
                let plan = Plan { target: account.id, doer, cascade: CAUSE };
                let locked = with_attempts(locked, &attempts);
                hand.carry_out(&household, &changes, &plan, vec![locked], true).await
            })
        })
        .await
}

fn with_attempts(action: Action, attempts: &[FailedAttempt]) -> Action {
    attempts.iter().enumerate().fold(action, |action, (index, attempt)| {
        let address = attempt.address.as_ref().map_or_else(|| "unknown".to_owned(), IpAddr::to_string);
        action.detail(&format!("attempt_{}", index + 1), None, Some(&format!("{address} at {}", attempt.at)))
    })
}
