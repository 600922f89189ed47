//! The keys that stand as they are while the process runs: what was opened, bound or read at the start.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::problems::Problem;
use super::settings::{AcmeSettings, AdminNetworkSettings, Settings};
use super::tree::At;
use crate::cluster::{Authorities, RedisSettings};
use crate::store::Location;
use crate::telemetry::trace;

/// A problem for each of them that differs between what is in force and what was read now.
pub(super) fn changed(in_force: &Settings, now: &Settings, root: &At<'_>) -> Vec<Problem> {
    let differs = [
        ("server", "listen", in_force.server.listen != now.server.listen),
        ("server", "threads", in_force.server.threads != now.server.threads),
        ("server", "acme", acme(in_force) != acme(now)),
        ("admin", "socket", in_force.admin.socket != now.admin.socket),
        ("admin", "listen", network(in_force, |of| &of.listen) != network(now, |of| &of.listen)),
        ("admin", "hosts", network(in_force, |of| &of.hosts) != network(now, |of| &of.hosts)),
        ("admin", "tls", network(in_force, |of| of.tls.is_some()) != network(now, |of| of.tls.is_some())),
        ("monitoring", "listen", in_force.monitoring != now.monitoring),
        ("store", "url", place_of(&in_force.store) != place_of(&now.store)),
        ("redis", "url", redis(in_force, url) != redis(now, url)),
        ("redis", "ca_file", redis(in_force, authorities) != redis(now, authorities)),
        ("redis", "timeout", redis(in_force, |redis| redis.timeout) != redis(now, |redis| redis.timeout)),
        ("limits", "connections", in_force.limits.connections != now.limits.connections),
        ("pats", "prefix", in_force.pats.prefix != now.pats.prefix),
        ("secrets", "pepper_file", in_force.secrets.pepper_file != now.secrets.pepper_file),
        ("secrets", "tombstone_key_file", in_force.secrets.tombstone_key_file != now.secrets.tombstone_key_file),
        ("secrets", "history_key_file", in_force.secrets.history_key_file != now.secrets.history_key_file),
        ("secrets", "master_key", in_force.secrets.master_key != now.secrets.master_key),
        ("log", "format", in_force.log.format != now.log.format),
        ("tracing", "endpoint", endpoint(in_force) != endpoint(now)),
        ("tracing", "sample_one_in", traced_otherwise(in_force, now, |tracing| &tracing.sample_one_in)),
        ("tracing", "service_name", traced_otherwise(in_force, now, |tracing| &tracing.service_name)),
        ("tracing", "headers_file", traced_otherwise(in_force, now, |tracing| &tracing.headers)),
        ("tracing", "ca_file", traced_otherwise(in_force, now, |tracing| &tracing.tls)),
        ("tracing", "timeout", traced_otherwise(in_force, now, |tracing| &tracing.timeout)),
    ];
    let changed = differs.into_iter().filter(|(_, _, differs)| *differs);
    changed.map(|(table, key, _)| problem(&root.key(table), key)).collect()
}

fn problem(table: &At<'_>, key: &str) -> Problem {
    // The URL may be given by the name of its file.
    let file = format!("{key}_file");
    let at = table.key(if table.is_given(&file) { &file } else { key });
    let wrong = format!("`{}` cannot change while the gateway runs", at.name());
    Problem::at(at.place(), wrong).instead("restart it, or put back what it was")
}

fn acme(settings: &Settings) -> Option<&AcmeSettings> {
    settings.server.tls.as_ref()?.acme.as_ref()
}

fn network<'s, T>(settings: &'s Settings, part: impl FnOnce(&'s AdminNetworkSettings) -> T) -> Option<T> {
    settings.admin.network.as_ref().map(part)
}

fn place_of(location: &Location) -> (Option<&Path>, Option<&str>) {
    match location {
        Location::Sqlite(path) => (Some(path), None),
        Location::Postgres(url) => (None, Some(url.expose_secret())),
    }
}

fn redis<'s, T>(settings: &'s Settings, part: impl FnOnce(&'s RedisSettings) -> T) -> Option<T> {
    settings.redis.as_ref().map(part)
}

fn endpoint(settings: &Settings) -> Option<&trace::Endpoint> {
    settings.tracing.as_ref().map(|tracing| &tracing.endpoint)
}

/// Whether both are traced, and a part of how differs.
fn traced_otherwise<T: PartialEq>(
    in_force: &Settings,
    now: &Settings,
    part: impl for<'s> Fn(&'s trace::Settings) -> &'s T,
) -> bool {
    in_force.tracing.as_ref().zip(now.tracing.as_ref()).is_some_and(|(in_force, now)| part(in_force) != part(now))
}

fn url(settings: &RedisSettings) -> &str {
    settings.url.expose_secret()
}

fn authorities(settings: &RedisSettings) -> Option<&Authorities> {
    settings.authorities.as_ref()
}
