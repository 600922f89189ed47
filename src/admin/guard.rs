//! What stands around every handler: a time limit, a net for panics, and that no answer is kept.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::{HeaderValue, header};

use super::problem::Problem;

/// Ends a request that takes too long or panics. What an operation has begun, it finishes by itself.
pub(super) async fn bounded(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => Problem::panicked().into_response(),
        Err(_elapsed) => Problem::timed_out().into_response(),
    }
}

/// No answer of this API may be kept by whatever stands between (T3).
pub(super) async fn never_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
