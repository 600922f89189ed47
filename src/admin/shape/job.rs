//! Jobs, and what came of their runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A job that is saved under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveJob {
    /// `manage_pats` or `trim_history`.
    pub process: String,
    /// For `manage_pats`; its defaults when not said.
    pub manage_pats: Option<ManagePatsOptions>,
    /// Cron text with five fields, such as `0 3 * * *`; by hand only when not said.
    pub schedule: Option<String>,
    /// The time zone that it is read in, such as `Europe/Berlin`; `UTC` when not said.
    pub zone: Option<String>,
}

/// What *manage personal access tokens* does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagePatsOptions {
    /// Whether expired tokens are revoked; they are when not said.
    pub revoke_expired: Option<bool>,
    /// Tokens that were not used for so many days are revoked; none when not said.
    #[schema(minimum = 1, maximum = 3650)]
    pub unused_days: Option<u32>,
    /// Proxy users that did not authenticate for so many days are reported; 365 when not said.
    #[schema(minimum = 1, maximum = 3650)]
    pub idle_days: Option<u32>,
    /// Whether those are made inactive, too; they are not when not said.
    pub inactivate_idle: Option<bool>,
}

/// A run that somebody asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    pub name: String,
    pub process: String,
    /// What `manage_pats` does; `null` for other processes.
    pub manage_pats: Option<ManagePatsOptions>,
    /// `null`: by hand only.
    pub schedule: Option<String>,
    /// What the schedule means, in words.
    pub meaning: Option<String>,
    pub zone: String,
    /// When it is due next.
    pub next_runs: Vec<String>,
    pub saved_at: String,
    pub saved_by: String,
    /// The newest run; `null` when there was none.
    pub last_run: Option<RunView>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    pub jobs: Vec<JobView>,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    pub id: u64,
    pub job: String,
    /// `waiting`, `running`, `done` or `failed`.
    pub state: String,
    /// `locum` where its schedule did.
    pub asked_by: String,
    pub dry_run: bool,
    pub asked_at: String,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// How many processes have begun it: more than one where the one before died.
    pub claims: u64,
    /// How many records were looked at.
    pub processed: u64,
    /// How many of them were changed, or would be.
    pub changed: u64,
    /// What was found; at most 1000 things, the numbers count all.
    pub report: Vec<ReportLine>,
}

/// One thing that a run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportLine {
    /// `expired` or `unused`: a token that was, or would be, revoked. `stale`: one that is still presented. `idle`: a proxy
    /// user that did not authenticate.
    pub what: String,
    /// The token's public id, or the username.
    pub object: String,
    /// Whose it is: a username, or the id of a deleted account.
    pub account: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    pub runs: Vec<RunView>,
}

/// A job that was saved or started, and its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StartedRun {
    pub job: String,
    /// The number of the run.
    pub run: u64,
}
