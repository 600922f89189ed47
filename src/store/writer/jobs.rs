//! Writing jobs, and the runs that somebody asks for or that end.

use crate::clock::Timestamp;
use crate::directory::Actor;
use crate::store::error::StoreError;
use crate::store::session::{Claim, JobRecord, RunProgress};
use crate::store::value::int;
use crate::store::writer::Writer;

/// How many runs of a job are kept.
const RUNS_KEPT: i64 = 100;

impl Writer {
    /// Saves a job under its name, in the place of one that had it.
    pub async fn put_job(&mut self, job: &JobRecord) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO jobs (name, process, options, schedule, zone, saved_at, saved_by, next_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET process = excluded.process, \
            options = excluded.options, schedule = excluded.schedule, zone = excluded.zone, \
            saved_at = excluded.saved_at, saved_by = excluded.saved_by, next_at = excluded.next_at";
        let values = vec![
            job.name.as_str().into(),
            job.process.as_str().into(),
            job.options.as_str().into(),
            job.schedule.clone().into(),
            job.zone.as_str().into(),
            job.saved_at.as_millis().into(),
            job.saved_by.to_stored().into(),
            job.next_at.map(Timestamp::as_millis).into(),
        ];
        self.execute(SQL, values).await.map(|_| ())
    }

    /// Removes a job and its runs; one that is going on finds no more that it could go on with.
    pub async fn delete_job(&mut self, name: &str) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM jobs WHERE name = $1";
        self.execute(SQL, vec![name.into()]).await.map(|_| ())
    }

    /// Asks for a run of a job of which none is open, and answers with its number.
    ///
    /// # Errors
    /// [`StoreError::Rule`] when one is.
    pub async fn insert_run(
        &mut self,
        job: &str,
        asked_by: &Actor,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        const NEXT: &str = "SELECT COALESCE(max(id), 0) + 1 AS id FROM job_runs";
        const OLD: &str = "DELETE FROM job_runs WHERE job = $1 AND outcome IS NOT NULL AND id NOT IN \
            (SELECT id FROM job_runs WHERE job = $1 ORDER BY id DESC LIMIT $2)";
        const SQL: &str = "INSERT INTO job_runs (id, job, asked_by, dry_run, asked_at, fence, reached, processed, \
            changed, report) VALUES ($1, $2, $3, $4, $5, 0, '', 0, 0, '')";
        let id = self.row(NEXT, Vec::new()).await?.map_or(Ok(1), |row| row.unsigned("id"))?;
        let values =
            vec![int(id), job.into(), asked_by.to_stored().into(), i64::from(dry_run).into(), now.as_millis().into()];
        self.execute(SQL, values).await?;
        self.execute(OLD, vec![job.into(), RUNS_KEPT.into()]).await?;
        Ok(id)
    }

    /// Writes how far a run has come, in the transaction of what it did; whether the claim still holds.
    pub async fn step_run(
        &mut self,
        claim: Claim,
        progress: &RunProgress,
        lease_until: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE job_runs SET reached = $3, processed = $4, changed = $5, report = $6, \
            lease_until = $7 WHERE id = $1 AND fence = $2 AND outcome IS NULL";
        let values = vec![
            int(claim.run),
            int(claim.fence),
            progress.reached.as_str().into(),
            int(progress.processed),
            int(progress.changed),
            progress.report.as_str().into(),
            lease_until.as_millis().into(),
        ];
        Ok(self.execute(SQL, values).await? > 0)
    }

    /// Ends a run; whether the claim still held.
    pub async fn end_run(
        &mut self,
        claim: Claim,
        progress: &RunProgress,
        outcome: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE job_runs SET outcome = $3, ended_at = $4 \
            WHERE id = $1 AND fence = $2 AND outcome IS NULL";
        if !self.step_run(claim, progress, now).await? {
            return Ok(false);
        }
        let values = vec![int(claim.run), int(claim.fence), outcome.into(), now.as_millis().into()];
        Ok(self.execute(SQL, values).await? > 0)
    }
}
