//! `locum check` and `locum config …`.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::cli::arguments::{ConfigCommand, Global};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, print};
use crate::cli::{find, in_process};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Purpose, Settings};
use crate::seal::SealError;
use crate::server::acme::{self, Obtained};
use crate::server::secrets::{self, SecretsError};
use crate::server::tls::Certificates;
use crate::store::Location;

/// The configuration that is checked when none is named.
const DEFAULT_FILE: &str = "locum.toml";

pub(in crate::cli) fn config(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Schema => print(config::schema::text().trim_end()),
    }
}

/// Checks the configuration, the key files and the store, as a start would, and says what they mean.
pub(in crate::cli) async fn check(global: &Global, output: Output) -> Result<(), Failure> {
    let file = match (&global.config, &global.state) {
        (Some(file), _) => file.clone(),
        (None, Some(folder)) => folder.join(DEFAULT_FILE),
        (None, None) => PathBuf::from(DEFAULT_FILE),
    };
    let settings = find::load(&file, Purpose::Serve)?;
    let keys = &settings.secrets;
    secrets::read(&keys.pepper_file, &keys.tombstone_key_file).map_err(Failure::failed)?;
    let keyring = secrets::keyring(&keys.master_key).map_err(Failure::failed)?;
    let mut warnings = Vec::new();
    if keyring.newest().is_none() {
        warnings.push(SealError::NoMasterKey.to_string());
    }
    match secrets::history_key(&keys.history_key_file) {
        Ok(_) => {}
        // An installation of an earlier version has none, and serves as well as ever.
        Err(missing @ SecretsError::NoHistoryKey(_)) => warnings.push(missing.to_string()),
        Err(error) => return Err(Failure::failed(error)),
    }
    if let Some(tls) = &settings.server.tls {
        let certificates = Certificates::read(tls, &Obtained::default()).map_err(Failure::failed)?;
        tls.acme.as_ref().map_or(Ok(()), acme::check).map_err(Failure::failed)?;
        if let Some(wrong) = certificates.out_of_date(SystemClock.now()).into_iter().next() {
            return Err(Failure::failed(wrong));
        }
        warnings.extend(certificates.ending(SystemClock.now()));
    }
    let store = store_in_words(&settings).await?;

    let mut notes = vec![store];
    for remark in config::remarks(&settings) {
        if remark.warning { warnings.push(remark.text) } else { notes.push(remark.text) }
    }
    let document = json!({ "config": file.display().to_string(), "ok": true, "notes": notes, "warnings": warnings });
    output.answer(&document, |_| {
        let warnings = warnings.iter().map(|text| format!("warning: {text}"));
        let notes = notes.iter().map(|text| format!("  {text}"));
        std::iter::once("ok".to_owned()).chain(notes).chain(warnings).collect::<Vec<_>>().join("\n")
    })
}

async fn store_in_words(settings: &Settings) -> Result<String, Failure> {
    if let Location::Sqlite(path) = &settings.store
        && !path.exists()
    {
        let folder = path.parent().is_some_and(std::path::Path::is_dir);
        return if folder {
            Ok("the database does not exist yet: the first start makes it".to_owned())
        } else {
            Err(Failure::failed(format!("the folder of the database `{}` does not exist: make it", path.display())))
        };
    }
    let store = in_process::open_store(settings, Arc::new(SystemClock)).await?;
    let head = async { store.read().await?.head().await }.await.map_err(Failure::failed);
    let readable = in_process::readable(&store, &settings.secrets).await;
    store.close().await;
    readable?;
    Ok(format!("the database answers; its history has {} entries", head?.sequence))
}
