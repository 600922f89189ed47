//! `locum completions`, `locum version`, `locum reload`, `locum restart`, `locum healthcheck`.

use std::time::{Duration, Instant};

use clap::CommandFactory as _;
use serde_json::json;

use crate::admin::shape::{HealthView, ReloadedView, RestartingView};
use crate::cli::arguments::{Arguments, CompletionsArguments, Global};
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, print};

/// How long a restart is waited for: running requests may take their time.
const RESTART: Duration = Duration::from_mins(2);
/// How long until the gateway is asked again.
const PAUSE: Duration = Duration::from_millis(50);

pub(in crate::cli) fn completions(asked: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut Arguments::command(), "locum", &mut script);
    let script = String::from_utf8(script).map_err(Failure::failed)?;
    print(script.trim_end())
}

pub(in crate::cli) fn version(output: Output) -> Result<(), Failure> {
    let failpoints = cfg!(feature = "failpoints");
    let mut features: Vec<&str> = Vec::new();
    if failpoints {
        features.push("failpoints");
    }
    let version = env!("CARGO_PKG_VERSION");
    let document = json!({ "name": "locum", "version": version, "features": features });
    output.answer(&document, |_| {
        let warning = if failpoints { " with failpoints: for tests only" } else { "" };
        format!("locum {version}{warning}")
    })
}

pub(in crate::cli) async fn reload(global: &Global, output: Output) -> Result<(), Failure> {
    let client = Client::connect_to_running(global).await?;
    let reloaded: ReloadedView = client.post(&path(&["reload"]), &json!({})).await?;
    output.answer(&reloaded, |_| "the configuration was taken up".to_owned())
}

/// Answers when the new process does.
pub(in crate::cli) async fn restart(global: &Global, output: Output) -> Result<(), Failure> {
    let client = Client::connect_to_running(global).await?;
    let ending: RestartingView = client.post(&path(&["restart"]), &json!({})).await?;
    let started = Instant::now();
    loop {
        let health = client.get::<HealthView>(&path(&["health"])).await;
        match health {
            Ok(health) if health.since != ending.since => {
                return output.answer(&health, |health| format!("restarted, version {}", health.version));
            }
            Ok(_) | Err(_) if started.elapsed() < RESTART => tokio::time::sleep(PAUSE).await,
            Ok(_) => return Err(Failure::failed("the gateway has not restarted yet: its log says more")),
            Err(error) => return Err(error),
        }
    }
}

pub(in crate::cli) async fn healthcheck(global: &Global, output: Output) -> Result<(), Failure> {
    let client = Client::connect_to_running(global).await?;
    let health: HealthView = client.get(&path(&["health"])).await?;
    output.answer(&health, |health| {
        let lines =
            std::iter::once(health.status.clone()).chain(health.notes.iter().map(|note| format!("note: {note}")));
        lines.collect::<Vec<_>>().join("\n")
    })
}
