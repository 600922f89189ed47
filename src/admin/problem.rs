//! Problems: how the admin API says no (RFC 9457), and the one place where its statuses are chosen.

use std::num::NonZeroU16;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operate::NotTaken;
use crate::provision::{Error, Refusal};

/// A problem document. `code` is stable; `detail` is for people and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    #[schema(value_type = String)]
    pub title: Box<str>,
    pub status: u16,
    #[schema(value_type = String)]
    pub detail: Box<str>,
    #[schema(value_type = String)]
    pub code: Box<str>,
    /// The requirement that says no, such as `P5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub rule: Option<Box<str>>,
    /// Names that were perhaps meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
    /// How long to wait, in seconds, for the header.
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after: Option<NonZeroU16>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:locum:problem:{code}").into(),
            title: status.canonical_reason().unwrap_or("Problem").into(),
            status: status.as_u16(),
            detail: detail.into().into(),
            code: code.into(),
            rule: None,
            nearest: Vec::new(),
            retry_after: None,
        }
    }

    /// A request whose shape or values cannot be read.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
    }

    pub fn peer_not_allowed() -> Self {
        let detail = "only root and the user that runs the gateway may use this socket";
        Self::new(StatusCode::FORBIDDEN, "peer_not_allowed", detail)
    }

    /// Over the network: the one answer to whoever does not present a key that is in force.
    pub fn key_needed() -> Self {
        let detail = "present a key of the admin API that is in force: `Authorization: Bearer locum_key_…`";
        Self::new(StatusCode::UNAUTHORIZED, "key_needed", detail)
    }

    /// Over the network: the request is meant for another host.
    pub fn wrong_host() -> Self {
        let detail = "`Host` does not name this listener: `[admin] hosts` says which names it has";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail)
    }

    /// Too many failures came from this source.
    pub fn throttled(wait: Duration) -> Self {
        let seconds = u16::try_from(wait.as_secs()).unwrap_or(u16::MAX).saturating_add(1);
        let detail = format!("too many attempts from this source have failed: try again in {seconds} s");
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled", detail);
        problem.retry_after = NonZeroU16::new(seconds);
        problem
    }

    pub fn no_such_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_route", "the admin API has no such path; see `/v1/openapi.json`")
    }

    pub fn no_such_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", "this path is not served with this method")
    }

    pub fn not_running() -> Self {
        Self::new(StatusCode::CONFLICT, "not_running", "no gateway runs here: a start reads the configuration")
    }

    pub fn timed_out() -> Self {
        let detail = "the operation took too long; it may still take effect: ask for the present state";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", detail)
    }

    pub fn panicked() -> Self {
        let detail = "a fault in Locum ended this request; the log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", detail)
    }

    fn of_refusal(refusal: &Refusal) -> Self {
        let mut problem = Self::new(status_of(refusal), refusal.code(), refusal.to_string());
        problem.rule = refusal.rule().map(Into::into);
        problem.nearest = refusal.nearest().to_vec();
        problem
    }
}

const fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::CallerEnded => StatusCode::UNAUTHORIZED,
        Refusal::NotAllowed(_) | Refusal::OwnAdministration | Refusal::HigherLevel(_) | Refusal::OutOfScope(_) => {
            StatusCode::FORBIDDEN
        }
        Refusal::UnknownAccount { .. }
        | Refusal::UnknownRole { .. }
        | Refusal::UnknownApp { .. }
        | Refusal::UnknownReason { .. }
        | Refusal::UnknownPat(_)
        | Refusal::UnknownApiKey(_)
        | Refusal::NameNotKept(_)
        | Refusal::NoSuchEntry { .. }
        | Refusal::UnknownJob(_)
        | Refusal::UnknownRun { .. }
        | Refusal::MovedOut { .. } => StatusCode::NOT_FOUND,
        Refusal::KeyOfNobody
        | Refusal::UnknownNamespace(_)
        | Refusal::PatWish(_)
        | Refusal::TooManyNames { .. }
        | Refusal::ReasonText(_)
        | Refusal::SameAccount(_)
        | Refusal::JobName(_)
        | Refusal::NoAge
        | Refusal::TooYoung { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::NotAPerson(_)
        | Refusal::LastSuperAdministrator(_)
        | Refusal::ApiKeyRevoked(_)
        | Refusal::NotAnAdministrator(_)
        | Refusal::IsAdministrator { .. }
        | Refusal::AdministrationInactive(_)
        | Refusal::NotAProxyUser(_)
        | Refusal::UsernameTaken(_)
        | Refusal::UsernameLookAlike { .. }
        | Refusal::UsernameDeleted(_)
        | Refusal::UsernameReserved(_)
        | Refusal::Cascade(_)
        | Refusal::AccountInactive(_)
        | Refusal::PatState { .. }
        | Refusal::KeyReused(_)
        | Refusal::EmailTaken
        | Refusal::NoMasterKey(_)
        | Refusal::LegacyNameTaken(_)
        | Refusal::KeyStorage(_)
        | Refusal::RoleExists(_)
        | Refusal::ReasonExists(_)
        | Refusal::HistoryKey(_)
        | Refusal::NoArchive
        | Refusal::JobRunning { .. }
        | Refusal::TrimmedAlready
        | Refusal::BrokenHistory(_)
        | Refusal::Archive { .. }
        | Refusal::NotEmbedded => StatusCode::CONFLICT,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::Refused(refusal) => Self::of_refusal(refusal),
            Error::Store(fault) => {
                tracing::error!(%fault, "the store did not answer an operation");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", fault.to_string())
            }
            Error::Seal(fault) => {
                tracing::error!(%fault, "what is sealed could not be opened");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "sealed_unreadable", fault.to_string())
            }
            Error::RunLost => Self::new(StatusCode::CONFLICT, "run_lost", error.to_string()),
            Error::Pepper(_) => {
                tracing::error!(%error, "a key of the admin API cannot be judged");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "keys cannot be judged at present")
            }
            Error::Interrupted => {
                tracing::error!("an operation was interrupted");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "interrupted", error.to_string())
            }
        }
    }
}

impl From<NotTaken> for Problem {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Invalid(problems) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "configuration", problems),
            NotTaken::NeedsRestart(problems) => Self::new(StatusCode::CONFLICT, "needs_restart", problems),
            NotTaken::Failed(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_taken_up", why),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // An empty answer would be read as one that says nothing: a fault has words too.
        const FAULT: &str = r#"{"type":"urn:locum:problem:fault","title":"Internal Server Error","status":500,"detail":"a fault in Locum ended this request; the log says more","code":"fault"}"#;
        let written = serde_json::to_vec(&self).map_err(|error| error.to_string()).and_then(|body| {
            let status = StatusCode::from_u16(self.status).map_err(|error| error.to_string())?;
            Ok((status, Body::from(body)))
        });
        let (status, body) = written.unwrap_or_else(|error| {
            tracing::error!(error, code = %self.code, "a problem could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR, Body::from(FAULT))
        });
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.get()));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"Locum administration\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
