//! Who runs Locum, and what one person may do (A3).

use super::{Names, account, refused_if_not_allowed};
use crate::directory::administrator::{AdministrationState, Held, Level};
use crate::directory::rights::Operation;
use crate::directory::{Account, AppName, Username};
use crate::provision::{Error, Provision, Request, Wanted, demands};
use crate::store::{AdministratorFilter, Reader};

/// One person with what it holds over Locum itself.
#[derive(Debug, Clone)]
pub struct Administrator {
    pub account: Account,
    pub held: Held,
    /// Who stands in the state of the administration, by username.
    pub names: Names,
}

/// Lists those who have a level or administer an app, by username.
///
/// # Errors
/// When the caller may not, or the app is unknown.
pub async fn administrators(
    provision: &Provision,
    request: &Request,
    level: Option<Level>,
    app: Option<AppName>,
    after: Option<Username>,
    limit: u32,
) -> Result<Vec<Administrator>, Error> {
    let reading = async {
        request.demand(&Operation::ListAdministrators)?;
        let mut reader = provision.0.store.read().await?;
        if let Some(app) = &app {
            demands::demand_app(&mut reader, app).await?;
        }
        let found = reader.administrators(&AdministratorFilter { level, app, after, limit }).await?;
        let mut all = Vec::with_capacity(found.len());
        for (account, held) in found {
            all.push(with_names(&mut reader, account, held).await?);
        }
        Ok(all)
    };
    refused_if_not_allowed(provision, request, "admin_list", reading.await).await
}

/// What one person may do with Locum.
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn administrator(
    provision: &Provision,
    request: &Request,
    username: &Username,
) -> Result<Administrator, Error> {
    let reading = async {
        let mut reader = provision.0.store.read().await?;
        let account = account(&mut reader, request, username, Wanted::Person).await?;
        let held = reader.rights_held(account.id).await?;
        with_names(&mut reader, account, held).await
    };
    refused_if_not_allowed(provision, request, "admin_show", reading.await).await
}

async fn with_names(reader: &mut Reader, account: Account, held: Held) -> Result<Administrator, Error> {
    let mut names = Names::default();
    if let Some(AdministrationState::Inactive { by, .. }) = held.administration.as_ref().map(|held| &held.state) {
        names.add_actor(reader, by).await?;
    }
    Ok(Administrator { account, held, names })
}
