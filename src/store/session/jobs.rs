//! Reading jobs and their runs.

use crate::clock::Timestamp;
use crate::directory::{Account, AccountId, Actor, Pat, PublicId};
use crate::store::error::StoreError;
use crate::store::session::Session;
use crate::store::session::accounts::{account, actor};
use crate::store::session::credentials::pat;
use crate::store::value::{Row, int};

/// A job as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    pub name: String,
    /// A slug such as `manage_pats`.
    pub process: String,
    /// What the process is to do, as JSON.
    pub options: String,
    /// Cron text; `None`: by hand only.
    pub schedule: Option<String>,
    /// The time zone that it is read in.
    pub zone: String,
    pub saved_at: Timestamp,
    pub saved_by: Actor,
    /// When the schedule is due next.
    pub next_at: Option<Timestamp>,
}

/// Who may go on with a run: its last claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub run: u64,
    /// How often the run was claimed.
    pub fence: u64,
}

/// How far a run has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Where it goes on; empty at the beginning.
    pub reached: String,
    /// Records that were looked at.
    pub processed: u64,
    /// Those of them that were changed, or would be.
    pub changed: u64,
    /// What was found, in lines.
    pub report: String,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    pub id: u64,
    pub job: String,
    pub asked_by: Actor,
    pub dry_run: bool,
    pub asked_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub fence: u64,
    /// Who claimed it last.
    pub holder: Option<String>,
    pub lease_until: Option<Timestamp>,
    pub progress: RunProgress,
    /// `done` or `failed`; `None` while it is neither.
    pub outcome: Option<String>,
}

impl RunRecord {
    pub const fn claim(&self) -> Claim {
        Claim { run: self.id, fence: self.fence }
    }
}

impl Session {
    /// All jobs, by name.
    pub async fn jobs(&mut self) -> Result<Vec<JobRecord>, StoreError> {
        const SQL: &str = "SELECT name, process, options, schedule, zone, saved_at, saved_by, next_at FROM jobs \
            ORDER BY name";
        self.rows(SQL, Vec::new()).await?.iter().map(job).collect()
    }

    pub async fn job(&mut self, name: &str) -> Result<Option<JobRecord>, StoreError> {
        const SQL: &str = "SELECT name, process, options, schedule, zone, saved_at, saved_by, next_at FROM jobs \
            WHERE name = $1";
        self.row(SQL, vec![name.into()]).await?.as_ref().map(job).transpose()
    }

    /// The runs of a job, the newest first.
    pub async fn job_runs(&mut self, job: &str, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        const SQL: &str = "SELECT id, job, asked_by, dry_run, asked_at, started_at, ended_at, fence, holder, \
            lease_until, reached, processed, changed, report, outcome FROM job_runs WHERE job = $1 \
            ORDER BY id DESC LIMIT $2";
        self.rows(SQL, vec![job.into(), i64::from(limit).into()]).await?.iter().map(run).collect()
    }

    pub async fn job_run(&mut self, id: u64) -> Result<Option<RunRecord>, StoreError> {
        const SQL: &str = "SELECT id, job, asked_by, dry_run, asked_at, started_at, ended_at, fence, holder, \
            lease_until, reached, processed, changed, report, outcome FROM job_runs WHERE id = $1";
        self.row(SQL, vec![int(id)]).await?.as_ref().map(run).transpose()
    }

    /// Whether a run waits to be claimed, or its claim is over.
    pub async fn has_claimable_run(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT id FROM job_runs \
            WHERE outcome IS NULL AND (lease_until IS NULL OR lease_until <= $1) LIMIT 1";
        Ok(self.row(SQL, vec![now.as_millis().into()]).await?.is_some())
    }

