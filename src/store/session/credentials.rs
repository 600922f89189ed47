//! Reading tokens, and the one look-up that an attempt to authenticate costs.

use std::net::AddrParseError;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::directory::pat::{Succession, Terms};
use crate::directory::pepper::{PepperVersion, TokenHash};
use crate::directory::{Account, AccountId, AppName, LastUse, Pat, PatState, PublicId, Restrictions};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::{actor, networks, optional_account, reason};
use crate::store::value::Row;

/// A token with what judging it needs.
#[derive(Debug, Clone)]
pub struct KeptPat {
    pub pat: Pat,
    pub hash: TokenHash,
    pub pepper: PepperVersion,
    pub account: Account,
    /// The person behind it, where the account is a proxy user.
    pub owner: Option<Account>,
}

/// A token that expires soon, and which warning is due (T11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    pub public_id: PublicId,
    pub account: AccountId,
    pub expires_at: Timestamp,
    /// Within so many days.
    pub days: u32,
}

/// Whatever exists of what somebody presented.
#[derive(Debug, Clone, Default)]
pub struct LookUp {
    /// The account of exactly the presented username.
    pub named: Option<Account>,
    /// The token of the presented public id, whosever it is.
    pub pat: Option<KeptPat>,
}

/// A version of the pepper, and how many tokens and API keys that are not revoked are hashed under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PepperUse {
    pub version: PepperVersion,
    pub tokens: u64,
}

impl Session {
    /// Under which peppers the tokens and API keys are hashed that are not revoked, the oldest first.
    pub async fn pepper_uses(&mut self) -> Result<Vec<PepperUse>, StoreError> {
        const SQL: &str = "SELECT pepper, count(*) AS tokens FROM ( \
            SELECT pepper FROM pats WHERE revoked_at IS NULL \
            UNION ALL SELECT pepper FROM api_keys WHERE revoked_at IS NULL) AS hashed \
            GROUP BY pepper ORDER BY pepper";
        let rows = self.rows(SQL, Vec::new()).await?;
        rows.iter().map(|row| Ok(PepperUse { version: pepper(row)?, tokens: row.unsigned("tokens")? })).collect()
    }

    /// Accounts with tokens under an older pepper than this, by id, after the one where the page before ended.
    pub async fn accounts_under_older(
        &mut self,
        newest: PepperVersion,
        after: AccountId,
        limit: u32,
    ) -> Result<Vec<AccountId>, StoreError> {
        const SQL: &str = "SELECT DISTINCT account FROM pats \
            WHERE pepper < $1 AND revoked_at IS NULL AND account > $2 ORDER BY account LIMIT $3";
        let values = vec![i64::from(newest.0).into(), after.as_bytes().as_slice().into(), i64::from(limit).into()];
        self.rows(SQL, values).await?.iter().map(|row| row.array("account").map(AccountId::from_bytes)).collect()
    }

    /// Looks up what was presented: one query, whatever exists of it (L4). Absent parts are looked up
    /// too, as what cannot exist.
    pub async fn look_up(&mut self, username: Option<&str>, public_id: Option<PublicId>) -> Result<LookUp, StoreError> {
        const SQL: &str = "SELECT \
            n.id AS n_id, n.username AS n_username, n.owner AS n_owner, n.life AS n_life, \
            n.created_at AS n_created_at, n.inactive_at AS n_inactive_at, n.inactive_by AS n_inactive_by, \
            n.inactive_reason AS n_inactive_reason, n.networks AS n_networks, \
            a.id AS a_id, a.username AS a_username, a.owner AS a_owner, a.life AS a_life, \
            a.created_at AS a_created_at, a.inactive_at AS a_inactive_at, a.inactive_by AS a_inactive_by, \
            a.inactive_reason AS a_inactive_reason, a.networks AS a_networks, \
            o.id AS o_id, o.username AS o_username, o.owner AS o_owner, o.life AS o_life, \
            o.created_at AS o_created_at, o.inactive_at AS o_inactive_at, o.inactive_by AS o_inactive_by, \
            o.inactive_reason AS o_inactive_reason, o.networks AS o_networks, \
            p.public_id, p.account, p.service, p.hash, p.pepper, p.created_at, p.created_by, p.expires_at, \
            p.pending_until, p.confirmed_at, p.revoked_at, p.revoked_by, p.revoked_reason, \
            p.networks, p.apps, p.read_only, p.last_used_at, p.last_used_address, p.last_used_app, p.replaces, p.overlap, p.silence, p.retires_at \
            FROM (SELECT 1 AS one) AS always \
            LEFT JOIN accounts n ON n.username = $1 \
            LEFT JOIN pats p ON p.public_id = $2 \
            LEFT JOIN accounts a ON a.id = p.account \
            LEFT JOIN accounts o ON o.id = a.owner";
        // no database text holds a zero byte, and no username does
        let username = username.filter(|text| !text.contains('\0')).unwrap_or("");
        let values = vec![username.into(), public_id.as_ref().map_or("", PublicId::as_str).into()];
        let Some(row) = self.row(SQL, values).await? else { return Ok(LookUp::default()) };
        let pat = match optional_account(&row, "a_")? {
            None => None,
            Some(account) => Some(KeptPat {
                pat: pat(&row)?,
                hash: TokenHash::from_bytes(row.array("hash")?),
                pepper: pepper(&row)?,
                account,
                owner: optional_account(&row, "o_")?,
            }),
        };
        Ok(LookUp { named: optional_account(&row, "n_")?, pat })
    }

