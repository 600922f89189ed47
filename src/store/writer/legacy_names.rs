//! Writing legacy names.

use crate::directory::{AccountId, AppName};
use crate::seal::BlindIndex;
use crate::store::error::StoreError;
use crate::store::writer::Writer;

impl Writer {
    /// Writes what a person is called in an app, in place of what it was called there.
    ///
    /// # Errors
    /// [`StoreError::Rule`] when somebody else is called so, or there is no such person or app.
    pub async fn put_legacy_name(
        &mut self,
        person: AccountId,
        app: &AppName,
        digest: &BlindIndex,
        sealed: &[u8],
        imported: bool,
    ) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO legacy_names (account, person, app, digest, sealed, imported) \
            VALUES ($1, 1, $2, $3, $4, $5) ON CONFLICT (account, app) DO UPDATE SET \
            digest = excluded.digest, sealed = excluded.sealed, imported = excluded.imported";
        let values = vec![
            person.as_bytes().as_slice().into(),
            app.as_str().into(),
            digest.as_bytes().as_slice().into(),
            sealed.into(),
            i64::from(imported).into(),
        ];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Takes away what a person is called in an app.
    pub async fn remove_legacy_name(&mut self, person: AccountId, app: &AppName) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM legacy_names WHERE account = $1 AND app = $2";
        self.execute(SQL, vec![person.as_bytes().as_slice().into(), app.as_str().into()]).await.map(|_| ())
    }

    /// Puts a name into the list of an app; says whether it was not there.
    pub async fn put_imported(
        &mut self,
        app: &AppName,
        digest: &BlindIndex,
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO imported_names (app, digest, sealed) VALUES ($1, $2, $3) \
            ON CONFLICT (app, digest) DO NOTHING";
        let values = vec![app.as_str().into(), digest.as_bytes().as_slice().into(), sealed.into()];
        Ok(self.execute(SQL, values).await? > 0)
    }

    /// Takes a name out of the list of an app; says whether it was there.
    pub async fn remove_imported(&mut self, app: &AppName, digest: &BlindIndex) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM imported_names WHERE app = $1 AND digest = $2";
        Ok(self.execute(SQL, vec![app.as_str().into(), digest.as_bytes().as_slice().into()]).await? > 0)
    }
}
