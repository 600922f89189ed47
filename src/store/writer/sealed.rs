//! Writing what is sealed, and the keys that it is sealed under.

use crate::directory::{AccountId, PersonalField};
use crate::seal::{BlindIndex, KeyId, WrappedKey};
use crate::store::error::{Conflict, StoreError};
use crate::store::writer::Writer;

impl Writer {
    /// Keeps a new data key.
    ///
    /// # Errors
    /// [`StoreError::Rule`] when there is one of this id.
    pub async fn insert_data_key(&mut self, id: KeyId, key: &WrappedKey) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO data_keys (id, master, wrapped) VALUES ($1, $2, $3)";
        let values = vec![id.as_bytes().as_slice().into(), i64::from(key.master.0).into(), key.bytes.as_slice().into()];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Destroys a data key, and with it whatever was sealed under it, wherever that stands (U7). Its bytes are
    /// written over first, in the place where they stand.
    pub async fn destroy_data_key(&mut self, key: KeyId) -> Result<(), StoreError> {
        const BLANK: &str = "UPDATE data_keys SET wrapped = $2 WHERE id = $1";
        const REMOVE: &str = "DELETE FROM data_keys WHERE id = $1";
        let id = || key.as_bytes().as_slice().into();
        let Some(wrapped) = self.data_key(key).await? else { return Ok(()) };
        self.execute(BLANK, vec![id(), vec![0; wrapped.bytes.len()].as_slice().into()]).await?;
        self.execute(REMOVE, vec![id()]).await.map(|_| ())
    }

    /// Writes what is known of a person in one field, sealed; an address with the digest that it is found by.
    ///
    /// # Errors
    /// [`Conflict::EmailTaken`]; [`StoreError::Rule`] when there is no such person.
    pub async fn put_personal(
        &mut self,
        person: AccountId,
        field: PersonalField,
        sealed: &[u8],
        digest: Option<&BlindIndex>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO personal (account, person, field, sealed, digest) VALUES ($1, 1, $2, $3, $4) \
            ON CONFLICT (account, field) DO UPDATE SET sealed = excluded.sealed, digest = excluded.digest";
        if let Some(digest) = digest
            && self.person_by_email(digest).await?.is_some_and(|holder| holder.id != person)
        {
            return Err(Conflict::EmailTaken.into());
        }
        let values = vec![
            person.as_bytes().as_slice().into(),
            field.slug().into(),
            sealed.into(),
            digest.map(|digest| digest.as_bytes().as_slice()).into(),
        ];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Takes away what is known of a person in one field.
    pub async fn remove_personal(&mut self, person: AccountId, field: PersonalField) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM personal WHERE account = $1 AND field = $2";
        self.execute(SQL, vec![person.as_bytes().as_slice().into(), field.slug().into()]).await.map(|_| ())
    }
}