    /// Tokens that are not revoked, after `after` by their public id.
    pub async fn live_pats(&mut self, after: &str, limit: u32) -> Result<Vec<Pat>, StoreError> {
        const SQL: &str = "SELECT public_id, account, service, created_at, created_by, expires_at, pending_until, \
            confirmed_at, revoked_at, revoked_by, revoked_reason, networks, apps, read_only, last_used_at, \
            last_used_address, last_used_app, \
            replaces, overlap, silence, retires_at \
            FROM pats WHERE revoked_at IS NULL AND public_id > $1 ORDER BY public_id LIMIT $2";
        self.rows(SQL, vec![after.into(), i64::from(limit).into()]).await?.iter().map(pat).collect()
    }

    /// Active proxy users that have not authenticated since `since`, and were neither added, made active again nor given
    /// a token since then (T12); after `after` by their id.
    pub async fn idle_proxies(
        &mut self,
        since: Timestamp,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<Account>, StoreError> {
        const SQL: &str = "SELECT a.id, a.username, a.owner, a.life, a.created_at, a.inactive_at, a.inactive_by, \
            a.inactive_reason, a.networks FROM accounts a \
            WHERE a.owner IS NOT NULL AND a.inactive_at IS NULL AND a.created_at <= $1 AND a.id > $2 \
              AND NOT EXISTS (SELECT 1 FROM pats p WHERE p.account = a.id \
                AND (p.last_used_at > $1 OR p.created_at > $1)) \
              AND NOT EXISTS (SELECT 1 FROM history h WHERE h.target = a.id AND h.recorded_at > $1 \
                AND h.kind = 'proxy_user_marked_active') \
            ORDER BY a.id LIMIT $3";
        let after = after.unwrap_or(AccountId::from_bytes([0; 16]));
        let values = vec![since.as_millis().into(), after.as_bytes().as_slice().into(), i64::from(limit).into()];
        self.rows(SQL, values).await?.iter().map(|row| account(row, "")).collect()
    }

    /// Whether a proxy user is still one of [`Self::idle_proxies`].
    pub async fn is_idle_proxy(&mut self, id: AccountId, since: Timestamp) -> Result<bool, StoreError> {
        let mut before = *id.as_bytes();
        for byte in before.iter_mut().rev() {
            *byte = byte.wrapping_sub(1);
            if *byte != u8::MAX {
                break;
            }
        }
        let first = self.idle_proxies(since, Some(AccountId::from_bytes(before)), 1).await?;
        Ok(first.first().is_some_and(|account| account.id == id))
    }

    /// The token, where it is not revoked.
    pub async fn live_pat(&mut self, public_id: PublicId) -> Result<Option<Pat>, StoreError> {
        let pat = self.pat(public_id).await?;
        Ok(pat.filter(|pat| !matches!(pat.state, crate::directory::PatState::Revoked { .. })))
    }
}

fn job(row: &Row) -> Result<JobRecord, StoreError> {
    Ok(JobRecord {
        name: row.text("name")?,
        process: row.text("process")?,
        options: row.text("options")?,
        schedule: row.optional_text("schedule")?,
        zone: row.text("zone")?,
        saved_at: Timestamp::from_millis(row.int("saved_at")?),
        saved_by: actor("saved_by", &row.text("saved_by")?)?,
        next_at: row.optional_int("next_at")?.map(Timestamp::from_millis),
    })
}

pub(crate) fn run(row: &Row) -> Result<RunRecord, StoreError> {
    let instant = |column: &str| Ok::<_, StoreError>(row.optional_int(column)?.map(Timestamp::from_millis));
    Ok(RunRecord {
        id: row.unsigned("id")?,
        job: row.text("job")?,
        asked_by: actor("asked_by", &row.text("asked_by")?)?,
        dry_run: row.flag("dry_run")?,
        asked_at: Timestamp::from_millis(row.int("asked_at")?),
        started_at: instant("started_at")?,
        ended_at: instant("ended_at")?,
        fence: row.unsigned("fence")?,
        holder: row.optional_text("holder")?,
        lease_until: instant("lease_until")?,
        progress: RunProgress {
            reached: row.text("reached")?,
            processed: row.unsigned("processed")?,
            changed: row.unsigned("changed")?,
            report: row.text("report")?,
        },
        outcome: row.optional_text("outcome")?,
    })
}
