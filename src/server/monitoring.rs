//! What orchestrators and Prometheus ask, on a listener of its own (G13): `/healthz`, `/readyz` and `/metrics`.
//!
//! Nobody has to prove anything here, so the listener is off until it is configured: `/metrics` names apps, upstreams
//! and certificates.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::authn::lockout::Lockout;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

/// How many are answered at once; more wait in the backlog.
const CONNECTIONS: usize = 32;
/// How long a client may take for its one request and for taking the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the store may take to answer.
const STORE: Duration = Duration::from_secs(2);
/// How long accepting rests after it failed, for want of file descriptors for instance.
const REST: Duration = Duration::from_millis(100);

/// Whether requests should be sent here.
#[derive(Debug)]
pub(super) struct Readiness {
    ending: AtomicBool,
    store: Store,
    lockout: Lockout,
}

impl Readiness {
    pub(super) fn new(store: Store, lockout: Lockout) -> Self {
        Self { ending: AtomicBool::new(false), store, lockout }
    }

    /// From now on nobody should send anything more.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Nothing when it is ready.
    async fn why_not(&self) -> Vec<&'static str> {
        let mut why = Vec::new();
        if self.ending.load(Ordering::Acquire) {
            why.push("this gateway is ending");
        }
        if self.lockout.is_closed() {
            why.push("Redis cannot be reached, and nobody is let in meanwhile");
        }
        let asked = async { self.store.read().await?.head().await };
        match tokio::time::timeout(STORE, asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the store does not answer");
                why.push("the store does not answer");
            }
            Err(_late) => why.push("the store does not answer in time"),
        }
        why
    }
}

#[derive(Clone)]
struct Known {
    readiness: Arc<Readiness>,
    metrics: Metrics,
}

/// Answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, readiness: Arc<Readiness>, metrics: Metrics) {
    let router = Router::new()
        .route("/healthz", get(async || text(StatusCode::OK, "ok\n".to_owned())))
        .route("/readyz", get(ready))
        .route("/metrics", get(async |State(known): State<Known>| text(StatusCode::OK, known.metrics.render())))
        .with_state(Known { readiness, metrics });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                connections.spawn(async move {
                    let mut builder = hyper::server::conn::http1::Builder::new();
                    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
                    let answered =
                        tokio::time::timeout(PATIENCE, builder.serve_connection(TokioIo::new(stream), service));
                    if !matches!(answered.await, Ok(Ok(()))) {
                        tracing::debug!("a connection to the monitoring ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the monitoring was not accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn ready(State(known): State<Known>) -> Response {
    let why = known.readiness.why_not().await;
    if why.is_empty() {
        return text(StatusCode::OK, "ready\n".to_owned());
    }
    text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", why.join("; ")))
}

fn text(status: StatusCode, text: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}
