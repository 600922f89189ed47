//! What goes on beside the requests, for all cores: names are resolved, and instances asked how they are.

use tokio::task::JoinSet;

use super::names::{self, Resolver};
use super::pool::AppConnections;
use super::shared::SharedApps;
use super::{Upstreams, probe};
use crate::gateway::settings::Settings;

/// The work beside the requests. It ends when this is dropped.
#[derive(Debug)]
pub struct Watching {
    _tasks: JoinSet<()>,
}

/// Begins it on this runtime, and returns when the names of all instances were asked for once.
pub(in crate::gateway) async fn watch(
    settings: &Settings,
    apps: &SharedApps,
    resolver: &Resolver,
    connections: AppConnections,
) -> Watching {
    let mut tasks = JoinSet::new();
    apps.iter().for_each(|app| app.show());
    names::keep(apps, resolver, &mut tasks).await;
    if settings.apps.iter().any(|app| app.resilience.health_check.is_some()) {
        let instances = apps.iter().map(|app| app.endpoints.len()).sum();
        probe::begin(settings, apps, &Upstreams::new(instances, connections), &mut tasks);
    }
    Watching { _tasks: tasks }
}
