//! `locum serve`: reads the configuration, sets up the log, and hands over to the server.

use std::path::Path;

use super::arguments::{Global, ServeArguments};
use super::exit::Failure;
use super::find::{self, DEVELOPMENT_FOLDER};
use crate::config::settings::Upstream;
use crate::config::{Purpose, Settings};
use crate::server::dev::{EXAMPLE_UPSTREAM, StateFolder};
use crate::server::house;
use crate::server::serve::{Serve, serve as run};
use crate::telemetry::log;

/// The configuration that is served when none is named.
const DEFAULT_FILE: &str = "locum.toml";

/// Runs the gateway until it is told to end.
pub(super) fn serve(global: &Global, arguments: &ServeArguments) -> Result<(), Failure> {
    let (mut settings, dev) = if arguments.dev {
        let folder = global.state.as_deref().unwrap_or(Path::new(DEVELOPMENT_FOLDER));
        let folder = StateFolder::prepare(folder, house::random).map_err(Failure::failed)?;
        let mut settings = find::load(&folder.configuration(), Purpose::Serve)?;
        if let Some(url) = &arguments.upstream {
            put_upstream(&mut settings, url)?;
        }
        (settings, Some(folder))
    } else {
        if global.state.is_some() {
            return Err(Failure::Usage(
                "a state folder belongs to `serve --dev`; otherwise name `--config FILE`".into(),
            ));
        }
        let file = global.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        (find::load(file, Purpose::Serve)?, None)
    };
    if let Some(listen) = arguments.listen {
        settings.server.listen = listen;
    }
    let log = log::install(&settings.log).map_err(Failure::failed)?;
    start_failpoints();
    run(Serve { settings, dev, log }).map_err(Failure::failed)
}

/// Puts a real app where the example stands; where it stands no more, behind the only app there is.
fn put_upstream(settings: &mut Settings, url: &str) -> Result<(), Failure> {
    let upstream = Upstream::parse(url).map_err(|error| Failure::Usage(format!("`--upstream {url}`: {error}")))?;
    let example = Upstream::parse(EXAMPLE_UPSTREAM).map_err(Failure::failed)?;
    let with_example = settings.apps.iter().position(|app| app.upstreams.contains(&example));
    let only = (settings.apps.len() == 1).then_some(0);
    let Some(app) = with_example.or(only).and_then(|place| settings.apps.get_mut(place)) else {
        return Err(Failure::Usage(
            "the configuration of this state folder has several apps: say there where each of them runs".into(),
        ));
    };
    app.upstreams = vec![upstream];
    Ok(())
}

/// Where the fault tests stop the program, by the variable `FAILPOINTS`.
#[cfg(feature = "failpoints")]
fn start_failpoints() {
    // Kept for the life of the process: dropping the scenario takes the points away.
    std::mem::forget(fail::FailScenario::setup());
}

#[cfg(not(feature = "failpoints"))]
const fn start_failpoints() {}
