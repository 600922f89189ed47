//! `locum job …`.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Save a job under its name, and do it once; saved again, it is changed
    Add(JobAddArguments),
    /// List the jobs, with what their schedules mean
    List,
    /// Show a job: its options, when it is due next, and what its last run found
    Show {
        #[arg(value_name = "JOB")]
        job: String,
    },
    /// Do a job now, and wait until it is done
    Run {
        #[arg(value_name = "JOB")]
        job: String,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a job, its schedule and its runs
    Remove {
        #[arg(value_name = "JOB")]
        job: String,
    },
    /// List the runs of a job, the newest first
    Runs {
        #[arg(value_name = "JOB")]
        job: String,
    },
}

#[derive(Debug, Args)]
pub struct JobAddArguments {
    #[arg(value_name = "JOB")]
    pub job: String,

    /// What it does
    #[arg(long, value_enum)]
    pub process: JobProcess,

    /// When it is done: cron text, such as "0 3 * * *" for every day at three [default: by hand only]
    #[arg(long, value_name = "CRON")]
    pub schedule: Option<String>,

    /// The time zone of the schedule [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "schedule")]
    pub zone: Option<String>,

    /// With manage-pats: leave expired tokens as they are
    #[arg(long)]
    pub keep_expired: bool,

    /// With manage-pats: revoke tokens that were not used for so many days
    #[arg(long, value_name = "DAYS")]
    pub unused: Option<u32>,

    /// With manage-pats: report proxy users that did not authenticate for so many days [default: 365]
    #[arg(long, value_name = "DAYS")]
    pub idle: Option<u32>,

    /// With manage-pats: make those inactive
    #[arg(long)]
    pub inactivate_idle: bool,
}

/// What a job can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JobProcess {
    /// Revoke expired and unused tokens, and report what is stale or idle
    ManagePats,
    /// Move old entries of the history to the archive
    TrimHistory,
}
