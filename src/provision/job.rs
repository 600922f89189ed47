//! Jobs: work that is saved under a name and done by hand, by the API or by the clock (T9). Here: saving, asking for a
//! run, and what a run writes. What the processes are, and when they are due, is the business of `jobs`.

use std::fmt::Write as _;
use std::time::Duration;

use super::operation::{Attempt, Effects, Hand};
use super::{Error, Provision, Refusal, Request};
use crate::clock::Timestamp;
use crate::directory::rights::Operation;
use crate::history::{Action, ActionType};
use crate::store::{Claim, JobRecord, RunProgress, RunRecord};

/// How long a claim holds without a sign of life (AD-008).
pub const LEASE: Duration = Duration::from_mins(1);
/// The longest name.
const LONGEST_NAME: usize = 64;
/// The most lines of a report; what is found beyond is counted only.
const MOST_LINES: usize = 1_000;

/// A job that somebody saves.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub name: String,
    /// A slug such as `manage_pats`.
    pub process: &'static str,
    /// What the process is to do, as JSON.
    pub options: String,
    /// Cron text, and the instant at which it is due next.
    pub schedule: Option<(String, Timestamp)>,
    pub zone: String,
}

/// A run on its way: what it writes carries its claim, and its name in the history.
#[derive(Debug, Clone)]
pub struct Work {
    pub claim: Claim,
    pub dry_run: bool,
    /// `job:NAME`, and who asked.
    cause: String,
}

impl Work {
    pub fn of(run: &RunRecord) -> Self {
        let cause = format!("job:{} {}", run.job, run.asked_by.to_stored());
        Self { claim: run.claim(), dry_run: run.dry_run, cause }
    }

    /// Locum's own work, and nobody can call it from outside; all actions of a run are found together (H3).
    pub(super) fn request(&self) -> Request {
        Request { request_id: Some(format!("job-run-{}", self.claim.run)), ..Request::from_host("locum") }
    }

    /// An action that the run does.
    pub(super) fn action(&self, hand: &Hand<'_>, kind: ActionType) -> Action {
        hand.request.consequence(kind, self.cause.clone())
    }
}

/// Adds a line to the report: what was found, its id, and the account that it belongs to.
pub(super) fn tell(progress: &mut RunProgress, what: &str, object: &str, account: &str) {
    let lines = progress.report.lines().count();
    if lines < MOST_LINES {
        writeln!(progress.report, "{what} {object} {account}").expect("a String takes everything");
    }
}

/// Saves a job in the place of one of the same name, and asks for its first run; answers with the run's number.
///
/// # Errors
/// When the caller may not, the name is none, or a run of it is going on.
pub async fn save(provision: &Provision, request: &Request, new: NewJob) -> Result<u64, Error> {
    let attempt = Attempt::to("job_save").with_object(&short(&new.name));
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::ManageJobs)?;
                demand_name(&new.name)?;
                let before = hand.writer.job(&new.name).await?;
                hand.demand_no_run(&new.name).await?;
                let job = JobRecord {
                    name: new.name.clone(),
                    process: new.process.to_owned(),
                    options: new.options,
                    next_at: new.schedule.as_ref().map(|(_, next)| *next),
                    schedule: new.schedule.map(|(text, _)| text),
                    zone: new.zone,
                    saved_at: hand.now,
                    saved_by: hand.request.actor(),
                };
                hand.writer.put_job(&job).await?;
                let run = hand.writer.insert_run(&job.name, &hand.request.actor(), false, hand.now).await?;
                let mut saved = hand.action(ActionType::JobSaved).object(job.name.clone());
                let value = |job: &JobRecord, field: &str| match field {
                    "process" => Some(job.process.clone()),
                    "options" => Some(job.options.clone()),
                    "schedule" => job.schedule.clone(),
                    _ => Some(job.zone.clone()),
                };
                for field in ["process", "options", "schedule", "zone"] {
                    let (old, new) = (before.as_ref().and_then(|before| value(before, field)), value(&job, field));
                    if old != new {
                        saved = saved.detail(field, old.as_deref(), new.as_deref());
                    }
                }
                Hand::done(run, saved, Effects::default())
            })
        })
        .await
}

