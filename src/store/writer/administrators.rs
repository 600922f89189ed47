//! Writing who runs Locum. The schema keeps proxy users out (P14).

use crate::directory::administrator::{Administration, AdministrationState};
use crate::directory::rights::Right;
use crate::directory::{AccountId, AppName};
use crate::store::error::StoreError;
use crate::store::writer::Writer;

impl Writer {
    /// Writes somebody's level and whether it is in force.
    pub async fn put_administration(&mut self, account: AccountId, held: &Administration) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO administrators (account, person, level, inactive_at, inactive_by) \
            VALUES ($1, 1, $2, $3, $4) ON CONFLICT (account) DO UPDATE SET level = excluded.level, \
            inactive_at = excluded.inactive_at, inactive_by = excluded.inactive_by";
        let (at, by) = match &held.state {
            AdministrationState::Active => (None, None),
            AdministrationState::Inactive { at, by } => (Some(at.as_millis()), Some(by.to_stored())),
        };
        let values = vec![account.as_bytes().as_slice().into(), held.level.slug().into(), at.into(), by.into()];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Makes somebody an administrator of an app (R5).
    pub async fn give_app_administration(&mut self, account: AccountId, app: &AppName) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO app_administrators (account, person, app) VALUES ($1, 1, $2) \
            ON CONFLICT (account, app) DO NOTHING";
        self.execute(SQL, vec![account.as_bytes().as_slice().into(), app.as_str().into()]).await.map(|_| ())
    }

    /// Ends that.
    pub async fn take_app_administration(&mut self, account: AccountId, app: &AppName) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM app_administrators WHERE account = $1 AND app = $2";
        self.execute(SQL, vec![account.as_bytes().as_slice().into(), app.as_str().into()]).await.map(|_| ())
    }

    /// Grants a right over Locum to a person.
    pub async fn grant_right(&mut self, account: AccountId, right: Right) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO granted_rights (account, person, granted) VALUES ($1, 1, $2) \
            ON CONFLICT (account, granted) DO NOTHING";
        self.execute(SQL, vec![account.as_bytes().as_slice().into(), right.slug().into()]).await.map(|_| ())
    }

    /// Takes it again.
    pub async fn withdraw_right(&mut self, account: AccountId, right: Right) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM granted_rights WHERE account = $1 AND granted = $2";
        self.execute(SQL, vec![account.as_bytes().as_slice().into(), right.slug().into()]).await.map(|_| ())
    }
}
