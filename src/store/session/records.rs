//! Reading the small tables and the head.

use uuid::Uuid;

use crate::directory::tombstone::Tombstone;
use crate::directory::{AppName, ReasonCode};
use crate::history::{ChainHash, Place};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::reason;
use crate::store::value::Row;

/// An app as the directory remembers it; its configuration stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRecord {
    pub name: AppName,
    /// Whether the configuration names it.
    pub enabled: bool,
}

/// The one row that every writer locks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many groups of changes were committed.
    pub epoch: u64,
    /// The last entry of the history; 0 when there is none.
    pub sequence: u64,
    pub hash: ChainHash,
}

impl Head {
    /// The end of the chain.
    pub const fn place(&self) -> Place {
        Place { sequence: self.sequence, hash: self.hash }
    }
}

impl Session {
    /// The code table of reasons: code and meaning (T6).
    pub async fn reasons(&mut self) -> Result<Vec<(ReasonCode, String)>, StoreError> {
        const SQL: &str = "SELECT code, meaning FROM reasons ORDER BY code";
        let rows = self.rows(SQL, Vec::new()).await?;
        rows.iter().map(|row| Ok((reason("code", &row.text("code")?)?, row.text("meaning")?))).collect()
    }

    pub async fn apps(&mut self) -> Result<Vec<AppRecord>, StoreError> {
        const SQL: &str = "SELECT name, enabled FROM apps ORDER BY name";
        let record = |row: &Row| {
            let name = AppName::parse(&row.text("name")?)
                .map_err(|error| StoreError::unreadable("name", error.to_string()))?;
            Ok(AppRecord { name, enabled: row.flag("enabled")? })
        };
        self.rows(SQL, Vec::new()).await?.iter().map(record).collect()
    }

    /// Whether a username was somebody's (P12).
    pub async fn has_tombstone(&mut self, tombstone: &Tombstone) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT digest FROM tombstones WHERE digest = $1";
        Ok(self.row(SQL, vec![tombstone.as_bytes().as_slice().into()]).await?.is_some())
    }

    /// Which installation this is.
    pub async fn installation(&mut self) -> Result<Uuid, StoreError> {
        const SQL: &str = "SELECT uuid FROM installation WHERE id = 1";
        let row = self.row(SQL, Vec::new()).await?;
        let row = row.ok_or_else(|| StoreError::unreadable("installation", "its row is missing".to_owned()))?;
        Ok(uuid::Builder::from_random_bytes(row.array("uuid")?).into_uuid())
    }

    pub async fn head(&mut self) -> Result<Head, StoreError> {
        const SQL: &str = "SELECT epoch, sequence, hash FROM head WHERE id = 1";
        head(self.row(SQL, Vec::new()).await?.as_ref())
    }

    /// Locks the head row: all writers of a database are one after another from here on. Setting it to
    /// itself locks it in both databases.
    pub(crate) async fn lock_head(&mut self) -> Result<Head, StoreError> {
        const SQL: &str = "UPDATE head SET epoch = epoch + 0 WHERE id = 1 RETURNING epoch, sequence, hash";
        head(self.row(SQL, Vec::new()).await?.as_ref())
    }
}

pub(crate) fn head(row: Option<&Row>) -> Result<Head, StoreError> {
    let row = row.ok_or_else(|| StoreError::unreadable("head", "its row is missing".to_owned()))?;
    Ok(Head {
        epoch: row.unsigned("epoch")?,
        sequence: row.unsigned("sequence")?,
        hash: ChainHash::from_bytes(row.array("hash")?),
    })
}
