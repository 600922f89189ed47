//! Which node does a run: schedules that are due, claims, and their lease.
//!
//! Everything here is decided by the database, in one transaction behind the lock of the head row: of all nodes that
//! ask, one gets the answer. A claim that nobody renews is over by itself, and the next one counts its fence on, so that
//! the one before can change nothing any more.

use super::{Booked, Booking, Bookkeeping};
use crate::clock::Timestamp;
use crate::directory::Actor;
use crate::store::error::StoreError;
use crate::store::session::{Claim, RunProgress, RunRecord, run};
use crate::store::value::int;
use crate::store::writer::Writer;

/// What is booked about runs.
#[derive(Debug, Clone)]
pub(crate) enum RunBooking {
    Due { job: String, was: Timestamp, next: Option<Timestamp>, now: Timestamp },
    Claim { holder: String, until: Timestamp, now: Timestamp },
    Step { claim: Claim, progress: RunProgress, until: Timestamp },
    Renew { claim: Claim, until: Timestamp },
}

impl Bookkeeping {
    /// Takes the schedule of a job on, from the instant at which it `was` due to the `next`, and asks for a run, unless
    /// one is open. Whether this call did it: of several nodes one does.
    pub async fn schedule_due(
        &self,
        job: &str,
        was: Timestamp,
        next: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.held(RunBooking::Due { job: job.to_owned(), was, next, now }).await
    }

    /// Claims the oldest run that waits, or whose claim is over.
    pub async fn claim_run(
        &self,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<RunRecord>, StoreError> {
        let booking = RunBooking::Claim { holder: holder.to_owned(), until, now };
        match self.book(Booking::Run(booking)).await? {
            Booked::Claimed(run) => Ok(run.map(|run| *run)),
            other => Err(StoreError::Fault { why: format!("a claim was answered by {other:?}") }),
        }
    }

    /// Writes how far a run has come where it changed nothing; whether the claim still holds.
    pub async fn step_run(&self, claim: Claim, progress: &RunProgress, until: Timestamp) -> Result<bool, StoreError> {
        self.held(RunBooking::Step { claim, progress: progress.clone(), until }).await
    }

    /// Keeps a claim; whether it still holds.
    pub async fn renew_claim(&self, claim: Claim, until: Timestamp) -> Result<bool, StoreError> {
        self.held(RunBooking::Renew { claim, until }).await
    }

    async fn held(&self, booking: RunBooking) -> Result<bool, StoreError> {
        match self.book(Booking::Run(booking)).await? {
            Booked::Held(held) => Ok(held),
            other => Err(StoreError::Fault { why: format!("a run was answered by {other:?}") }),
        }
    }
}

pub(super) async fn book(writer: &mut Writer, booking: &RunBooking) -> Result<Booked, StoreError> {
    const CLAIM: &str = "UPDATE job_runs SET fence = fence + 1, holder = $1, lease_until = $2, \
        started_at = COALESCE(started_at, $3) WHERE id = (SELECT id FROM job_runs \
            WHERE outcome IS NULL AND (lease_until IS NULL OR lease_until <= $3) ORDER BY id LIMIT 1) \
        RETURNING id, job, asked_by, dry_run, asked_at, started_at, ended_at, fence, holder, lease_until, reached, \
        processed, changed, report, outcome";
    const RENEW: &str = "UPDATE job_runs SET lease_until = $3 WHERE id = $1 AND fence = $2 AND outcome IS NULL";
    Ok(match booking {
        RunBooking::Due { job, was, next, now } => Booked::Held(due(writer, job, *was, *next, *now).await?),
        RunBooking::Claim { holder, until, now } => {
            let values = vec![holder.as_str().into(), until.as_millis().into(), now.as_millis().into()];
            let claimed = writer.row(CLAIM, values).await?.as_ref().map(run).transpose()?;
            Booked::Claimed(claimed.map(Box::new))
        }
        RunBooking::Step { claim, progress, until } => Booked::Held(writer.step_run(*claim, progress, *until).await?),
        RunBooking::Renew { claim, until } => {
            let values = vec![int(claim.run), int(claim.fence), until.as_millis().into()];
            Booked::Held(writer.execute(RENEW, values).await? > 0)
        }
    })
}

async fn due(
    writer: &mut Writer,
    job: &str,
    was: Timestamp,
    next: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // Whose schedule never comes again is done by hand only.
    const ON: &str = "UPDATE jobs SET next_at = $3, schedule = CASE WHEN $3 IS NULL THEN NULL ELSE schedule END \
        WHERE name = $1 AND next_at = $2";
    const OPEN: &str = "SELECT id FROM job_runs WHERE job = $1 AND outcome IS NULL";
    let values = vec![job.into(), was.as_millis().into(), next.map(Timestamp::as_millis).into()];
    if writer.execute(ON, values).await? == 0 {
        return Ok(false);
    }
    if writer.row(OPEN, vec![job.into()]).await?.is_none() {
        writer.insert_run(job, &Actor::Locum, false, now).await?;
    }
    Ok(true)
}
