//! `locum completions`, `locum version`, `locum reload`, `locum healthcheck`.

use clap::CommandFactory as _;
use serde_json::json;

use crate::admin::shape::{HealthView, ReloadedView};
use crate::cli::arguments::{Arguments, CompletionsArguments, Global};
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, print};

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

pub(in crate::cli) async fn healthcheck(global: &Global, output: Output) -> Result<(), Failure> {
    let client = Client::connect_to_running(global).await?;
    let health: HealthView = client.get(&path(&["health"])).await?;
    output.answer(&health, |health| {
        let lines =
            std::iter::once(health.status.clone()).chain(health.notes.iter().map(|note| format!("note: {note}")));
        lines.collect::<Vec<_>>().join("\n")
    })
}
