//! `locum job …`.

use std::time::Duration;

use serde_json::json;

use crate::admin::shape::{
    JobList, JobView, ManagePatsOptions, ReportLine, RunList, RunView, SaveJob, StartRun, StartedRun,
};
use crate::cli::arguments::{JobAddArguments, JobCommand, JobProcess};
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, fields, instant, maybe, table};

/// How often it is asked how far a run is.
const ASKED_EVERY: Duration = Duration::from_millis(100);

pub(in crate::cli) async fn job(client: &Client, command: JobCommand, output: Output) -> Result<(), Failure> {
    match command {
        JobCommand::Add(asked) => {
            let name = asked.job.clone();
            let started: StartedRun = client.put(&path(&["jobs", &name]), &wish(asked)).await?;
            ended(client, &started, output).await
        }
        JobCommand::Run { job, dry_run } => {
            let started: StartedRun = client.post(&path(&["jobs", &job, "runs"]), &StartRun { dry_run }).await?;
            ended(client, &started, output).await
        }
        JobCommand::List => {
            let jobs: JobList = client.get(&path(&["jobs"])).await?;
            output.answer(&jobs.jobs, |jobs| {
                let row = |job: &JobView| {
                    let last = job.last_run.as_ref();
                    let state = last.map_or_else(|| "-".to_owned(), |run| run.state.clone());
                    let next = job.next_runs.first().map(|next| instant(next));
                    vec![
                        job.name.clone(),
                        job.process.clone(),
                        maybe(job.schedule.as_ref()),
                        maybe(next.as_ref()),
                        state,
                    ]
                };
                table(&["JOB", "PROCESS", "SCHEDULE", "NEXT", "LAST RUN"], jobs.iter().map(row))
            })
        }
        JobCommand::Show { job } => {
            let job: JobView = client.get(&path(&["jobs", &job])).await?;
            output.answer(&job, shown)
        }
        JobCommand::Runs { job } => {
            let runs: RunList = client.get(&path(&["jobs", &job, "runs"])).await?;
            output.answer(&runs.runs, |runs| {
                let row = |run: &RunView| {
                    let (asked, by) = (instant(&run.asked_at), run.asked_by.clone());
                    let (processed, changed) = (run.processed.to_string(), run.changed.to_string());
                    vec![run.id.to_string(), asked, by, in_short(run), processed, changed]
                };
                table(&["RUN", "ASKED", "BY", "STATE", "PROCESSED", "CHANGED"], runs.iter().map(row))
            })
        }
        JobCommand::Remove { job } => {
            client.remove(&path(&["jobs", &job])).await?;
            output.answer(&json!({ "job": job, "removed": true }), |_| format!("removed the job `{job}`"))
        }
    }
}

fn wish(asked: JobAddArguments) -> SaveJob {
    let JobAddArguments { process, schedule, zone, keep_expired, unused, idle, inactivate_idle, .. } = asked;
    let options = ManagePatsOptions {
        revoke_expired: keep_expired.then_some(false),
        unused_days: unused,
        idle_days: idle,
        inactivate_idle: inactivate_idle.then_some(true),
    };
    let given = options != ManagePatsOptions::default();
    let process = match process {
        JobProcess::ManagePats => "manage_pats",
        JobProcess::TrimHistory => "trim_history",
    };
    SaveJob { process: process.to_owned(), manage_pats: given.then_some(options), schedule, zone }
}

/// Waits until a run is over, and says what came of it. A run that failed is a failure.
async fn ended(client: &Client, started: &StartedRun, output: Output) -> Result<(), Failure> {
    let place = path(&["jobs", &started.job, "runs", &started.run.to_string()]);
    let mut told = 0;
    let run: RunView = loop {
        let run: RunView = client.get(&place).await?;
        if run.ended_at.is_some() {
            break run;
        }
        if output.is_conversation() && run.processed != told {
            told = run.processed;
            eprintln!("{told} records processed");
        }
        tokio::time::sleep(ASKED_EVERY).await;
    };
    output.answer(&run, |run| {
        let RunView { job, id, processed, changed, .. } = run;
        let state = in_short(run);
        let report: String = report(&run.report);
        format!("run {id} of `{job}` is {state}: {processed} records processed, {changed} changed{report}")
    })?;
    if run.state == "failed" {
        return Err(Failure::failed("the run failed: `locum history --type job_run` says why"));
    }
    Ok(())
}

fn in_short(run: &RunView) -> String {
    if run.dry_run { format!("{} (dry run)", run.state) } else { run.state.clone() }
}

fn report(lines: &[ReportLine]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let row = |line: &ReportLine| vec![line.what.clone(), line.object.clone(), line.account.clone()];
    format!("\n{}", table(&["FOUND", "WHAT", "ACCOUNT"], lines.iter().map(row)))
}

fn shown(job: &JobView) -> String {
    let options = job.manage_pats.as_ref().map(|options| {
        let days = |days: Option<u32>| days.map_or_else(|| "never".to_owned(), |days| format!("after {days} days"));
        let flag = |flag: Option<bool>| if flag == Some(true) { "yes" } else { "no" }.to_owned();
        [
            ("revokes expired", flag(options.revoke_expired)),
            ("revokes unused", days(options.unused_days)),
            ("reports idle", days(options.idle_days)),
            ("inactivates idle", flag(options.inactivate_idle)),
        ]
    });
    let next: Vec<_> = job.next_runs.iter().map(|next| instant(next)).collect();
    let mut pairs = vec![("job", job.name.clone()), ("process", job.process.clone())];
    pairs.extend(options.into_iter().flatten());
    pairs.push(("schedule", maybe(job.schedule.as_ref())));
    pairs.push(("meaning", maybe(job.meaning.as_ref())));
    pairs.push(("next runs", if next.is_empty() { "-".to_owned() } else { next.join(", ") }));
    pairs.push(("saved", format!("{} by {}", instant(&job.saved_at), job.saved_by)));
    let mut found = String::new();
    if let Some(run) = &job.last_run {
        let (at, by) = (instant(&run.asked_at), &run.asked_by);
        pairs.push(("last run", format!("{} {}, asked for {at} by {by}", run.id, in_short(run))));
        pairs.push(("processed", run.processed.to_string()));
        pairs.push(("changed", run.changed.to_string()));
        found = report(&run.report);
    }
    fields(&pairs) + &found
}
