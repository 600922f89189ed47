//! Jobs: saving, running, listing.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use crate::admin::AdminState;
use crate::admin::extract::{Asked, Body, Named};
use crate::admin::problem::Problem;
use crate::admin::shape::{
    JobList, JobView, ManagePatsOptions, ReportLine, RunList, RunView, SaveJob, StartRun, StartedRun,
};
use crate::clock::Timestamp;
use crate::jobs::{Process, Schedule};
use crate::provision::job;
use crate::provision::manage_pats::ManagePats;
use crate::provision::reading::{self, Names, ShownJob};
use crate::store::RunRecord;

/// How many instants at which a job is due are shown.
const UPCOMING: usize = 3;
/// How many runs are listed.
const RUNS: u32 = 100;
/// What a number of days can be.
const MOST_DAYS: u32 = 3_650;

/// List the jobs (T9)
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs",
    responses((status = 200, body = JobList), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn list(
    State(state): State<AdminState>,
    Asked(request): Asked,
) -> Result<Json<JobList>, Problem> {
    let jobs = reading::jobs(&state.provision, &request, None).await?;
    let now = state.provision.clock().now();
    Ok(Json(JobList { jobs: jobs.iter().map(|shown| job_view(shown, now)).collect() }))
}

/// Show a job, what its schedule means, and its last run (T9)
#[utoipa::path(get, path = "/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, body = JobView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn show(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(name): Named<String>,
) -> Result<Json<JobView>, Problem> {
    let jobs = reading::jobs(&state.provision, &request, Some(&name)).await?;
    let shown = jobs.first().ok_or_else(Problem::no_such_route)?;
    Ok(Json(job_view(shown, state.provision.clock().now())))
}

/// Save a job under its name, and do it once (T9)
#[utoipa::path(put, path = "/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)), request_body = SaveJob,
    responses((status = 202, body = StartedRun), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn save(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(name): Named<String>,
    Body(wish): Body<SaveJob>,
) -> Result<(StatusCode, Json<StartedRun>), Problem> {
    let process = process(&wish)?;
    let (zone, now) = (wish.zone.as_deref().unwrap_or("UTC"), state.provision.clock().now());
    if wish.schedule.is_none() && wish.zone.is_some() {
        return Err(Problem::invalid("`zone` says how a `schedule` is read: give both"));
    }
    let schedule = wish.schedule.as_deref().map(|text| Schedule::parse(text, zone, now)).transpose();
    let schedule = schedule.map_err(|error| Problem::invalid(error.to_string()))?;
    let run = state.jobs.save(&request, name.clone(), &process, schedule.as_ref()).await?;
    Ok((StatusCode::ACCEPTED, Json(StartedRun { job: name, run })))
}

/// Remove a job, its schedule and its runs (T9)
#[utoipa::path(delete, path = "/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn remove(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    job::remove(&state.provision, &request, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Run a job now, or say what it would do (T9)
#[utoipa::path(post, path = "/v1/jobs/{job}/runs", tag = "jobs", params(("job" = String, Path)),
    request_body = StartRun, responses((status = 202, body = StartedRun), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn start(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(name): Named<String>,
    Body(wish): Body<StartRun>,
) -> Result<(StatusCode, Json<StartedRun>), Problem> {
    let run = state.jobs.start(&request, name.clone(), wish.dry_run).await?;
    Ok((StatusCode::ACCEPTED, Json(StartedRun { job: name, run })))
}

/// List the runs of a job, the newest first (T9)
#[utoipa::path(get, path = "/v1/jobs/{job}/runs", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, body = RunList), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn runs(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named(name): Named<String>,
) -> Result<Json<RunList>, Problem> {
    let (runs, names) = reading::job_runs(&state.provision, &request, &name, RUNS).await?;
    let now = state.provision.clock().now();
    Ok(Json(RunList { runs: runs.iter().map(|run| run_view(run, &names, now)).collect() }))
}

/// Show a run: how far it is, and what it found (T9)
#[utoipa::path(get, path = "/v1/jobs/{job}/runs/{run}", tag = "jobs",
    params(("job" = String, Path), ("run" = u64, Path)),
    responses((status = 200, body = RunView), (status = "4XX", body = Problem)))]
