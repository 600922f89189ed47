//! What one core counts of its requests, by handles that are looked up once.
//!
//! Labels come from small closed sets: the apps of the configuration, the classes of status, the slugs
//! of decisions. Never a name or a path that a client could choose.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::record::{Decision, Record};
use super::settings::Settings;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The counters of one core.
pub(super) struct Meters {
    /// By the route's `app_index`; the last is for requests that no app has.
    apps: Vec<AppMeters>,
}

struct AppMeters {
    name: String,
    by_class: [Counter; CLASSES.len()],
    duration: Histogram,
}

impl Meters {
    pub(super) fn new(settings: &Settings) -> Self {
        let names = settings.apps.iter().map(|app| app.name().to_string()).chain([String::new()]);
        Self { apps: names.map(AppMeters::new).collect() }
    }

    pub(super) fn count(&self, record: &Record, status: u16, duration: Duration) {
        let none = self.apps.len() - 1;
        let app = &self.apps[record.route.as_ref().map_or(none, |route| route.app_index.min(none))];
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        app.by_class[class].increment(1);
        app.duration.record(duration.as_secs_f64());
        if record.decision != Decision::Permitted {
            let reason = record.reason.unwrap_or_default();
            counter!("locum_decisions_total", "app" => app.name.clone(), "decision" => record.decision.slug(), "reason" => reason)
                .increment(1);
        }
    }
}

impl AppMeters {
    fn new(name: String) -> Self {
        let by_class = CLASSES.map(|class| counter!("locum_requests_total", "app" => name.clone(), "status" => class));
        let duration = histogram!("locum_request_duration_seconds", "app" => name.clone());
        Self { name, by_class, duration }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").field("apps", &self.apps.len()).finish_non_exhaustive()
    }
}
