//! Reading legacy names, sealed as they are.

use crate::directory::{Account, AccountId, AppName};
use crate::seal::{BlindIndex, DataKey, KeyId, Keyring, Place, SealError, WrappedKey};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::account;
use crate::store::session::sealed::wrapped;
use crate::store::value::Row;
use zeroize::Zeroizing;

/// What a person is called in one app, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedLegacyName {
    pub account: AccountId,
    pub app: AppName,
    pub digest: [u8; 32],
    pub sealed: Vec<u8>,
    /// Whether it goes back to the list of the app when it is free again.
    pub imported: bool,
    /// The key of the person.
    pub key: WrappedKey,
}

impl SealedLegacyName {
    /// Where the name of a person in an app stands, for sealing and opening it: `row` is that of [`Self::row`].
    pub const fn place(row: &[u8]) -> Place<'_> {
        Place { table: "legacy_names", column: "sealed", row }
    }

    /// What tells this row from all others.
    pub fn row(person: AccountId, app: &AppName) -> Vec<u8> {
        [person.as_bytes().as_slice(), app.as_str().as_bytes()].concat()
    }

    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self, keyring: &Keyring) -> Result<Zeroizing<String>, SealError> {
        let key = DataKey::unwrap(KeyId::of_person(self.account), &self.key, keyring)?;
        key.open(&Self::place(&Self::row(self.account, &self.app)), &self.sealed)
    }
}

impl Session {
    /// What a person is called, by app.
    pub async fn legacy_names(&mut self, person: AccountId) -> Result<Vec<SealedLegacyName>, StoreError> {
        const SQL: &str = "SELECT l.account, l.app, l.digest, l.sealed, l.imported, k.master, k.wrapped \
            FROM legacy_names l JOIN data_keys k ON k.id = l.account WHERE l.account = $1 ORDER BY l.app";
        self.rows(SQL, vec![person.as_bytes().as_slice().into()]).await?.iter().map(legacy_name).collect()
    }

    /// The person who is called so in an app.
    pub async fn person_called(&mut self, app: &AppName, digest: &BlindIndex) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT a.id, a.username, a.owner, a.life, a.created_at, a.inactive_at, a.inactive_by, \
            a.inactive_reason, a.networks FROM legacy_names l JOIN accounts a ON a.id = l.account \
            WHERE l.app = $1 AND l.digest = $2";
        let row = self.row(SQL, vec![app.as_str().into(), digest.as_bytes().as_slice().into()]).await?;
        row.map(|row| account(&row, "")).transpose()
    }

    /// Whether this name stands in the list of an app and belongs to nobody.
    pub async fn is_imported(&mut self, app: &AppName, digest: &BlindIndex) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT digest FROM imported_names WHERE app = $1 AND digest = $2";
        Ok(self.row(SQL, vec![app.as_str().into(), digest.as_bytes().as_slice().into()]).await?.is_some())
    }

    /// How many names stand in the list of an app and belong to nobody.
    pub async fn imported_count(&mut self, app: &AppName) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT count(*) AS names FROM imported_names WHERE app = $1";
        self.row(SQL, vec![app.as_str().into()]).await?.map_or(Ok(0), |row| row.unsigned("names"))
    }
}

fn legacy_name(row: &Row) -> Result<SealedLegacyName, StoreError> {
    let app = row.text("app")?;
    Ok(SealedLegacyName {
        account: AccountId::from_bytes(row.array("account")?),
        app: AppName::parse(&app).map_err(|error| StoreError::unreadable("app", error.to_string()))?,
        digest: row.array("digest")?,
        sealed: row.bytes("sealed")?,
        imported: row.flag("imported")?,
        key: wrapped(row)?,
    })
}
