//! Personal data, sealed and opened inside an operation: the keys, what is known of a person, and what the
//! history says of it (E1, U7).

use zeroize::Zeroizing;

use super::operation::Hand;
use super::{Error, Provision, Refusal};
use crate::directory::{Account, AccountId, Email, Personal, PersonalField};
use crate::history::{Detail, Value};
use crate::seal::{BlindIndex, DataKey, IndexKey, KeyId, Keyring, Place, SealError};
use crate::store::{SealedPersonal, Session, Store, StoreError};

/// What an address is indexed as.
const EMAIL: &str = "email";

/// Why a store cannot be served with the master key that is there.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("the store holds sealed personal data: {0}")]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks whether what the store holds sealed can be opened: at one key of each version of the master key. A store
/// in which nothing is sealed needs no master key.
///
/// # Errors
/// Says which version is missing or wrong.
pub async fn demand_readable(store: &Store, keyring: &Keyring) -> Result<(), Unreadable> {
    let mut reader = store.read().await?;
    for used in reader.master_uses().await? {
        for (id, key) in reader.data_keys_under(used.version, 1).await? {
            keyring.demand_opens(id, &key)?;
        }
    }
    Ok(())
}

/// The person with exactly this address, whatever the case.
pub(super) async fn person_with(
    session: &mut Session,
    provision: &Provision,
    email: &Email,
) -> Result<Option<Account>, Error> {
    // Where nothing was ever sealed there is no key to look up with, and nobody has an address.
    let Some(wrapped) = session.data_key(KeyId::INDEX).await? else { return Ok(None) };
    let index = IndexKey::unwrap(&wrapped, provision.keyring())?;
    Ok(session.person_by_email(&index.digest(EMAIL, &email.folded())).await?)
}

/// Opens a value of the history; `None` when its key was destroyed, or it is not readable here.
pub(super) async fn open_value(
    session: &mut Session,
    provision: &Provision,
    field: &str,
    value: &Value,
) -> Result<Option<Zeroizing<String>>, Error> {
    let Value::Sealed { key, bytes } = value else { return Ok(None) };
    let Some(id) = KeyId::parse(key) else { return Ok(None) };
    let Some(wrapped) = session.data_key(id).await? else { return Ok(None) };
    let opened = DataKey::unwrap(id, &wrapped, provision.keyring());
    match opened.and_then(|key| key.open(&in_history(id, field).place(), bytes)) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            // A list is shown all the same; but a key that was changed or exchanged is not one that was destroyed.
            tracing::warn!(%error, key, field, "a sealed value of the history does not open, though its key is there");
            Ok(None)
        }
    }
}

/// Where a value of the history stands: it is bound to whom it is about and to what it is, and by the chain to its
/// entry.
struct InHistory {
    row: Vec<u8>,
}

impl InHistory {
    fn place(&self) -> Place<'_> {
        Place { table: "history", column: "value", row: &self.row }
    }
}

fn in_history(id: KeyId, field: &str) -> InHistory {
    InHistory { row: [id.as_bytes().as_slice(), field.as_bytes()].concat() }
}

impl Provision {
    pub(super) fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }
}

impl Hand<'_> {
    /// The data key of this id; made when there is none.
    pub(super) async fn data_key(&mut self, id: KeyId) -> Result<DataKey, Error> {
        let parts = &self.provision.0;
        if let Some(wrapped) = self.writer.data_key(id).await? {
            return Ok(DataKey::unwrap(id, &wrapped, &parts.keyring)?);
        }
        let (key, wrapped) = DataKey::generate(id, &parts.keyring, &*parts.random)?;
        self.writer.insert_data_key(id, &wrapped).await?;
        Ok(key)
    }

    /// The key of the blind index; made when there is none.
    pub(super) async fn index_key(&mut self) -> Result<IndexKey, Error> {
        if self.writer.data_key(KeyId::INDEX).await?.is_none() {
            self.data_key(KeyId::INDEX).await?;
        }
        let wrapped = self.writer.data_key(KeyId::INDEX).await?.ok_or(SealError::NoMasterKey)?;
        Ok(IndexKey::unwrap(&wrapped, &self.provision.0.keyring)?)
    }

    /// What is known of a person.
    pub(super) async fn personal(&mut self, person: AccountId) -> Result<Personal, Error> {
        let sealed = self.writer.personal(person).await?;
        Ok(sealed.map(|sealed| sealed.open(&self.provision.0.keyring)).transpose()?.unwrap_or_default())
    }

    /// Writes what is known of a person from now on, and answers with what the history says of it: nothing when it
    /// was so before.
    pub(super) async fn put_personal(
        &mut self,
        person: &Account,
        before: &Personal,
        after: &Personal,
    ) -> Result<Vec<Detail>, Error> {
        let mut details = Vec::new();
        if before == after {
            return Ok(details);
        }
        let key = self.data_key(KeyId::of_person(person.id)).await?;
        for field in PersonalField::ALL {
            let (was, is) = (before.text(field), after.text(field));
            if was == is {
                continue;
            }
            match is {
                None => self.writer.remove_personal(person.id, field).await?,
                Some(text) => {
                    let digest = match &after.email {
                        Some(email) if field == PersonalField::Email => Some(self.free_digest(person.id, email).await?),
                        _ => None,
                    };
                    let sealed = key.seal(&SealedPersonal::place(&person.id, field), text, &*self.provision.0.random);
                    self.writer.put_personal(person.id, field, &sealed, digest.as_ref()).await?;
                }
            }
            details.push(self.sealed_detail(&key, field.slug(), was, is));
        }
        Ok(details)
    }

    /// The digest of an address that nobody else has.
    async fn free_digest(&mut self, person: AccountId, email: &Email) -> Result<BlindIndex, Error> {
        let digest = self.index_key().await?.digest(EMAIL, &email.folded());
        match self.writer.person_by_email(&digest).await? {
            Some(holder) if holder.id != person => Err(Refusal::EmailTaken.into()),
            _ => Ok(digest),
        }
    }

    /// What was before and after of something that only its key can read.
    pub(super) fn sealed_detail(
        &self,
        key: &DataKey,
        field: &str,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Detail {
        let place = in_history(key.id(), field);
        let seal = |text: &str| Value::Sealed {
            key: key.id().to_string(),
            bytes: key.seal(&place.place(), text, &*self.provision.0.random),
        };
        Detail { field: field.to_owned(), before: before.map(seal), after: after.map(seal) }
    }
}
