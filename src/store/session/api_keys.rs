//! Reading the keys of the admin API.

use crate::clock::Timestamp;
use crate::directory::api_key::{ApiKey, KeyState, Scopes};
use crate::directory::pepper::{PepperVersion, TokenHash};
use crate::directory::{AccountId, PublicId};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::{actor, reason};
use crate::store::value::{Row, Value};

/// A key with what judging it needs.
#[derive(Debug, Clone)]
pub struct KeptKey {
    pub key: ApiKey,
    pub hash: TokenHash,
    pub pepper: PepperVersion,
}

impl Session {
    pub async fn api_key(&mut self, public_id: PublicId) -> Result<Option<KeptKey>, StoreError> {
        const SQL: &str = "SELECT public_id, account, name, scopes, hash, pepper, created_at, created_by, expires_at, \
            revoked_at, revoked_by, revoked_reason, last_used_at FROM api_keys WHERE public_id = $1";
        self.row(SQL, vec![public_id.as_str().into()]).await?.as_ref().map(kept).transpose()
    }

    /// A page of keys, of all or of one person, by public id.
    pub async fn api_keys(
        &mut self,
        account: Option<AccountId>,
        after: Option<PublicId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        const SQL: &str = "SELECT public_id, account, name, scopes, hash, pepper, created_at, created_by, expires_at, \
            revoked_at, revoked_by, revoked_reason, last_used_at FROM api_keys \
            WHERE ($1 IS NULL OR account = $1) AND public_id > $2 ORDER BY public_id LIMIT $3";
        let values: Vec<Value> = vec![
            account.as_ref().map(|account| account.as_bytes().as_slice()).into(),
            after.as_ref().map_or("", PublicId::as_str).into(),
            i64::from(limit).into(),
        ];
        self.rows(SQL, values).await?.iter().map(key).collect()
    }
}

fn kept(row: &Row) -> Result<KeptKey, StoreError> {
    let version = row.int("pepper")?;
    let version = u32::try_from(version)
        .map_err(|_| StoreError::unreadable("pepper", format!("{version} is not the version of a pepper")))?;
    Ok(KeptKey { key: key(row)?, hash: TokenHash::from_bytes(row.array("hash")?), pepper: PepperVersion(version) })
}

fn key(row: &Row) -> Result<ApiKey, StoreError> {
    let public_id = row.text("public_id")?;
    let not_one = || StoreError::unreadable("public_id", format!("`{public_id}` is not a public id"));
    let scopes = row.text("scopes")?;
    Ok(ApiKey {
        public_id: PublicId::parse(&public_id).ok_or_else(not_one)?,
        account: AccountId::from_bytes(row.array("account")?),
        name: row.text("name")?,
        scopes: Scopes::parse(scopes.split_ascii_whitespace())
            .map_err(|error| StoreError::unreadable("scopes", error.to_string()))?,
        state: match row.optional_int("revoked_at")? {
            None => KeyState::Active,
            Some(at) => KeyState::Revoked {
                at: Timestamp::from_millis(at),
                by: actor("revoked_by", &row.text("revoked_by")?)?,
                reason: reason("revoked_reason", &row.text("revoked_reason")?)?,
            },
        },
        created_at: Timestamp::from_millis(row.int("created_at")?),
        created_by: actor("created_by", &row.text("created_by")?)?,
        expires_at: Timestamp::from_millis(row.int("expires_at")?),
        last_used_at: row.optional_int("last_used_at")?.map(Timestamp::from_millis),
    })
}
