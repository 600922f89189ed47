//! The admin API: the face of the operations, for the command line and for programs.
//!
//! ```text
//!   socket    the Unix socket, made safely and served with bounds
//!   network   a listener of its own, for callers with a key
//!   peer      who is at the other end, by the kernel's word or by a key
//!   scope     which scope a key needs for which operation
//!   extract   path, query and body, read with words for what is wrong
//!   route     one handler an operation; THE TABLE is below
//!   shape     what is sent and answered
//!   operate   what a running gateway can be asked to do with itself
//!   problem   how it says no, and the one place where its statuses are chosen
//! ```
//!
//! Handlers decide nothing: each reads its input, calls one function of `provision`, and shows what came
//! of it. The same router serves the socket of a running gateway and, in-process, a command line that
//! found none.

pub mod extract;
mod guard;
pub mod network;
pub mod operate;
pub mod peer;
pub mod problem;
mod route;
mod scope;
pub mod shape;
pub mod socket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use http::header;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use network::{Network, serve_network};
pub use operate::{NotTaken, Reload, Restart};
pub use peer::{FromNetwork, Peer};
pub use problem::Problem;
pub use socket::{Afterwards, BoundSocket, SocketError, serve_unix};

use crate::clock::Timestamp;
use crate::directory::rights::Operation;
use crate::jobs::Jobs;
use crate::provision::{Provision, reading};
use crate::telemetry::metrics::Metrics;
use extract::Asked;
use peer::Door;
use scope::Needed;

/// Where the metrics are, and where the document: beside what it describes.
const METRICS: &str = "/metrics";
const DOCUMENT: &str = "/v1/openapi.json";
/// The longest body that is read.
const LARGEST_BODY: usize = 64 * 1024;
/// The longest body of a verification: the checkpoints of years.
const LARGEST_AUDIT: usize = 4 * 1024 * 1024;
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long following the whole history may take.
const AUDIT_TIMEOUT: Duration = Duration::from_mins(30);

/// What the gateway says of itself beyond the store: words for everything that works by a second way.
pub type Notes = Arc<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// What the handlers work with.
#[derive(Clone)]
pub struct AdminState {
    pub provision: Provision,
    pub jobs: Jobs,
    /// Asked by the health check.
    pub notes: Notes,
    /// The user that this process runs as; it and root may use the API.
    pub own_uid: u32,
    /// The metrics of a running gateway; a command line by itself has none.
    pub metrics: Option<Metrics>,
    /// Takes up the configuration of a running gateway anew.
    pub reload: Option<Reload>,
    /// Lets a new process take the place of a running gateway.
    pub restart: Option<Restart>,
    /// Since when this process serves.
    pub since: Timestamp,
}

impl AdminState {
    /// For the user that runs this process, with nothing to note.
    pub fn new(provision: Provision) -> Self {
        let notes: Notes = Arc::new(|| Box::pin(std::future::ready(Vec::new())));
        let since = provision.clock().now();
        let jobs = Jobs::new(provision.clone(), format!("process {}", std::process::id()));
        Self {
            provision,
            jobs,
            notes,
            own_uid: rustix::process::geteuid().as_raw(),
            metrics: None,
            reload: None,
            restart: None,
            since,
        }
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").field("own_uid", &self.own_uid).finish_non_exhaustive()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Locum admin API",
        description = "Everything that the command line does. Served on a Unix socket, where the caller is known by \
                       the credentials of its process, and where it is configured on a listener of its own, to callers \
                       with a key (`Authorization: Bearer locum_key_…`). Each operation names the scope that a key needs \
                       for it. Errors are problem documents (RFC 9457) with a stable `code`."
    ),
    components(schemas(Problem))
)]
struct Api;

