//! Writing tokens: their keyed hash, never their secret (T4).

use std::time::Duration;

use crate::clock::Timestamp;
use crate::directory::pepper::{PepperVersion, TokenHash};
use crate::directory::{AppName, Pat, PatState, PublicId};
use crate::store::error::{Conflict, StoreError};
use crate::store::value::Value;
use crate::store::writer::Writer;

impl Writer {
    /// Adds a token.
    ///
    /// # Errors
    /// [`Conflict::PublicIdTaken`]; [`StoreError::Rule`] when its account does not exist.
    pub async fn insert_pat(&mut self, pat: &Pat, hash: &TokenHash, pepper: PepperVersion) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO pats (public_id, account, service, hash, pepper, created_at, created_by, \
            expires_at, pending_until, confirmed_at, revoked_at, revoked_by, revoked_reason, networks, apps, \
            read_only, last_used_at, replaces, overlap, silence, retires_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";
        if self.pat(pat.public_id).await?.is_some() {
            return Err(Conflict::PublicIdTaken(pat.public_id).into());
        }
        let [pending_until, confirmed_at, revoked_at, revoked_by, revoked_reason] = state_values(&pat.state);
        let apps = pat.restrictions.apps.iter().map(AppName::as_str).collect::<Vec<_>>().join(" ");
        let values = vec![
            pat.public_id.as_str().into(),
            pat.account.as_bytes().as_slice().into(),
            pat.service.as_str().into(),
            hash.as_bytes().as_slice().into(),
            i64::from(pepper.0).into(),
            pat.created_at.as_millis().into(),
            pat.created_by.to_stored().into(),
            pat.expires_at.as_millis().into(),
            pending_until,
            confirmed_at,
            revoked_at,
            revoked_by,
            revoked_reason,
            pat.restrictions.networks.to_string().into(),
            apps.into(),
            i64::from(pat.restrictions.read_only).into(),
            pat.last_used.as_ref().map(|last| last.at.as_millis()).into(),
            pat.succession.as_ref().map(|succession| succession.of.to_string()).into(),
            pat.succession.as_ref().map(|succession| millis(succession.terms.overlap)).into(),
            pat.succession.as_ref().and_then(|succession| succession.terms.silence).map(millis).into(),
            pat.retires_at.map(Timestamp::as_millis).into(),
        ];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Notes which warning before its end was given of a token (T11).
    pub async fn set_warned(&mut self, public_id: PublicId, days: u32) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE pats SET warned_days = $2 WHERE public_id = $1";
        self.execute(SQL, vec![public_id.as_str().into(), i64::from(days).into()]).await.map(|_| ())
    }

    /// Writes where a token stands in its life, after [`Pat::confirm`], [`Pat::retire`] or [`Pat::revoke`]. What is
    /// revoked stays so, whatever is written (T6).
    ///
    /// # Errors
    /// [`StoreError::Rule`] when there is no such token, or it is revoked already.
    pub async fn save_pat_state(&mut self, pat: &Pat) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE pats SET pending_until = $2, confirmed_at = $3, revoked_at = $4, revoked_by = $5, \
            revoked_reason = $6, retires_at = $7 WHERE public_id = $1 AND revoked_at IS NULL";
        let [pending_until, confirmed_at, revoked_at, revoked_by, revoked_reason] = state_values(&pat.state);
        let values = vec![
            pat.public_id.as_str().into(),
            pending_until,
            confirmed_at,
            revoked_at,
            revoked_by,
            revoked_reason,
            pat.retires_at.map(Timestamp::as_millis).into(),
        ];
        if self.execute(SQL, values).await? == 0 {
            return Err(StoreError::Rule {
                why: format!("the token `{}` does not exist or is revoked", pat.public_id),
            });
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Pending until, confirmed at, revoked at, by, why.
fn state_values(state: &PatState) -> [Value; 5] {
    const NO_INT: Value = Value::Int(None);
    const NO_TEXT: Value = Value::Text(None);
    match state {
        PatState::Pending { until } => [until.as_millis().into(), NO_INT, NO_INT, NO_TEXT, NO_TEXT],
        PatState::Confirmed { at } => [NO_INT, at.as_millis().into(), NO_INT, NO_TEXT, NO_TEXT],
        PatState::Revoked { at, by, reason } => {
            [NO_INT, NO_INT, at.as_millis().into(), by.to_stored().into(), reason.as_str().into()]
        }
    }
}
