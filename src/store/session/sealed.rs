//! Reading what is sealed, and the keys that it is sealed under.

use crate::directory::{Account, AccountId, Personal, PersonalField, Username};
use crate::seal::{BlindIndex, DataKey, KeyId, Keyring, MasterVersion, Place, SealError, WrappedKey};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::account;
use crate::store::value::Row;

/// What is known of one person, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPersonal {
    pub account: AccountId,
    /// The key under which it all is sealed.
    pub key: WrappedKey,
    pub fields: Vec<(PersonalField, Vec<u8>)>,
}

impl SealedPersonal {
    /// Where a field of a person stands, for sealing and opening it.
    pub fn place(person: &AccountId, field: PersonalField) -> Place<'_> {
        Place { table: "personal", column: field.slug(), row: person.as_bytes() }
    }

    /// Opens all of it.
    ///
    /// # Errors
    /// When it cannot be opened, or is not what it should be.
    pub fn open(&self, keyring: &Keyring) -> Result<Personal, SealError> {
        let key = DataKey::unwrap(KeyId::of_person(self.account), &self.key, keyring)?;
        let mut personal = Personal::default();
        for (field, bytes) in &self.fields {
            let text = key.open(&Self::place(&self.account, *field), bytes)?;
            personal.put(*field, &text).map_err(|_| SealError::Damaged("personal"))?;
        }
        Ok(personal)
    }
}

/// A version of the master key, and how many data keys are wrapped under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterUse {
    pub version: MasterVersion,
    pub keys: u64,
}

impl Session {
    pub async fn data_key(&mut self, id: KeyId) -> Result<Option<WrappedKey>, StoreError> {
        const SQL: &str = "SELECT master, wrapped FROM data_keys WHERE id = $1";
        self.row(SQL, vec![id.as_bytes().as_slice().into()]).await?.as_ref().map(wrapped).transpose()
    }

    /// Under which versions of the master key the data keys are wrapped, the oldest first.
    pub async fn master_uses(&mut self) -> Result<Vec<MasterUse>, StoreError> {
        const SQL: &str = "SELECT master, count(*) AS keys FROM data_keys GROUP BY master ORDER BY master";
        let rows = self.rows(SQL, Vec::new()).await?;
        rows.iter().map(|row| Ok(MasterUse { version: master(row)?, keys: row.unsigned("keys")? })).collect()
    }

    /// Data keys that are wrapped under a version of the master key, in no order that means anything.
    pub async fn data_keys_under(
        &mut self,
        version: MasterVersion,
        limit: u32,
    ) -> Result<Vec<(KeyId, WrappedKey)>, StoreError> {
        const SQL: &str = "SELECT id, master, wrapped FROM data_keys WHERE master = $1 LIMIT $2";
        let rows = self.rows(SQL, vec![i64::from(version.0).into(), i64::from(limit).into()]).await?;
        rows.iter().map(|row| Ok((KeyId::from_bytes(row.array("id")?), wrapped(row)?))).collect()
    }

    /// What is known of a person; `None` when nothing is, or it is no person.
    pub async fn personal(&mut self, person: AccountId) -> Result<Option<SealedPersonal>, StoreError> {
        const SQL: &str = "SELECT p.account, p.field, p.sealed, k.master, k.wrapped \
            FROM personal p JOIN data_keys k ON k.id = p.account WHERE p.account = $1 ORDER BY p.field";
        let rows = self.rows(SQL, vec![person.as_bytes().as_slice().into()]).await?;
        Ok(people(&rows)?.pop())
    }

    /// What is known of the people whose usernames lie between two, both of them included, whatever the case.
    pub async fn personal_between(
        &mut self,
        first: &Username,
        last: &Username,
    ) -> Result<Vec<SealedPersonal>, StoreError> {
        const SQL: &str = "SELECT p.account, p.field, p.sealed, k.master, k.wrapped \
            FROM accounts a JOIN personal p ON p.account = a.id JOIN data_keys k ON k.id = p.account \
            WHERE a.folded >= $1 AND a.folded <= $2 ORDER BY a.folded, p.field";
        people(&self.rows(SQL, vec![first.folded().into(), last.folded().into()]).await?)
    }

    /// The person with this address.
    pub async fn person_by_email(&mut self, digest: &BlindIndex) -> Result<Option<Account>, StoreError> {
        const SQL: &str = "SELECT a.id, a.username, a.owner, a.life, a.created_at, a.inactive_at, a.inactive_by, \
            a.inactive_reason, a.networks FROM personal p JOIN accounts a ON a.id = p.account WHERE p.digest = $1";
        let row = self.row(SQL, vec![digest.as_bytes().as_slice().into()]).await?;
        row.map(|row| account(&row, "")).transpose()
    }
}

/// Puts the rows of each person together; those of one stand together.
fn people(rows: &[Row]) -> Result<Vec<SealedPersonal>, StoreError> {
    let mut people: Vec<SealedPersonal> = Vec::new();
    for row in rows {
        let account = AccountId::from_bytes(row.array("account")?);
        let slug = row.text("field")?;
        let field = PersonalField::from_slug(&slug)
            .ok_or_else(|| StoreError::unreadable("field", format!("`{slug}` is no field of a person")))?;
        let sealed = (field, row.bytes("sealed")?);
        match people.last_mut() {
            Some(last) if last.account == account => last.fields.push(sealed),
            _ => people.push(SealedPersonal { account, key: wrapped(row)?, fields: vec![sealed] }),
        }
    }
    Ok(people)
}

pub(crate) fn wrapped(row: &Row) -> Result<WrappedKey, StoreError> {
    Ok(WrappedKey { master: master(row)?, bytes: row.bytes("wrapped")? })
}

fn master(row: &Row) -> Result<MasterVersion, StoreError> {
    let version = row.int("master")?;
    let number = u32::try_from(version);
    number
        .map(MasterVersion)
        .map_err(|_| StoreError::unreadable("master", format!("{version} is not the version of a master key")))
}
