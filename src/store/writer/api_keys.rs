//! Writing the keys of the admin API: their keyed hash, never their secret (T4).

use crate::clock::Timestamp;
use crate::directory::api_key::{ApiKey, KeyState};
use crate::directory::pepper::{PepperVersion, TokenHash};
use crate::directory::{AccountId, Actor, PublicId, ReasonCode};
use crate::store::error::{Conflict, StoreError};
use crate::store::writer::Writer;

impl Writer {
    /// Adds a key that is not revoked.
    ///
    /// # Errors
    /// [`Conflict::PublicIdTaken`]; [`StoreError::Rule`] when its person does not exist.
    pub async fn insert_api_key(
        &mut self,
        key: &ApiKey,
        hash: &TokenHash,
        pepper: PepperVersion,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO api_keys (public_id, account, person, name, scopes, hash, pepper, created_at, \
            created_by, expires_at) VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9)";
        if key.state != KeyState::Active {
            return Err(StoreError::Rule { why: format!("the key `{}` is revoked", key.public_id) });
        }
        if self.api_key(key.public_id).await?.is_some() {
            return Err(Conflict::PublicIdTaken(key.public_id).into());
        }
        let values = vec![
            key.public_id.as_str().into(),
            key.account.as_bytes().as_slice().into(),
            key.name.as_str().into(),
            key.scopes.to_string().into(),
            hash.as_bytes().as_slice().into(),
            i64::from(pepper.0).into(),
            key.created_at.as_millis().into(),
            key.created_by.to_stored().into(),
            key.expires_at.as_millis().into(),
        ];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Revokes a key; whether it was not yet.
    pub async fn revoke_api_key(
        &mut self,
        public_id: PublicId,
        at: Timestamp,
        by: &Actor,
        reason: &ReasonCode,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE api_keys SET revoked_at = $2, revoked_by = $3, revoked_reason = $4 \
            WHERE public_id = $1 AND revoked_at IS NULL";
        let values =
            vec![public_id.as_str().into(), at.as_millis().into(), by.to_stored().into(), reason.as_str().into()];
        Ok(self.execute(SQL, values).await? > 0)
    }

    /// Revokes all keys of a person; answers with those that were not yet.
    pub async fn revoke_api_keys_of(
        &mut self,
        account: AccountId,
        at: Timestamp,
        by: &Actor,
        reason: &ReasonCode,
    ) -> Result<Vec<PublicId>, StoreError> {
        const SQL: &str = "UPDATE api_keys SET revoked_at = $2, revoked_by = $3, revoked_reason = $4 \
            WHERE account = $1 AND revoked_at IS NULL RETURNING public_id";
        let values = vec![
            account.as_bytes().as_slice().into(),
            at.as_millis().into(),
            by.to_stored().into(),
            reason.as_str().into(),
        ];
        let mut revoked = Vec::new();
        for row in self.rows(SQL, values).await? {
            let text = row.text("public_id")?;
            let not_one = || StoreError::unreadable("public_id", format!("`{text}` is not a public id"));
            revoked.push(PublicId::parse(&text).ok_or_else(not_one)?);
        }
        revoked.sort_unstable();
        Ok(revoked)
    }
}
