//! `locum keys …`: new versions of the master key and of the pepper.

use std::io::Write as _;
use std::time::Duration;

use crate::admin::shape::{KeysView, RotateKeys, VersionUse};
use crate::cli::arguments::KeysCommand;
use crate::cli::client::{Client, path};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, fields};

/// How often it is asked how far the moving is.
const ASK: Duration = Duration::from_millis(200);
/// How often that is said.
const SAY_EVERY: u32 = 25;
/// So long without a step it is not waited any more.
const PATIENCE: u32 = 150;

pub(in crate::cli) async fn keys(client: &Client, command: KeysCommand, output: Output) -> Result<(), Failure> {
    let shown: KeysView = match command {
        KeysCommand::Show => client.get(&path(&["keys"])).await?,
        KeysCommand::Rotate { master, pepper } => {
            let named: Vec<_> =
                [("master", master), ("pepper", pepper)].into_iter().filter(|(_, named)| *named).collect();
            let keys = if named.is_empty() {
                vec!["master", "pepper"]
            } else {
                named.into_iter().map(|(key, _)| key).collect()
            };
            let wish = RotateKeys { keys: keys.into_iter().map(str::to_owned).collect() };
            let rotated: KeysView = client.post(&path(&["keys", "rotate"]), &wish).await?;
            moved(client, rotated, output).await?
        }
    };
    output.answer(&shown, in_words)
}

/// Waits until no data key is under an older version, and says how far that is.
async fn moved(client: &Client, mut shown: KeysView, output: Output) -> Result<KeysView, Failure> {
    let (mut asked, mut still) = (0_u32, 0_u32);
    while shown.master.to_move > 0 {
        if asked.is_multiple_of(SAY_EVERY) && asked > 0 && !output.is_json() {
            // Nobody reads it: then nobody wants to know.
            let _gone = writeln!(std::io::stderr().lock(), "{} data keys to move", shown.master.to_move);
        }
        tokio::time::sleep(ASK).await;
        let now: KeysView = client.get(&path(&["keys"])).await?;
        still = if now.master.to_move < shown.master.to_move { 0 } else { still + 1 };
        if still > PATIENCE {
            return Err(Failure::failed(format!(
                "the new version is in force, and {} data keys are not moved: the log of the gateway says why; the next start \
                 goes on",
                now.master.to_move
            )));
        }
        shown = now;
        asked += 1;
    }
    Ok(shown)
}

fn in_words(keys: &KeysView) -> String {
    let master = keys.master.version.map_or_else(|| "none".to_owned(), |version| format!("version {version}"));
    fields(&[
        ("master key", master),
        ("data keys", under(&keys.master.data_keys)),
        ("pepper", format!("version {}", keys.pepper.version)),
        ("tokens", under(&keys.pepper.tokens)),
    ])
}

fn under(uses: &[VersionUse]) -> String {
    let uses: Vec<_> = uses.iter().map(|used| format!("{} under version {}", used.count, used.version)).collect();
    crate::cli::output::list(&uses)
}
