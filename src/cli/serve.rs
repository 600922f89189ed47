//! `locum serve`: reads the configuration, sets up the log, and hands over to the server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::arguments::{Global, ServeArguments};
use super::exit::Failure;
use super::find::{self, DEVELOPMENT_FOLDER};
use super::output::print;
use crate::admin::NotTaken;
use crate::config::settings::Upstream;
use crate::config::{self, LoadError, Purpose, Settings};
use crate::server::dev::{EXAMPLE_UPSTREAM, StateFolder};
use crate::server::house;
use crate::server::inherited::Inherited;
use crate::server::restart::{self, Program};
use crate::server::serve::{Serve, serve as run};
use crate::telemetry::log;

/// The configuration that is served when none is named.
const DEFAULT_FILE: &str = "locum.toml";

/// Runs the gateway until it is told to end.
pub(super) fn serve(global: &Global, arguments: &ServeArguments) -> Result<(), Failure> {
    let (file, dev) = if arguments.dev {
        let folder = global.state.as_deref().unwrap_or(Path::new(DEVELOPMENT_FOLDER));
        let folder = StateFolder::prepare(folder, house::random).map_err(Failure::failed)?;
        (folder.configuration(), Some(folder))
    } else {
        if global.state.is_some() {
            return Err(Failure::Usage(
                "a state folder belongs to `serve --dev`; otherwise name `--config FILE`".into(),
            ));
        }
        (global.config.clone().unwrap_or_else(|| DEFAULT_FILE.into()), None)
    };
    let as_read = find::load(&file, Purpose::Serve)?;
    let typed = Typed { upstream: arguments.upstream.clone(), listen: arguments.listen };
    let settings = typed.over(as_read.clone())?;
    if arguments.check {
        return check(&settings);
    }
    // Before there are threads.
    let inherited = Inherited::take().map_err(Failure::failed)?;
    let program = Program::this("--check").map_err(Failure::failed)?;
    let log = log::install(&settings.log).map_err(Failure::failed)?;
    start_failpoints();
    let read_again = Arc::new(move || {
        let settings = config::load_again(&file, find::environment(), &as_read).map_err(|error| match error {
            LoadError::Fixed(problems) => NotTaken::NeedsRestart(problems.to_string()),
            error => NotTaken::Invalid(error.to_string()),
        })?;
        typed.over(settings).map_err(|failure| NotTaken::Invalid(failure.to_string()))
    });
    run(Serve { settings, read_again, dev, inherited, program, log }).map_err(Failure::failed)
}

/// What the process that runs asks of the one that is to take its place.
fn check(settings: &Settings) -> Result<(), Failure> {
    let readied = restart::readied(settings).map_err(Failure::Failed)?;
    print(&serde_json::to_string(&readied).map_err(Failure::failed)?)
}

/// What was typed wins over the file, each time that it is read.
struct Typed {
    upstream: Option<String>,
    listen: Option<SocketAddr>,
}

impl Typed {
    fn over(&self, mut settings: Settings) -> Result<Settings, Failure> {
        if let Some(url) = &self.upstream {
            put_upstream(&mut settings, url)?;
        }
        if let Some(listen) = self.listen {
            settings.server.listen = listen;
        }
        Ok(settings)
    }
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
