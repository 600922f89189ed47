//! The admin API of a running gateway: what it works with, on the host's socket and over the network.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::house::{self, House};
use super::reload::Reloader;
use super::restart::Restarter;
use crate::admin::{self, AdminState, Afterwards, BoundSocket, Network};
use crate::authn::Sources;
use crate::config::Settings;
use crate::telemetry::metrics::Metrics;

/// What the API works with in a running gateway.
pub(super) fn admin_state(
    house: &House,
    metrics: Metrics,
    reloader: &Arc<Reloader>,
    restarter: &Arc<Restarter>,
) -> AdminState {
    let (lockout, in_force) = (house.lockout.clone(), Arc::clone(reloader));
    let mut state = AdminState::new(house.provision.clone());
    state.notes = Arc::new(move || {
        let mut notes = house::notes(&lockout);
        notes.extend(in_force.gateway.load().notes());
        if in_force.authn.is_behind() {
            notes.push("credentials wait too long to be judged: callers that are not known are turned away".to_owned());
        }
        Box::pin(std::future::ready(notes))
    });
    state.metrics = Some(metrics);
    let (reloader, restarter) = (Arc::clone(reloader), Arc::clone(restarter));
    state.reload = Some(Arc::new(move |request| {
        let reloader = Arc::clone(&reloader);
        Box::pin(async move { reloader.reload(Some(request)).await })
    }));
    state.restart = Some(Arc::new(move |_request| {
        let restarter = Arc::clone(&restarter);
        Box::pin(async move { restarter.restart().await })
    }));
    state
}

/// Serves the API to callers with a key; ends when the sender is used or dropped.
pub(super) fn serve_network(
    listener: TcpListener,
    settings: &Settings,
    reloader: &Reloader,
    state: AdminState,
) -> io::Result<(oneshot::Sender<()>, JoinHandle<()>)> {
    let listen = listener.local_addr()?;
    let names = settings.admin.network.as_ref().map(|network| network.hosts.clone()).unwrap_or_default();
    let network = Network {
        listener: tokio::net::TcpListener::from_std(listener)?,
        hosts: admin::network::hosts(listen, &names),
        tls: reloader.admin_shown.clone(),
        budgets: Arc::new(Sources::new(settings.throttle)),
    };
    tracing::info!(%listen, tls = network.tls.is_some(), "the admin API is served over the network");
    let (stop, stopped) = oneshot::channel();
    let serving = admin::serve_network(network, admin::router(state), async move {
        // An error means that the sender is gone: the same end.
        stopped.await.unwrap_or(());
    });
    Ok((stop, tokio::spawn(serving)))
}

/// Serves the API on the host's socket until it is told to end.
pub(super) fn serve_admin(socket: BoundSocket, state: AdminState) -> (oneshot::Sender<Afterwards>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let serving = socket.serve(admin::router(state), async move {
        // An error means that the sender is gone: the same end.
        stopped.await.unwrap_or(Afterwards::Remove)
    });
    (stop, tokio::spawn(serving))
}
