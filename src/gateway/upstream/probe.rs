//! Active checks: each instance of an app is asked now and then how it is, beside the requests.
//!
//! A check is an exchange as every other, so whatever is agreed on with the app for requests is for checks too.
//! It opens a connection of its own: one that was kept could work although a new one would not.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::instances::{Instance, Instances};
use super::shared::{SharedApp, SharedApps};
use super::{Bounds, Exchange, Failure, RequestBody};
use crate::gateway::settings::{Settings, Timeouts};

/// How the instances of an app are asked how they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// The target of the request, from its `/`.
    pub path: http::uri::PathAndQuery,
    /// `None`: that of the instance.
    pub host: Option<HeaderValue>,
    /// From one check to the next.
    pub interval: Duration,
    /// For a whole check, once there is a place for its connection.
    pub timeout: Duration,
    /// So many good ones in a row bring an instance back; at least one.
    pub healthy_after: u32,
    /// So many bad ones in a row take it out; at least one.
    pub unhealthy_after: u32,
    /// The least and the greatest status that is good.
    pub status: (u16, u16),
}

/// Begins the checks of all apps that have some: one task an instance.
pub(super) fn begin(settings: &Settings, apps: &SharedApps, upstream: &impl Exchange, tasks: &mut JoinSet<()>) {
    let mut numbers = 0..;
    for (settings, app) in settings.apps.iter().zip(apps.iter()) {
        let instances = Instances::new(settings, app, &mut numbers);
        let Some(check) = &settings.resilience.health_check else { continue };
        for (at, instance) in instances.iter().enumerate() {
            tasks.spawn(watch(Arc::clone(app), at, Arc::clone(instance), check.clone(), upstream.clone()));
        }
    }
}

async fn watch(app: Arc<SharedApp>, at: usize, instance: Arc<Instance>, check: HealthCheck, upstream: impl Exchange) {
    // Not all instances at the same moment.
    let count = u32::try_from(app.endpoints.len()).unwrap_or(u32::MAX);
    sleep(check.interval / count * u32::try_from(at).unwrap_or(0)).await;
    let mut streak = Streak { well: true, against: 0 };
    let mut tick = interval(check.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(well) = ask(&instance, &check, &upstream).await else { continue };
        if streak.turns(well, &check) {
            app.check(at, streak.well);
        }
    }
}

/// Whether the instance is well; `None` when that could not be asked.
async fn ask(instance: &Arc<Instance>, check: &HealthCheck, upstream: &impl Exchange) -> Option<bool> {
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = check.path.clone().into();
    let host = check.host.clone().or_else(|| HeaderValue::from_str(instance.authority()).ok());
    request.headers_mut().extend(host.map(|host| (HOST, host)));
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("locum-health-check"));
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let timeouts = Timeouts { connect: check.timeout, response: check.timeout, idle: check.timeout, total: None };
    let bounds = Bounds {
        timeouts,
        deadline: None,
        guard: None,
        progress: None,
        takes_trailers: false,
        hints: None,
        may_switch: false,
        alone: Some(check.timeout),
    };
    match upstream.exchange(instance, request, &bounds).await {
        Ok(response) => {
            let (least, greatest) = check.status;
            Some((least..=greatest).contains(&response.status().as_u16()))
        }
        // The gateway, or the machine, is at its own bound, which says nothing of the app.
        Err(Failure::Full | Failure::NoSocket(_)) => None,
        Err(_) => Some(false),
    }
}

/// What the last checks said.
#[derive(Debug)]
struct Streak {
    well: bool,
    /// So many in a row said otherwise.
    against: u32,
}

impl Streak {
    /// Whether one more check turns it.
    fn turns(&mut self, well: bool, check: &HealthCheck) -> bool {
        if well == self.well {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let turns = self.against >= if well { check.healthy_after } else { check.unhealthy_after };
        if turns {
            *self = Self { well, against: 0 };
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G8
    #[test]
    fn so_many_checks_in_a_row_turn_it() {
        let check = HealthCheck {
            path: "/".parse().unwrap(),
            host: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
            status: (200, 399),
        };
        let mut streak = Streak { well: true, against: 0 };
        let said = [false, false, true, false, false, false, true, false, true, true];
        let turned: Vec<bool> = said.map(|well| streak.turns(well, &check)).to_vec();
        let at: Vec<usize> = (0..said.len()).filter(|at| turned[*at]).collect();
        assert_eq!((at, streak.well), (vec![5, 9], true));
    }
}