/// THE TABLE: every route of the API, once.
fn table() -> OpenApiRouter<AdminState> {
    let audit = OpenApiRouter::new()
        .routes(routes!(route::audit::verify, route::audit::verify_by))
        .routes(routes!(route::audit::checkpoint))
        .routes(routes!(route::audit::key))
        .routes(routes!(route::audit::export))
        .routes(routes!(route::audit::trim))
        .routes(routes!(route::backup::take))
        .routes(routes!(route::backup::revoke_all_pats))
        .layer(DefaultBodyLimit::max(LARGEST_AUDIT))
        .layer(from_fn_with_state(AUDIT_TIMEOUT, guard::bounded));
    let others = OpenApiRouter::new()
        .routes(routes!(route::people::list, route::people::add))
        .routes(routes!(route::people::show, route::people::set, route::people::delete))
        .routes(routes!(route::people::inactivate))
        .routes(routes!(route::people::activate))
        .routes(routes!(route::legacy_names::link, route::legacy_names::remove))
        .routes(routes!(route::legacy_names::find, route::legacy_names::import))
        .routes(routes!(route::administrators::list, route::administrators::add))
        .routes(routes!(route::administrators::promote))
        .routes(routes!(route::administrators::downgrade))
        .routes(routes!(route::administrators::deactivate))
        .routes(routes!(route::administrators::reactivate))
        .routes(routes!(route::administrators::grant_app, route::administrators::remove_app))
        .routes(routes!(route::administrators::show))
        .routes(routes!(route::administrators::grant_right, route::administrators::remove_right))
        .routes(routes!(route::api_keys::list, route::api_keys::add))
        .routes(routes!(route::api_keys::show))
        .routes(routes!(route::api_keys::revoke))
        .routes(routes!(route::proxy_users::list, route::proxy_users::add))
        .routes(routes!(route::proxy_users::show, route::proxy_users::delete))
        .routes(routes!(route::proxy_users::inactivate))
        .routes(routes!(route::proxy_users::activate))
        .routes(routes!(route::proxy_users::set_networks))
        .routes(routes!(route::pats::list, route::pats::add))
        .routes(routes!(route::pats::check))
        .routes(routes!(route::pats::show))
        .routes(routes!(route::pats::confirm))
        .routes(routes!(route::pats::revoke))
        .routes(routes!(route::pats::rotate))
        .routes(routes!(route::holdings::grant_role, route::holdings::remove_role))
        .routes(routes!(route::holdings::grant_app, route::holdings::remove_app))
        .routes(routes!(route::holdings::copy_roles))
        .routes(routes!(route::roles::list, route::roles::add))
        .routes(routes!(route::roles::show, route::roles::set))
        .routes(routes!(route::catalogue::reasons, route::catalogue::add_reason))
        .routes(routes!(route::catalogue::apps))
        .routes(routes!(route::catalogue::release_name))
        .routes(routes!(route::history::list))
        .routes(routes!(route::jobs::list))
        .routes(routes!(route::jobs::show, route::jobs::save, route::jobs::remove))
        .routes(routes!(route::jobs::runs, route::jobs::start))
        .routes(routes!(route::jobs::run))
        .routes(routes!(route::health::health))
        .routes(routes!(route::keys::show))
        .routes(routes!(route::keys::rotate))
        .routes(routes!(route::operation::reload))
        .routes(routes!(route::operation::restart))
        .layer(from_fn_with_state(TIMEOUT, guard::bounded));
    OpenApiRouter::with_openapi(Api::openapi()).merge(audit).merge(others)
}

/// The whole API. Whoever serves it puts a [`Peer`] into each request's extensions; without one that is
/// allowed, every path is refused.
pub fn router(state: AdminState) -> Router {
    let (routes, mut document) = table().split_for_parts();
    let needed = Arc::new(Needed::write_into(&mut document));
    routes
        .route(METRICS, axum::routing::get(render_metrics))
        .route(DOCUMENT, axum::routing::get(async move || Json(document.clone())))
        .fallback(async || Problem::no_such_route())
        .method_not_allowed_fallback(async || Problem::no_such_method())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(Door { state: state.clone(), needed }, peer::admit))
        .layer(from_fn(guard::never_stored))
        .with_state(state)
}

/// The `OpenAPI` document, as it is checked in.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn document() -> Result<String, serde_json::Error> {
    let mut document = table().into_openapi();
    Needed::write_into(&mut document);
    Ok(document.to_pretty_json()? + "\n")
}

/// The metrics in the Prometheus text format.
async fn render_metrics(State(state): State<AdminState>, Asked(request): Asked) -> Result<Response, Problem> {
    reading::demand(&state.provision, &request, &Operation::SeeGateway, "metrics").await?;
    let metrics = state.metrics.ok_or_else(Problem::no_such_route)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response())
}
