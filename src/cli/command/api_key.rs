//! `locum api-key …`: a secret is printed once.

use zeroize::Zeroizing;

use super::pat::print_as_json;
use crate::admin::shape::{ApiKeyPage, ApiKeyView, MadeApiKey, NewApiKey, RevokeApiKey};
use crate::cli::arguments::{ApiKeyAddArguments, ApiKeyCommand};
use crate::cli::client::{Client, path, path_with};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, fields, instant, list, minute, print, table};

const KEYS: &str = "api-keys";
/// How many keys are asked for at once.
const PAGE: &str = "1000";

pub(in crate::cli) async fn api_key(client: &Client, command: ApiKeyCommand, output: Output) -> Result<(), Failure> {
    match command {
        ApiKeyCommand::Add(wish) => add(client, wish, output).await,
        ApiKeyCommand::List { person } => all(client, person.as_deref(), output).await,
        ApiKeyCommand::Show { public_id } => {
            let key: ApiKeyView = client.get(&path(&[KEYS, &public_id])).await?;
            output.answer(&key, in_words)
        }
        ApiKeyCommand::Revoke { public_id, reason } => {
            let revoked: ApiKeyView =
                client.post(&path(&[KEYS, &public_id, "revoke"]), &RevokeApiKey { reason }).await?;
            output.answer(&revoked, |key| format!("revoked `{}` of `{}`", key.public_id, key.person))
        }
    }
}

async fn add(client: &Client, wish: ApiKeyAddArguments, output: Output) -> Result<(), Failure> {
    let ApiKeyAddArguments { name, person, scopes, expires } = wish;
    let new = NewApiKey { name, person, scopes, life_seconds: expires.as_secs() };
    let MadeApiKey { key, token } = client.post(&path(&[KEYS]), &new).await?;
    let token = token.ok_or_else(|| Failure::failed("the gateway made a key and did not show it"))?;
    if output.is_json() {
        return print_as_json(&key, &token);
    }
    print(&fields(&[
        ("public id", key.public_id.clone()),
        ("acts as", key.person.clone()),
        ("for", key.name.clone()),
        ("scopes", list(&key.scopes)),
        ("expires", format!("{} UTC", instant(&key.expires_at))),
    ]))?;
    let secret = Zeroizing::new(format!("\nThe key, shown this once:\n\n  {}", token.expose()));
    print(&secret)
}

async fn all(client: &Client, person: Option<&str>, output: Output) -> Result<(), Failure> {
    let keys = every(client, person).await?;
    output.answer(&keys, |keys| {
        table(&["PUBLIC ID", "ACTS AS", "FOR", "STATE", "EXPIRES", "LAST USED"], keys.iter().map(row))
    })
}

/// Every key, or every one that acts as one person; page by page.
pub(super) async fn every(client: &Client, person: Option<&str>) -> Result<Vec<ApiKeyView>, Failure> {
    let mut keys = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let query = [("person", person), ("cursor", cursor.as_deref()), ("limit", Some(PAGE))];
        let page: ApiKeyPage = client.get(&path_with(&[KEYS], &query)).await?;
        keys.extend(page.keys);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(keys);
        }
    }
}

fn in_words(key: &ApiKeyView) -> String {
    let state = match &key.revoked {
        Some(why) => format!("{} since {} by {} ({})", key.state, instant(&why.at), why.by, why.reason),
        None => key.state.clone(),
    };
    fields(&[
        ("public id", key.public_id.clone()),
        ("acts as", key.person.clone()),
        ("for", key.name.clone()),
        ("state", state),
        ("scopes", list(&key.scopes)),
        ("made", format!("{} by {}", instant(&key.created_at), key.created_by)),
        ("expires", instant(&key.expires_at)),
        ("last used", key.last_used_at.as_deref().map_or_else(|| "-".to_owned(), instant)),
    ])
}

fn row(key: &ApiKeyView) -> Vec<String> {
    let last_used = key.last_used_at.as_deref().map_or_else(|| "-".to_owned(), minute);
    vec![
        key.public_id.clone(),
        key.person.clone(),
        key.name.clone(),
        key.state.clone(),
        minute(&key.expires_at),
        last_used,
    ]
}
