//! `locum init`: the configuration and the key files, made once.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::arguments::Global;
use crate::cli::exit::Failure;
use crate::cli::find;
use crate::cli::output::Output;
use crate::config::{self, Purpose};
use crate::server::{house, secrets};

/// The configuration that is written when none is named.
const DEFAULT_FILE: &str = "locum.toml";

pub(in crate::cli) fn init(global: &Global, output: Output) -> Result<(), Failure> {
    if global.state.is_some() {
        return Err(Failure::Usage(
            "`locum serve --dev --state DIR` makes a state folder; `init` takes `--config FILE`".into(),
        ));
    }
    let file = global.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let mut made = Vec::new();
    let written = secrets::write_new_private(&file, config::TEMPLATE.as_bytes());
    if written.map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", file.display())))? {
        made.push(file.clone());
    }
    let settings = find::load(&file, Purpose::Administer)?;
    let keys = &settings.secrets;
    made.extend(secrets::make_missing(keys, house::random).map_err(Failure::failed)?);
    let document = json!({ "config": shown(&file), "made": made.iter().map(|path| shown(path)).collect::<Vec<_>>() });
    output.answer(&document, |_| in_words(&file, &made))
}

fn in_words(file: &Path, made: &[PathBuf]) -> String {
    let mut lines: Vec<_> = made.iter().map(|path| format!("made {}", path.display())).collect();
    if lines.is_empty() {
        lines.push(format!("{} and its key files were there already: left as they are", file.display()));
    } else {
        lines.push("keep the key files safe and apart from the database: without them no token can be checked".into());
    }
    lines.push(format!("next: write an app into it, then locum check --config {}", file.display()));
    lines.join("\n")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