    /// All tokens of an account, the oldest first.
    pub async fn pats(&mut self, account: AccountId) -> Result<Vec<Pat>, StoreError> {
        const SQL: &str = "SELECT public_id, account, service, created_at, created_by, expires_at, pending_until, \
            confirmed_at, revoked_at, revoked_by, revoked_reason, networks, apps, read_only, last_used_at, \
            last_used_address, last_used_app, \
            replaces, overlap, silence, retires_at \
            FROM pats WHERE account = $1 ORDER BY created_at, public_id";
        self.rows(SQL, vec![account.as_bytes().as_slice().into()]).await?.iter().map(pat).collect()
    }

    /// Tokens that their successors are to end at `now` (T7): the overlap is over, or the successor is in use and they
    /// have been silent for as long as was chosen. Of all, or only of one. The longest due first, at most `limit`.
    pub async fn retired_pats(
        &mut self,
        now: Timestamp,
        only: Option<PublicId>,
        limit: u32,
    ) -> Result<Vec<PublicId>, StoreError> {
        const SQL: &str = "SELECT p.public_id FROM pats p \
            WHERE p.retires_at IS NOT NULL AND p.revoked_at IS NULL AND ($3 = '' OR p.public_id = $3) AND (p.retires_at <= $1 OR EXISTS ( \
                SELECT 1 FROM pats s WHERE s.replaces = p.public_id AND s.silence IS NOT NULL \
                AND s.last_used_at IS NOT NULL AND s.expires_at > $1 AND s.confirmed_at <= $1 - s.silence \
                AND (p.last_used_at IS NULL OR p.last_used_at <= $1 - s.silence))) \
            ORDER BY p.retires_at LIMIT $2";
        let only = only.as_ref().map_or("", PublicId::as_str);
        let rows = self.rows(SQL, vec![now.as_millis().into(), i64::from(limit).into(), only.into()]).await?;
        rows.iter().map(|row| public_id("public_id", &row.text("public_id")?)).collect()
    }

    /// Tokens that are not revoked, at most `limit` of them.
    pub async fn unrevoked_pats(&mut self, limit: u32) -> Result<Vec<Pat>, StoreError> {
        const SQL: &str = "SELECT public_id, account, service, created_at, created_by, expires_at, pending_until, \
            confirmed_at, revoked_at, revoked_by, revoked_reason, networks, apps, read_only, last_used_at, \
            last_used_address, last_used_app, \
            replaces, overlap, silence, retires_at \
            FROM pats WHERE revoked_at IS NULL ORDER BY public_id LIMIT $1";
        self.rows(SQL, vec![i64::from(limit).into()]).await?.iter().map(pat).collect()
    }

