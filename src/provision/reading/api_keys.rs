//! The keys of the admin API, without their secrets (A6).

use super::{Names, refused_if_not_allowed};
use crate::directory::api_key::{ApiKey, KeyState};
use crate::directory::rights::Operation;
use crate::directory::{PublicId, Username};
use crate::provision::{Error, Provision, Refusal, Request, demands};
use crate::store::Reader;

/// Lists keys, of all or of one person, by public id.
///
/// # Errors
/// When the caller may not, or there is no such person.
pub async fn api_keys(
    provision: &Provision,
    request: &Request,
    person: Option<Username>,
    after: Option<PublicId>,
    limit: u32,
) -> Result<(Vec<ApiKey>, Names), Error> {
    let reading = async {
        request.demand(&Operation::ManageApiKeys)?;
        let mut reader = provision.0.store.read().await?;
        let person = match &person {
            None => None,
            Some(username) => match reader.account_by_username(username).await? {
                Some(account) => Some(account.id),
                None => return Err(demands::unknown_account(&mut reader, username).await?.into()),
            },
        };
        let keys = reader.api_keys(person, after, limit).await?;
        let names = names_of(&mut reader, &keys).await?;
        Ok((keys, names))
    };
    refused_if_not_allowed(provision, request, "api_key_list", reading.await).await
}

/// One key.
///
/// # Errors
/// When the caller may not, or there is no such key.
pub async fn api_key(provision: &Provision, request: &Request, public_id: PublicId) -> Result<(ApiKey, Names), Error> {
    let reading = async {
        request.demand(&Operation::ManageApiKeys)?;
        let mut reader = provision.0.store.read().await?;
        let key = reader.api_key(public_id).await?.ok_or(Refusal::UnknownApiKey(public_id))?.key;
        let names = names_of(&mut reader, std::slice::from_ref(&key)).await?;
        Ok((key, names))
    };
    refused_if_not_allowed(provision, request, "api_key_show", reading.await).await
}

async fn names_of(reader: &mut Reader, keys: &[ApiKey]) -> Result<Names, Error> {
    let mut names = Names::default();
    for key in keys {
        names.add(reader, key.account).await?;
        names.add_actor(reader, &key.created_by).await?;
        if let KeyState::Revoked { by, .. } = &key.state {
            names.add_actor(reader, by).await?;
        }
    }
    Ok(names)
}
