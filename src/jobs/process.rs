//! The processes that a job can do, each with its options.

use crate::provision::job::Work;
use crate::provision::manage_pats::{self, ManagePats};
use crate::provision::{Error, Provision, Refusal, retention};
use crate::store::RunProgress;

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Process {
    /// *Manage personal access tokens* (T9, T12).
    ManagePats(ManagePats),
    /// Moves old entries of the history to the archive, as `[history]` says (H7).
    TrimHistory,
}

/// Why there is no such process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    #[error(
        "there is no process `{0}`: `manage_pats` manages personal access tokens, `trim_history` moves old entries to the archive"
    )]
    Unknown(String),
    #[error("the options of `{process}` cannot be read: {why}")]
    Options { process: &'static str, why: String },
}

impl Process {
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::ManagePats(_) => "manage_pats",
            Self::TrimHistory => "trim_history",
        }
    }

    /// Reads a process as it is saved.
    ///
    /// # Errors
    /// When there is none of that name, or it has no such options.
    pub fn read(slug: &str, options: &str) -> Result<Self, ProcessError> {
        let unreadable = |process, error: serde_json::Error| ProcessError::Options { process, why: error.to_string() };
        match slug {
            "manage_pats" => {
                let options = serde_json::from_str(options).map_err(|error| unreadable("manage_pats", error))?;
                Ok(Self::ManagePats(options))
            }
            "trim_history" if options == "{}" => Ok(Self::TrimHistory),
            "trim_history" => Err(ProcessError::Options { process: "trim_history", why: "it has none".to_owned() }),
            other => Err(ProcessError::Unknown(other.chars().take(64).flat_map(char::escape_debug).collect())),
        }
    }

    /// Its options, as they are saved.
    pub fn options(&self) -> String {
        match self {
            Self::ManagePats(options) => {
                serde_json::to_string(options).expect("numbers and flags can always be written as JSON")
            }
            Self::TrimHistory => "{}".to_owned(),
        }
    }

    /// Goes on with a run until there is nothing more to do; `progress` is where it stands, whatever comes of it.
    pub(super) async fn go_on(
        &self,
        provision: &Provision,
        work: &Work,
        progress: &mut RunProgress,
    ) -> Result<(), Error> {
        match self {
            Self::ManagePats(options) => {
                while manage_pats::step(provision, work, options, progress).await? {}
                Ok(())
            }
            Self::TrimHistory => {
                let trimmed = if work.dry_run {
                    retention::count_by_age(provision).await?
                } else {
                    retention::trim_by_age(provision).await?
                };
                let trimmed = trimmed.ok_or(Refusal::NoAge)?;
                progress.processed = trimmed.entries;
                progress.changed = trimmed.entries;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T9
    #[test]
    fn a_process_reads_back_with_its_options() {
        let options = ManagePats { unused_days: Some(90), inactivate_idle: true, ..ManagePats::default() };
        for process in [Process::ManagePats(options), Process::TrimHistory] {
            assert_eq!(Process::read(process.slug(), &process.options()), Ok(process));
        }
        assert!(matches!(Process::read("trim_history", "{\"a\":1}"), Err(ProcessError::Options { .. })));
        assert!(matches!(Process::read("manage_pats", "{\"days\":1}"), Err(ProcessError::Options { .. })));
        assert_eq!(Process::read("format_disk", "{}"), Err(ProcessError::Unknown("format_disk".into())));
    }
}
