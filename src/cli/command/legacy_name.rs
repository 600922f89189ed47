//! `locum legacy-name …`: what people are called in apps.

use std::io::Read as _;
use std::path::Path;

use crate::admin::shape::{AccountView, FoundLegacyNames, ImportLegacyNames, ImportedLegacyNames, LinkLegacyName};
use crate::cli::arguments::LegacyNameCommand;
use crate::cli::client::{Client, path, path_with};
use crate::cli::exit::Failure;
use crate::cli::output::Output;

/// How many names are sent at once.
const AT_ONCE: usize = 250;

pub(in crate::cli) async fn legacy_name(
    client: &Client,
    command: LegacyNameCommand,
    output: Output,
) -> Result<(), Failure> {
    match command {
        LegacyNameCommand::Set { person, app, name } => {
            let place = path(&["people", &person, "legacy-names", &app]);
            let linked: AccountView = client.put(&place, &LinkLegacyName { name: name.clone() }).await?;
            output.answer(&linked, |linked| format!("`{}` is `{name}` in `{app}`", linked.username))
        }
        LegacyNameCommand::Remove { person, app } => {
            let left: AccountView = client.delete(&path(&["people", &person, "legacy-names", &app])).await?;
            output.answer(&left, |left| format!("`{}` has no name of its own in `{app}`", left.username))
        }
        LegacyNameCommand::Import { app, file } => {
            let text = read(&file)?;
            let names: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
            let mut all = ImportedLegacyNames { added: 0, known: 0 };
            for some in names.chunks(AT_ONCE) {
                let place = path(&["apps", &app, "legacy-names"]);
                let imported: ImportedLegacyNames =
                    client.post(&place, &ImportLegacyNames { names: some.to_vec() }).await?;
                all.added += imported.added;
                all.known += imported.known;
            }
            output.answer(&all, |all| {
                format!("added {} names to the list of `{app}`; {} were known", all.added, all.known)
            })
        }
        LegacyNameCommand::Find { app, name } => {
            let place = path_with(&["apps", &app, "legacy-names"], &[("name", name.as_deref())]);
            let found: FoundLegacyNames = client.get(&place).await?;
            output.answer(&found, |found| match (found.names.first(), &name) {
                (Some(found), _) => format!("`{found}` stands in the list of `{app}` and belongs to nobody"),
                (None, Some(name)) => format!("`{name}` is not in the list of `{app}`, or is somebody's"),
                (None, None) => format!("{} names in the list of `{app}` belong to nobody", found.free),
            })
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map(|_| text).map_err(|error| Failure::failed(format!("`{}` cannot be read: {error}", file.display())))
}
