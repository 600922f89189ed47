//! The URLs of the store and of Redis, given in the file or in a file of their own.
//!
//! They may hold a password, so no message repeats them.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Findings, Surroundings};
use crate::cluster::{Authorities, RedisSettings};
use crate::config::conform::quoted;
use crate::config::file::{RedisTable, StoreTable};
use crate::config::problems::Problem;
use crate::config::tree::At;
use crate::store::Location;

const STORE_DEFAULT: &str = "sqlite:locum.db";

pub(super) fn store(
    table: &StoreTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Location> {
    let (url, at) = given(table.url.as_ref(), table.url_file.as_deref(), at, around, findings)?;
    let url = url.unwrap_or_else(|| STORE_DEFAULT.into());
    let text = url.expose_secret();
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') || path.contains(['?', '#', '\0']) {
            let wrong = format!("`{}` names no file", at.name());
            let advice = "give `sqlite:FILE`, such as `sqlite:locum.db`; a relative path starts at this file";
            findings.add(Problem::at(at.place(), wrong).instead(advice));
            return None;
        }
        return Some(Location::Sqlite(around.folder.join(path)));
    }
    if names_a_host(text, &["postgres://", "postgresql://"]) {
        return Some(Location::Postgres(url));
    }
    let wrong = format!("`{}` is not the URL of a store", at.name());
    let advice = "give `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`";
    findings.add(Problem::at(at.place(), wrong).instead(advice));
    None
}

/// Something is wrong, and the findings say what.
pub(super) struct Reported;

pub(super) fn redis(
    table: &RedisTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<RedisSettings>, Reported> {
    let url = given(table.url.as_ref(), table.url_file.as_deref(), at, around, findings);
    let timeout = findings.duration(&at.key("timeout"), &table.timeout);
    let ((url, url_at), timeout) = url.zip(timeout).ok_or(Reported)?;
    let Some(url) = url else {
        return without_redis(at, findings).map(|()| None);
    };
    if !names_a_host(url.expose_secret(), &["redis://", "rediss://"]) {
        let wrong = format!("`{}` is not the URL of a Redis", url_at.name());
        let advice = "give `redis://HOST:PORT`, or `rediss://HOST:PORT` for TLS";
        findings.add(Problem::at(url_at.place(), wrong).instead(advice));
        return Err(Reported);
    }
    if url.expose_secret().contains('#') {
        let wrong = format!("`{}` has a `#`", url_at.name());
        let advice = "leave it and the rest out: who answers for `rediss://` is always verified (see `ca_file`)";
        findings.add(Problem::at(url_at.place(), wrong).instead(advice));
        return Err(Reported);
    }
    let authorities = match table.ca_file.as_deref() {
        Some(file) => Some(authorities(file, &url, &at.key("ca_file"), around, findings).ok_or(Reported)?),
        None => None,
    };
    Ok(Some(RedisSettings { url, authorities, timeout }))
}

/// Who may vouch for Redis.
fn authorities(
    file: &str,
    url: &SecretString,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Authorities> {
    if !url.expose_secret().starts_with("rediss://") {
        let wrong = format!("`{}` has no effect: the URL of Redis is not `rediss://`", at.name());
        findings.add(Problem::at(at.key_place(), wrong).instead("ask for TLS in the URL, or leave this out"));
        return None;
    }
    let path = around.path(at, file, findings)?;
    let text = read_beside(&path, at, around, findings)?;
    match Authorities::from_pem(text.as_bytes()) {
        Ok(authorities) => Some(authorities),
        Err(error) => {
            let wrong = format!("`{}`: {} names no authority", at.name(), quoted(&path.to_string_lossy()));
            findings.add(Problem::at(at.place(), wrong).instead(error.to_string()));
            None
        }
    }
}

/// Without Redis, what is said about it would be silently ignored.
fn without_redis(at: &At<'_>, findings: &mut Findings) -> Result<(), Reported> {
    // A URL that was given and wrong is the only problem then.
    if at.was_removed("url") || at.was_removed("url_file") {
        return Err(Reported);
    }
    let idle: Vec<&str> = ["ca_file", "on_loss", "timeout"].into_iter().filter(|key| at.is_given(key)).collect();
    for key in &idle {
        let at = at.key(key);
        let wrong = format!("`{}` has no effect: there is no `redis.url`", at.name());
        findings.add(Problem::at(at.key_place(), wrong).instead("give the URL, or leave this out"));
    }
    if idle.is_empty() { Ok(()) } else { Err(Reported) }
}

/// The URL that was given, either way, and where; `None` is a problem.
fn given<'tree>(
    url: Option<&SecretString>,
    url_file: Option<&str>,
    at: &At<'tree>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<(Option<SecretString>, At<'tree>)> {
    let (url_at, file_at) = (at.key("url"), at.key("url_file"));
    let Some(file) = url_file else {
        return Some((url.cloned(), url_at));
    };
    if url.is_some() {
        let wrong = format!("`{}` and `{}` are both given", url_at.name(), file_at.name());
        findings.add(Problem::at(file_at.key_place(), wrong).instead("leave one of them out"));
        return None;
    }
    let path = around.path(&file_at, file, findings)?;
    let text = zeroize::Zeroizing::new(read_beside(&path, &file_at, around, findings)?);
    Some((Some(text.trim().into()), file_at))
}

/// The text of a file that a key names, or a problem.
fn read_beside(path: &Path, at: &At<'_>, around: &Surroundings<'_>, findings: &mut Findings) -> Option<String> {
    match (around.read_file)(path) {
        Ok(text) => Some(text),
        Err(error) => {
            let wrong = format!("`{}`: {} cannot be read: {error}", at.name(), quoted(&path.to_string_lossy()));
            findings.add(Problem::at(at.place(), wrong).instead("give a file that Locum may read"));
            None
        }
    }
}

fn names_a_host(url: &str, schemes: &[&str]) -> bool {
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let host = authority.map(|authority| authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}