/// Removes a job, its schedule and what is known of its runs.
///
/// # Errors
/// When the caller may not, or there is no such job.
pub async fn remove(provision: &Provision, request: &Request, name: String) -> Result<(), Error> {
    let attempt = Attempt::to("job_remove").with_object(&short(&name));
    provision
        .change(request, attempt, move |hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::ManageJobs)?;
                let job = hand.writer.job(&name).await?.ok_or(Refusal::UnknownJob(short(&name)))?;
                hand.writer.delete_job(&job.name).await?;
                let removed = hand.action(ActionType::JobRemoved).object(job.name);
                Hand::done((), removed, Effects::default())
            })
        })
        .await
}

/// Asks for a run by hand; answers with its number.
///
/// # Errors
/// When the caller may not, there is no such job, or a run of it is going on.
pub async fn start(provision: &Provision, request: &Request, name: String, dry_run: bool) -> Result<u64, Error> {
    let attempt = Attempt::to("job_start").with_object(&short(&name));
    provision
        .change(request, attempt, move |mut hand| {
            Box::pin(async move {
                hand.request.demand(&Operation::ManageJobs)?;
                let job = hand.writer.job(&name).await?.ok_or(Refusal::UnknownJob(short(&name)))?;
                hand.demand_no_run(&job.name).await?;
                let run = hand.writer.insert_run(&job.name, &hand.request.actor(), dry_run, hand.now).await?;
                let mut started = hand.action(ActionType::JobStarted).object(job.name);
                if dry_run {
                    started = started.detail("dry_run", None, Some("true"));
                }
                Hand::done(run, started, Effects::default())
            })
        })
        .await
}

/// Ends a run, with the action that tells of it (H4).
///
/// # Errors
/// When the store cannot be written, or another has claimed the run.
pub async fn end(
    provision: &Provision,
    work: &Work,
    job: String,
    progress: RunProgress,
    failure: Option<String>,
) -> Result<(), Error> {
    let (request, own) = (work.request(), work.clone());
    provision
        .change(&request, Attempt::to("job_end"), move |hand| {
            Box::pin(async move {
                let outcome = if failure.is_some() { "failed" } else { "done" };
                if !hand.writer.end_run(own.claim, &progress, outcome, hand.now).await? {
                    return Err(Error::RunLost);
                }
                let mut ran = own
                    .action(&hand, ActionType::JobRun)
                    .object(job)
                    .detail("outcome", None, Some(outcome))
                    .detail("processed", None, Some(&progress.processed.to_string()))
                    .detail("changed", None, Some(&progress.changed.to_string()));
                if own.dry_run {
                    ran = ran.detail("dry_run", None, Some("true"));
                }
                if let Some(failure) = &failure {
                    ran = ran.detail("failure", None, Some(failure));
                }
                Hand::done((), ran, Effects::default())
            })
        })
        .await
}

/// Writes how far a run has come where it changed nothing.
///
/// # Errors
/// [`Error::RunLost`] when another has claimed it; else when the store cannot be written.
pub(super) async fn book(provision: &Provision, work: &Work, progress: &RunProgress) -> Result<(), Error> {
    let until = provision.clock().now().plus(LEASE);
    let held = provision.0.store.bookkeeping().step_run(work.claim, progress, until).await?;
    if held { Ok(()) } else { Err(Error::RunLost) }
}

impl Hand<'_> {
    /// Writes how far a run has come, with what it did.
    pub(super) async fn step(&mut self, work: &Work, progress: &RunProgress) -> Result<(), Error> {
        let until = self.now.plus(LEASE);
        if self.writer.step_run(work.claim, progress, until).await? { Ok(()) } else { Err(Error::RunLost) }
    }

    async fn demand_no_run(&mut self, job: &str) -> Result<(), Error> {
        let open = self.writer.job_runs(job, 1).await?.pop().filter(|run| run.outcome.is_none());
        match open {
            None => Ok(()),
            Some(run) => Err(Refusal::JobRunning { job: run.job, run: run.id }.into()),
        }
    }
}

fn demand_name(name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(allowed);
    if good && name.len() <= LONGEST_NAME { Ok(()) } else { Err(Refusal::JobName(short(name))) }
}

/// A text of a request as it is shown.
fn short(text: &str) -> String {
    text.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect()
}
