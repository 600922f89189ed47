//! An app's connection after it has switched to another protocol.

use std::fmt;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::Failure;
use super::instances::Running;

/// The app's side of a tunnel. It counts as an exchange that runs, and never becomes a connection that is kept.
pub(crate) struct AppSide {
    stream: TokioIo<Upgraded>,
    _running: Running,
}

impl AppSide {
    /// Takes the connection out of its answer (101).
    pub(super) async fn of(
        response: &mut Response<Incoming>,
        running: Running,
        limit: Duration,
    ) -> Result<Self, Failure> {
        match timeout(limit, hyper::upgrade::on(response)).await {
            Ok(Ok(stream)) => Ok(Self { stream: TokioIo::new(stream), _running: running }),
            Ok(Err(_)) | Err(_) => Err(Failure::Broken("connection_closed")),
        }
    }

    pub(crate) const fn io(&mut self) -> &mut TokioIo<Upgraded> {
        &mut self.stream
    }
}

impl fmt::Debug for AppSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSide").finish_non_exhaustive()
    }
}
