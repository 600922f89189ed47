//! The accounts of `serve --dev`: an owner, a proxy user and a token, made once and then left alone.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::dev::{OWNER, StateFolder, USERNAME};
use crate::authn::{self, Checked};
use crate::clock::Clock;
use crate::directory::{Networks, Restrictions, Username};
use crate::provision::{self, Provision, Refusal, Request, pat, person, proxy_user};
use crate::store::StoreError;

/// Why the accounts could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error("the development accounts could not be made: {0}")]
    Provision(#[from] provision::Error),
    #[error("the development accounts could not be read: {0}")]
    Store(#[from] StoreError),
    #[error("the file `dev.env` could not be read: {0}")]
    Environment(#[from] std::io::Error),
}

/// The token to try, and what is to be said of it.
pub struct Accounts {
    pub token: Zeroizing<String>,
    pub state: TokenState,
}

/// What became of the token of an earlier start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Made just now: it can be shown this once.
    New,
    /// The one of an earlier start, still good.
    Earlier,
    /// The proxy user was made inactive or deleted; a start repairs nothing by itself.
    Shut,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Makes what was never made, and finds what was.
///
/// # Errors
/// When the store or the file of the earlier start cannot be used.
pub async fn ready(provision: &Provision, folder: &StateFolder, clock: &dyn Clock) -> Result<Accounts, AccountsError> {
    let request = Request::from_host("serve --dev");
    let owner = Username::parse(OWNER).expect("the name is a constant that keeps the rule");
    let username = Username::parse(USERNAME).expect("the name is a constant that keeps the rule");
    let earlier = folder.earlier_token()?;
    if let Some(token) = &earlier {
        let (peppers, settings) = (provision.peppers(), provision.settings());
        let checked = authn::check(provision.store(), peppers, &settings.prefix, token, None, clock.now()).await?;
        if matches!(checked, Checked::Known(report) if report.usable) {
            return Ok(Accounts { token: token.clone(), state: TokenState::Earlier });
        }
    }
    if !made(person::add(provision, &request, owner.clone(), BTreeSet::new()).await)? {
        return Ok(shut(earlier));
    }
    if !made(proxy_user::add(provision, &request, username.clone(), owner, Networks::ANY).await)? {
        return Ok(shut(earlier));
    }
    let wish = pat::Wish {
        account: username,
        service: "trying Locum out".to_owned(),
        life: None,
        restrictions: Restrictions::default(),
        idempotency_key: None,
    };
    let new = match pat::add(provision, &request, wish).await {
        Ok(new) => new,
        Err(provision::Error::Refused(Refusal::AccountInactive(_))) => return Ok(shut(earlier)),
        Err(error) => return Err(error.into()),
    };
    pat::confirm(provision, &request, new.pat.public_id).await?;
    let token = new.token.expect("a wish without an idempotency key is never a repetition");
    let token = Zeroizing::new(token.expose().to_owned());
    Ok(Accounts { token, state: TokenState::New })
}

/// Whether the account is there now; `false` when it was deleted or must not be touched.
fn made(outcome: Result<(), provision::Error>) -> Result<bool, AccountsError> {
    match outcome {
        Ok(()) | Err(provision::Error::Refused(Refusal::UsernameTaken(_))) => Ok(true),
        Err(provision::Error::Refused(Refusal::UsernameDeleted(_) | Refusal::Cascade(_))) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn shut(earlier: Option<Zeroizing<String>>) -> Accounts {
    Accounts { token: earlier.unwrap_or_default(), state: TokenState::Shut }
}
