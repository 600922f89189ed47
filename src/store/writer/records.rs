//! Writing the small tables: roles, reasons, tombstones, apps.

use std::collections::BTreeSet;

use crate::directory::tombstone::Tombstone;
use crate::directory::{AppName, Permission, ReasonCode, RoleName};
use crate::history::Place;
use crate::store::error::{Conflict, StoreError};
use crate::store::value::int;
use crate::store::writer::Writer;

impl Writer {
    /// Defines a role.
    ///
    /// # Errors
    /// [`Conflict::RoleExists`].
    pub async fn insert_role(&mut self, role: &RoleName, permissions: &BTreeSet<Permission>) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO roles (name) VALUES ($1) ON CONFLICT (name) DO NOTHING";
        if self.execute(SQL, vec![role.as_str().into()]).await? == 0 {
            return Err(Conflict::RoleExists(role.clone()).into());
        }
        self.put_permissions(role, permissions).await
    }

    /// Replaces what a role contains, for everyone who holds it (R6).
    ///
    /// # Errors
    /// [`StoreError::Rule`] when the role is not defined.
    pub async fn set_role_permissions(
        &mut self,
        role: &RoleName,
        permissions: &BTreeSet<Permission>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM role_permissions WHERE role = $1";
        if self.role(role).await?.is_none() {
            return Err(StoreError::Rule { why: format!("the role `{role}` is not defined") });
        }
        self.execute(SQL, vec![role.as_str().into()]).await?;
        self.put_permissions(role, permissions).await
    }

    async fn put_permissions(&mut self, role: &RoleName, permissions: &BTreeSet<Permission>) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO role_permissions (role, permission) VALUES ($1, $2)";
        for permission in permissions {
            self.execute(SQL, vec![role.as_str().into(), permission.as_str().into()]).await?;
        }
        Ok(())
    }

    /// Adds a reason to the code table (T6).
    ///
    /// # Errors
    /// [`Conflict::ReasonExists`].
    pub async fn insert_reason(&mut self, code: &ReasonCode, meaning: &str) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO reasons (code, meaning) VALUES ($1, $2) ON CONFLICT (code) DO NOTHING";
        if self.execute(SQL, vec![code.as_str().into(), meaning.into()]).await? == 0 {
            return Err(Conflict::ReasonExists(code.clone()).into());
        }
        Ok(())
    }

    /// Says that the history which is kept begins after this entry of it; `signed` is the installation's word, as JSON.
    /// What stands before is removed by [`Bookkeeping::remove_moved_out`](crate::store::Bookkeeping::remove_moved_out).
    pub async fn set_history_base(&mut self, place: Place, signed: &str) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO history_base (id, sequence, hash, signed) VALUES (1, $1, $2, $3) \
            ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, \
            signed = excluded.signed";
        let values = vec![int(place.sequence), place.hash.as_bytes().as_slice().into(), signed.into()];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Remembers that a username was somebody's (P12).
    pub async fn insert_tombstone(&mut self, tombstone: &Tombstone) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO tombstones (digest) VALUES ($1) ON CONFLICT (digest) DO NOTHING";
        self.execute(SQL, vec![tombstone.as_bytes().as_slice().into()]).await.map(|_| ())
    }

    /// Sets a username free; whether it was remembered at all (P12).
    pub async fn remove_tombstone(&mut self, tombstone: &Tombstone) -> Result<bool, StoreError> {
        const SQL: &str = "DELETE FROM tombstones WHERE digest = $1";
        Ok(self.execute(SQL, vec![tombstone.as_bytes().as_slice().into()]).await? > 0)
    }

    /// Registers an app, or says whether the configuration still names it.
    pub async fn put_app(&mut self, app: &AppName, enabled: bool) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO apps (name, enabled) VALUES ($1, $2) \
            ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled";
        self.execute(SQL, vec![app.as_str().into(), i64::from(enabled).into()]).await.map(|_| ())
    }
}
