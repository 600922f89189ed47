//! Reading jobs and what came of their runs (T9).

use super::{Names, refused_if_not_allowed};
use crate::directory::rights::Operation;
use crate::directory::{AccountId, Actor};
use crate::provision::{Error, Provision, Refusal, Request};
use crate::store::{JobRecord, Reader, RunRecord};

/// A job with its last run, if it ran at all.
#[derive(Debug, Clone)]
pub struct ShownJob {
    pub job: JobRecord,
    pub last: Option<RunRecord>,
    pub names: Names,
}

/// All jobs, by name; or only one.
///
/// # Errors
/// When the caller may not, or the one is unknown.
pub async fn jobs(provision: &Provision, request: &Request, only: Option<&str>) -> Result<Vec<ShownJob>, Error> {
    let reading = async {
        request.demand(&Operation::ManageJobs)?;
        let mut reader = provision.0.store.read().await?;
        let found = match only {
            None => reader.jobs().await?,
            Some(name) => vec![reader.job(name).await?.ok_or_else(|| unknown(name))?],
        };
        let mut shown = Vec::with_capacity(found.len());
        for job in found {
            let last = reader.job_runs(&job.name, 1).await?.pop();
            let mut names = Names::default();
            names.add_actor(&mut reader, &job.saved_by).await?;
            if let Some(run) = &last {
                add_names(&mut names, &mut reader, run).await?;
            }
            shown.push(ShownJob { job, last, names });
        }
        Ok(shown)
    };
    refused_if_not_allowed(provision, request, "job_list", reading.await).await
}

/// The runs of a job that are known, the newest first.
///
/// # Errors
/// When the caller may not, or there is no such job.
pub async fn job_runs(
    provision: &Provision,
    request: &Request,
    name: &str,
    limit: u32,
) -> Result<(Vec<RunRecord>, Names), Error> {
    let reading = async {
        request.demand(&Operation::ManageJobs)?;
        let mut reader = provision.0.store.read().await?;
        reader.job(name).await?.ok_or_else(|| unknown(name))?;
        let runs = reader.job_runs(name, limit).await?;
        let mut names = Names::default();
        for run in &runs {
            add_names(&mut names, &mut reader, run).await?;
        }
        Ok((runs, names))
    };
    refused_if_not_allowed(provision, request, "job_runs", reading.await).await
}

/// One run of a job.
///
/// # Errors
/// When the caller may not, or there is no such run.
pub async fn job_run(
    provision: &Provision,
    request: &Request,
    name: &str,
    id: u64,
) -> Result<(RunRecord, Names), Error> {
    let reading = async {
        request.demand(&Operation::ManageJobs)?;
        let mut reader = provision.0.store.read().await?;
        let run = reader.job_run(id).await?.filter(|run| run.job == name);
        let run = run.ok_or_else(|| Refusal::UnknownRun { job: shortened(name), run: id })?;
        let mut names = Names::default();
        add_names(&mut names, &mut reader, &run).await?;
        Ok((run, names))
    };
    refused_if_not_allowed(provision, request, "job_run", reading.await).await
}

async fn add_names(names: &mut Names, reader: &mut Reader, run: &RunRecord) -> Result<(), Error> {
    names.add_actor(reader, &run.asked_by).await?;
    for line in run.progress.report.lines() {
        let id = line.rsplit(' ').next().unwrap_or_default();
        if let Some(Actor::Account(id)) = Actor::from_stored(&format!("account:{id}")) {
            names.add(reader, AccountId::from_bytes(*id.as_bytes())).await?;
        }
    }
    Ok(())
}

fn unknown(name: &str) -> Refusal {
    Refusal::UnknownJob(shortened(name))
}

fn shortened(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
