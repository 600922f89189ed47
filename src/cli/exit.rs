//! How a command ends: the exit codes, and failures with their words.

use std::process::ExitCode;

use crate::admin::Problem;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A rule, the store or the network says no.
    #[error("{0}")]
    Failed(String),
    /// The admin API says no, and says why.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// What was typed cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong; each problem with its place, as a text of several lines.
    #[error("{0}")]
    Configuration(String),
}

/// One failure, nothing done.
const FAILURE: u8 = 1;
/// What was typed cannot be understood; clap ends with the same.
const USAGE: u8 = 2;
/// `EX_CONFIG` of sysexits(3): a restart cannot help.
const CONFIGURATION: u8 = 78;

impl Failure {
    pub(super) fn failed(words: impl std::fmt::Display) -> Self {
        Self::Failed(words.to_string())
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            // The gateway that was to take it up found it wrong.
            Self::Problem(problem) if &*problem.code == "configuration" => CONFIGURATION,
            Self::Failed(_) | Self::Problem(_) => FAILURE,
            Self::Usage(_) => USAGE,
            Self::Configuration(_) => CONFIGURATION,
        })
    }

    /// The failure as a problem document (RFC 9457), for programs.
    pub(super) fn to_problem(&self) -> Problem {
        let (status, code) = match self {
            Self::Problem(problem) => return (**problem).clone(),
            Self::Failed(_) => (http::StatusCode::SERVICE_UNAVAILABLE, "failed"),
            Self::Usage(_) => (http::StatusCode::BAD_REQUEST, "usage"),
            Self::Configuration(_) => (http::StatusCode::UNPROCESSABLE_ENTITY, "configuration"),
        };
        Problem::new(status, code, self.to_string())
    }
}
