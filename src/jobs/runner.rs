//! Which run is done next, and by whom.
//!
//! A run waits in the store. Whoever claims it has it for as long as it renews the claim; the claim of a process that
//! died is over a minute later, and the next one that looks goes on where that one stood (AD-008). What the one before
//! would still write is refused, because each claim has a number of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::process::Process;
use super::schedule::Schedule;
use crate::provision::job::{self, LEASE, NewJob, Work};
use crate::provision::{Error, Provision, Request};
use crate::store::RunRecord;

/// How often it is looked for runs that wait and schedules that are due.
const LOOK: Duration = Duration::from_secs(5);
/// How often a claim is renewed.
const RENEW: Duration = Duration::from_secs(15);
/// After so many claims a run is given up: whoever does it dies of it.
const MOST_CLAIMS: u64 = 5;

/// The jobs of an installation, as one process does them. A handle: clones share everything.
#[derive(Clone)]
pub struct Jobs {
    provision: Provision,
    holder: Arc<str>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Jobs {
    /// `holder` names this process in its claims.
    pub fn new(provision: Provision, holder: impl Into<Arc<str>>) -> Self {
        Self { provision, holder: holder.into() }
    }

    /// Saves a job, and does it once (T9); answers with the number of that run.
    ///
    /// # Errors
    /// When the caller may not, the name is none, or a run of it is going on.
    pub async fn save(
        &self,
        request: &Request,
        name: String,
        process: &Process,
        schedule: Option<&Schedule>,
    ) -> Result<u64, Error> {
        let now = self.provision.clock().now();
        let new = NewJob {
            name,
            process: process.slug(),
            options: process.options(),
            schedule: schedule.and_then(|schedule| Some((schedule.text().to_owned(), schedule.next(now)?))),
            zone: schedule.map_or("UTC", Schedule::zone).to_owned(),
        };
        let run = job::save(&self.provision, request, new).await?;
        self.work_beside();
        Ok(run)
    }

    /// Asks for a run, and does it.
    ///
    /// # Errors
    /// When the caller may not, there is no such job, or a run of it is going on.
    pub async fn start(&self, request: &Request, name: String, dry_run: bool) -> Result<u64, Error> {
        let run = job::start(&self.provision, request, name, dry_run).await?;
        self.work_beside();
        Ok(run)
    }

    /// Looks for work until it is stopped.
    pub async fn run(self) {
        let mut tick = interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.work().await {
                tracing::warn!(%error, "the jobs could not be looked at: it is tried again");
            }
        }
    }

    fn work_beside(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            if let Err(error) = this.work().await {
                tracing::warn!(%error, "a run that was asked for waits until the store can be asked");
            }
        });
    }

    /// Asks for the runs that are due, and does all that wait, one after another; answers how many it did.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn work(&self) -> Result<usize, Error> {
        self.ask_for_due().await?;
        let (provision, mut done) = (&self.provision, 0);
        loop {
            let now = provision.clock().now();
            if !provision.store().read().await?.has_claimable_run(now).await? {
                return Ok(done);
            }
            let claimed = provision.store().bookkeeping().claim_run(&self.holder, now.plus(LEASE), now).await?;
            // Another was faster.
            let Some(run) = claimed else { return Ok(done) };
            self.carry_out(run).await?;
            done += 1;
        }
    }

    /// Asks for a run of every job whose schedule is due. What was missed while nobody looked is done once.
    async fn ask_for_due(&self) -> Result<(), Error> {
        let provision = &self.provision;
        let now = provision.clock().now();
        let jobs = provision.store().read().await?.jobs().await?;
        for job in jobs {
            let (Some(was), Some(text)) = (job.next_at.filter(|next| *next <= now), &job.schedule) else { continue };
            let next = match Schedule::parse(text, &job.zone, now) {
                Ok(schedule) => schedule.next(now),
                Err(error) => {
                    tracing::error!(job = job.name, %error, "the schedule of a job cannot be read: it is done by hand only");
                    None
                }
            };
            provision.store().bookkeeping().schedule_due(&job.name, was, next, now).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, run: RunRecord) -> Result<(), Error> {
        let (provision, work) = (&self.provision, Work::of(&run));
        let RunRecord { id, job: name, fence, mut progress, .. } = run;
        tracing::info!(job = name, run = id, claim = fence, "a run of a job goes on");
        let process = match provision.store().read().await?.job(&name).await? {
            // It was removed meanwhile, and its runs with it.
            None => return Ok(()),
            Some(job) => Process::read(&job.process, &job.options),
        };
        let ended = match process {
            Err(error) => Err(error.to_string()),
            Ok(_) if fence > MOST_CLAIMS => Err(format!("given up: it was begun {MOST_CLAIMS} times and never ended")),
            Ok(process) => {
                let went = tokio::select! {
                    went = process.go_on(provision, &work, &mut progress) => went,
                    lost = self.keep(&work) => Err(lost),
                };
                match went {
                    Ok(()) => Ok(()),
                    Err(Error::RunLost) => {
                        tracing::warn!(
                            job = name,
                            run = id,
                            "another process goes on with this run, or it was removed"
                        );
                        return Ok(());
                    }
                    Err(Error::Refused(refusal)) => Err(refusal.to_string()),
                    // Whoever claims it next goes on, here or elsewhere.
                    Err(fault) => return Err(fault),
                }
            }
        };
        let (processed, changed) = (progress.processed, progress.changed);
        let outcome = if ended.is_ok() { "done" } else { "failed" };
        metrics::counter!("locum_job_runs_total", "job" => name.clone(), "outcome" => outcome).increment(1);
        match &ended {
            Ok(()) => tracing::info!(job = name, run = id, processed, changed, "a run of a job is done"),
            Err(why) => tracing::error!(job = name, run = id, processed, changed, why, "a run of a job failed"),
        }
        match job::end(provision, &work, name, progress, ended.err()).await {
            Err(Error::RunLost) => Ok(()),
            ended => ended,
        }
    }

    /// Renews a claim until it is lost.
    async fn keep(&self, work: &Work) -> Error {
        let mut tick = interval(RENEW);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let until = self.provision.clock().now().plus(LEASE);
            match self.provision.store().bookkeeping().renew_claim(work.claim, until).await {
                Ok(true) => {}
                Ok(false) => return Error::RunLost,
                Err(error) => tracing::warn!(%error, "a claim could not be renewed: it is tried again"),
            }
        }
    }
}