pub(in crate::admin) async fn run(
    State(state): State<AdminState>,
    Asked(request): Asked,
    Named((name, run)): Named<(String, String)>,
) -> Result<Json<RunView>, Problem> {
    let run = run.parse().map_err(|_| Problem::invalid("a run has a number: `locum job runs` shows them"))?;
    let (run, names) = reading::job_run(&state.provision, &request, &name, run).await?;
    Ok(Json(run_view(&run, &names, state.provision.clock().now())))
}

fn process(wish: &SaveJob) -> Result<Process, Problem> {
    let process = match wish.process.as_str() {
        "manage_pats" => {
            let (given, default) = (wish.manage_pats.clone().unwrap_or_default(), ManagePats::default());
            for days in given.unused_days.iter().chain(&given.idle_days) {
                if !(1..=MOST_DAYS).contains(days) {
                    return Err(Problem::invalid(format!("`{days}` days: give 1 to {MOST_DAYS}")));
                }
            }
            Process::ManagePats(ManagePats {
                revoke_expired: given.revoke_expired.unwrap_or(default.revoke_expired),
                unused_days: given.unused_days,
                idle_days: given.idle_days.unwrap_or(default.idle_days),
                inactivate_idle: given.inactivate_idle.unwrap_or(default.inactivate_idle),
            })
        }
        "trim_history" if wish.manage_pats.is_some() => {
            return Err(Problem::invalid("`manage_pats` says what that process does, and `trim_history` is another"));
        }
        other => Process::read(other, "{}").map_err(|error| Problem::invalid(error.to_string()))?,
    };
    Ok(process)
}

fn job_view(shown: &ShownJob, now: Timestamp) -> JobView {
    let ShownJob { job, last, names } = shown;
    let schedule = job.schedule.as_ref().and_then(|text| Schedule::parse(text, &job.zone, now).ok());
    let upcoming = |schedule: &Schedule| {
        // What is due already comes first.
        let first = job.next_at.filter(|next| *next <= now);
        first.into_iter().chain(schedule.upcoming(now, UPCOMING)).map(|instant| instant.to_string()).collect()
    };
    let manage_pats = match Process::read(&job.process, &job.options) {
        Ok(Process::ManagePats(options)) => Some(ManagePatsOptions {
            revoke_expired: Some(options.revoke_expired),
            unused_days: options.unused_days,
            idle_days: Some(options.idle_days),
            inactivate_idle: Some(options.inactivate_idle),
        }),
        Ok(Process::TrimHistory) | Err(_) => None,
    };
    JobView {
        name: job.name.clone(),
        process: job.process.clone(),
        manage_pats,
        schedule: job.schedule.clone(),
        meaning: schedule.as_ref().map(Schedule::words),
        zone: job.zone.clone(),
        next_runs: schedule.as_ref().map(upcoming).unwrap_or_default(),
        saved_at: job.saved_at.to_string(),
        saved_by: names.of_actor(&job.saved_by),
        last_run: last.as_ref().map(|run| run_view(run, names, now)),
    }
}

fn run_view(run: &RunRecord, names: &Names, now: Timestamp) -> RunView {
    let claimed = run.lease_until.is_some_and(|until| until > now);
    let state = run.outcome.as_deref().unwrap_or(if claimed { "running" } else { "waiting" });
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let (what, object) = (words.next()?, words.next()?);
        let account = names.of_text(&format!("account:{}", words.next()?));
        let object = if object == "-" { account.clone() } else { object };
        Some(ReportLine { what, object, account })
    };
    RunView {
        id: run.id,
        job: run.job.clone(),
        state: state.to_owned(),
        asked_by: names.of_actor(&run.asked_by),
        dry_run: run.dry_run,
        asked_at: run.asked_at.to_string(),
        started_at: run.started_at.map(|at| at.to_string()),
        ended_at: run.ended_at.map(|at| at.to_string()),
        claims: run.fence,
        processed: run.progress.processed,
        changed: run.progress.changed,
        report: run.progress.report.lines().filter_map(line).collect(),
    }
}
