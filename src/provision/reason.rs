//! The code table of reasons (T6).

use super::operation::{Attempt, Effects, Hand};
use super::{Error, Provision, Refusal, Request};
use crate::directory::ReasonCode;
use crate::directory::rights::Operation;
use crate::history::ActionType;

/// The longest text of a reason, in characters.
const LONGEST_TEXT: usize = 200;

/// Adds a reason to the table.
///
/// # Errors
/// When the caller may not, the code stands there already, or its text is empty or too long.
pub async fn add(provision: &Provision, request: &Request, code: ReasonCode, text: String) -> Result<(), Error> {
    let attempt = Attempt::to("reason_add").with_object(&code);
    provision
        .change(request, attempt, move |hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::ManageCodes)?;
                let text = text.trim();
                let length = text.chars().count();
                if length == 0 || length > LONGEST_TEXT || text.chars().any(char::is_control) {
                    return Err(Refusal::ReasonText(length).into());
                }
                if hand.writer.reasons().await?.iter().any(|(known, _)| *known == code) {
                    return Err(Refusal::ReasonExists(code).into());
                }
                hand.writer.insert_reason(&code, text).await?;
                let added = hand.action(ActionType::ReasonAdded).object(code.as_str()).detail("text", None, Some(text));
                Hand::done((), added, Effects::default())
            })
        })
        .await
}