    /// Tokens that expire within 30, 7 or 1 days, of which nobody was warned so closely; those that live no longer than
    /// that, and those that another takes the place of, are left out. The soonest first, at most `limit`.
    pub async fn expiring_pats(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Expiring>, StoreError> {
        const DAY: i64 = 86_400_000;
        const SQL: &str = "SELECT public_id, account, expires_at FROM pats \
            WHERE revoked_at IS NULL AND confirmed_at IS NOT NULL AND retires_at IS NULL AND expires_at > $1 AND ( \
                (expires_at <= $1 + $2 AND expires_at - created_at > $2 AND COALESCE(warned_days, 365) > 1) \
                OR (expires_at <= $1 + $3 AND expires_at - created_at > $3 AND COALESCE(warned_days, 365) > 7) \
                OR (expires_at <= $1 + $4 AND expires_at - created_at > $4 AND COALESCE(warned_days, 365) > 30)) \
            ORDER BY expires_at, public_id LIMIT $5";
        let values =
            vec![now.as_millis().into(), DAY.into(), (7 * DAY).into(), (30 * DAY).into(), i64::from(limit).into()];
        let expiring = |row: &Row| {
            let expires_at = Timestamp::from_millis(row.int("expires_at")?);
            let left = expires_at.since(now);
            let within = |days: &u32| left <= Duration::from_hours(24) * *days;
            Ok(Expiring {
                public_id: public_id("public_id", &row.text("public_id")?)?,
                account: AccountId::from_bytes(row.array("account")?),
                expires_at,
                days: [1, 7].into_iter().find(within).unwrap_or(30),
            })
        };
        self.rows(SQL, values).await?.iter().map(expiring).collect()
    }

    pub async fn pat(&mut self, public_id: PublicId) -> Result<Option<Pat>, StoreError> {
        const SQL: &str = "SELECT public_id, account, service, created_at, created_by, expires_at, pending_until, \
            confirmed_at, revoked_at, revoked_by, revoked_reason, networks, apps, read_only, last_used_at, \
            last_used_address, last_used_app, \
            replaces, overlap, silence, retires_at \
            FROM pats WHERE public_id = $1";
        self.row(SQL, vec![public_id.as_str().into()]).await?.as_ref().map(pat).transpose()
    }
}

fn pepper(row: &Row) -> Result<PepperVersion, StoreError> {
    let version = row.int("pepper")?;
    let version = u32::try_from(version)
        .map_err(|_| StoreError::unreadable("pepper", format!("{version} is not the version of a pepper")))?;
    Ok(PepperVersion(version))
}

fn public_id(column: &str, text: &str) -> Result<PublicId, StoreError> {
    PublicId::parse(text).ok_or_else(|| StoreError::unreadable(column, format!("`{text}` is not a public id")))
}

fn last_use(row: &Row) -> Result<Option<LastUse>, StoreError> {
    let Some(at) = row.optional_int("last_used_at")? else { return Ok(None) };
    let unreadable = |column, why: String| StoreError::unreadable(column, why);
    let address = row.optional_text("last_used_address")?.map(|text| text.parse()).transpose();
    let app = row.optional_text("last_used_app")?.map(|text| AppName::parse(&text)).transpose();
    Ok(Some(LastUse {
        at: Timestamp::from_millis(at),
        address: address.map_err(|error: AddrParseError| unreadable("last_used_address", error.to_string()))?,
        app: app.map_err(|error| unreadable("last_used_app", error.to_string()))?,
    }))
}

pub(crate) fn pat(row: &Row) -> Result<Pat, StoreError> {
    let public_id = public_id("public_id", &row.text("public_id")?)?;
    Ok(Pat {
        public_id,
        account: AccountId::from_bytes(row.array("account")?),
        service: row.text("service")?,
        state: pat_state(row)?,
        created_at: Timestamp::from_millis(row.int("created_at")?),
        created_by: actor("created_by", &row.text("created_by")?)?,
        expires_at: Timestamp::from_millis(row.int("expires_at")?),
        restrictions: Restrictions {
            networks: networks("networks", &row.text("networks")?)?,
            apps: words("apps", &row.text("apps")?, |word| AppName::parse(word).map_err(|error| error.to_string()))?,
            read_only: row.flag("read_only")?,
        },
        last_used: last_use(row)?,
        succession: succession(row)?,
        retires_at: row.optional_int("retires_at")?.map(Timestamp::from_millis),
    })
}

fn succession(row: &Row) -> Result<Option<Succession>, StoreError> {
    let Some(of) = row.optional_text("replaces")? else { return Ok(None) };
    let of = public_id("replaces", &of)?;
    let overlap = millis("overlap", row.int("overlap")?)?;
    let silence = row.optional_int("silence")?.map(|count| millis("silence", count)).transpose()?;
    Ok(Some(Succession { of, terms: Terms { overlap, silence } }))
}

fn millis(column: &str, count: i64) -> Result<Duration, StoreError> {
    let count = u64::try_from(count)
        .map_err(|_| StoreError::unreadable(column, format!("{count} is no number of milliseconds")))?;
    Ok(Duration::from_millis(count))
}

fn pat_state(row: &Row) -> Result<PatState, StoreError> {
    if let Some(at) = row.optional_int("revoked_at")? {
        return Ok(PatState::Revoked {
            at: Timestamp::from_millis(at),
            by: actor("revoked_by", &row.text("revoked_by")?)?,
            reason: reason("revoked_reason", &row.text("revoked_reason")?)?,
        });
    }
    if let Some(at) = row.optional_int("confirmed_at")? {
        return Ok(PatState::Confirmed { at: Timestamp::from_millis(at) });
    }
    Ok(PatState::Pending { until: Timestamp::from_millis(row.int("pending_until")?) })
}

fn words<T>(column: &str, text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, StoreError> {
    text.split_ascii_whitespace().map(|word| read(word).map_err(|why| StoreError::unreadable(column, why))).collect()
}
