//! How a request is read: path, query and body, each with its own refusal in words, and the caller.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use ipnet::IpNet;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::directory::administrator::Level;
use crate::directory::rights::Right;
use crate::directory::{
    AppName, DisplayName, Email, LegacyName, Permission, Phone, PublicId, ReasonCode, RoleName, Username,
};
use crate::provision::Request;

/// The longest idempotency key, in characters.
const LONGEST_KEY: usize = 128;

/// Who asks, as [`super::peer`] established it before any handler runs.
#[derive(Debug, Clone)]
pub struct Asked(pub Request);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::peer_not_allowed)
    }
}

/// A JSON body; unknown fields are refused by its shape.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(match &rejection {
                JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_) => {
                    Problem::invalid(format!("the body cannot be read: {}", innermost(&rejection)))
                }
                JsonRejection::MissingJsonContentType(_) => Problem::new(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "not_json",
                    "the body has to be JSON, with `Content-Type: application/json`",
                ),
                other => Problem::new(other.status(), "body", other.body_text()),
            }),
        }
    }
}

/// A query string; unknown parameters are refused by its shape.
#[derive(Debug)]
pub struct Asking<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asking<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::invalid(format!("the query cannot be read: {}", innermost(&rejection)))),
        }
    }
}

/// The variable parts of the path.
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::invalid(format!("the path cannot be read: {}", rejection.body_text()))),
        }
    }
}

/// What serde said, without the words that the framework puts around it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The value of `Idempotency-Key`, if there is one (draft-ietf-httpapi-idempotency-key-header).
///
/// # Errors
/// When it is empty, too long, or not visible ASCII.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let words = "`Idempotency-Key` has to be 1 to 128 visible ASCII characters";
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::invalid(words))
}

/// What names something of the directory, read by the directory's own rule.
pub trait FromText: Sized {
    /// # Errors
    /// Names the rule that the text breaks.
    fn from_text(text: &str) -> Result<Self, Problem>;
}

macro_rules! from_text {
    ($($word:ty),*) => {$(
        impl FromText for $word {
            fn from_text(text: &str) -> Result<Self, Problem> {
                Self::parse(text).map_err(|error| Problem::invalid(error.to_string()))
            }
        }
    )*};
}

from_text!(Username, RoleName, AppName, ReasonCode, Permission, DisplayName, Email, Phone, LegacyName);

impl FromText for Level {
    fn from_text(text: &str) -> Result<Self, Problem> {
        let words = "a level is `administrator` or `super_administrator`";
        Self::from_slug(text).ok_or_else(|| Problem::invalid(words))
    }
}

impl FromText for Right {
    fn from_text(text: &str) -> Result<Self, Problem> {
        let words = "the rights that can be granted are `add_proxy_users` and `update_users_and_permissions`";
        Self::from_slug(text).ok_or_else(|| Problem::invalid(words))
    }
}

impl FromText for PublicId {
    fn from_text(text: &str) -> Result<Self, Problem> {
        let words = "a public id has 12 letters and digits: `locum pat list` shows those of a proxy user";
        Self::parse(text).ok_or_else(|| Problem::invalid(words))
    }
}

impl FromText for IpNet {
    fn from_text(text: &str) -> Result<Self, Problem> {
        text.parse().map_err(|_| {
            let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
            Problem::invalid(format!("`{shown}` is not a network: write `ADDRESS/BITS`, such as `10.0.0.0/8`"))
        })
    }
}

/// Reads each of several names; the first that is wrong is the problem.
///
/// # Errors
/// Names the rule that it breaks.
pub fn all_from_text<T: FromText, C: FromIterator<T>>(texts: &[String]) -> Result<C, Problem> {
    texts.iter().map(|text| T::from_text(text)).collect()
}
