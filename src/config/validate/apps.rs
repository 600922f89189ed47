//! The apps: each by itself, and what two of them cannot both claim.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::header_names::set_headers;
use super::{Findings, routes};
use crate::config::Purpose;
use crate::config::file::AppTable;
use crate::config::host::HostPattern;
use crate::config::problems::Problem;
use crate::config::settings::AppSettings;
use crate::config::tree::At;
use crate::config::upstream::Upstream;
use crate::directory::AppName;

pub(super) fn apps(
    tables: &BTreeMap<String, AppTable>,
    root: &At<'_>,
    listen: Option<SocketAddr>,
    purpose: Purpose,
    findings: &mut Findings,
) -> Option<Vec<AppSettings>> {
    let at = root.key("apps");
    let incomplete = root.was_removed("apps") || at.lost_any();
    if tables.is_empty() && purpose == Purpose::Serve && !incomplete {
        let advice = "add `[apps.NAME]` with its `upstreams`, and `[[apps.NAME.routes]]`";
        findings.add(Problem::at(at.place(), "there is no app to serve").instead(advice));
        return None;
    }
    let read: Vec<Option<AppSettings>> =
        tables.iter().map(|(name, table)| app(name, table, &at.key(name), listen, findings)).collect();
    disjoint(read.iter().flatten(), &at, findings);
    read.into_iter().collect()
}

fn app(
    name: &str,
    table: &AppTable,
    at: &At<'_>,
    listen: Option<SocketAddr>,
    findings: &mut Findings,
) -> Option<AppSettings> {
    let name = AppName::parse(name).map_err(|error| findings.add(Problem::at(at.key_place(), error.to_string()))).ok();
    let hosts = findings
        .each(&at.key("hosts"), &table.hosts, |findings, at, host| findings.value(&at, host, HostPattern::parse(host)));
    let path_prefix = findings.value(&at.key("path_prefix"), &table.path_prefix, path_prefix(&table.path_prefix));
    let upstreams = upstreams(table, at, listen, findings);
    let set_headers = set_headers(&table.set_headers, &at.key("set_headers"), findings);
    let connect_timeout = findings.duration(&at.key("connect_timeout"), &table.connect_timeout);
    let response_timeout = findings.duration(&at.key("response_timeout"), &table.response_timeout);
    let idle_timeout = findings.duration(&at.key("idle_timeout"), &table.idle_timeout);
    let routes = routes::routes(&table.routes, name.as_ref(), at, findings);
    Some(AppSettings {
        name: name?,
        hosts: hosts?,
        path_prefix: path_prefix?,
        upstreams: upstreams?,
        headers: table.headers,
        set_headers: set_headers?,
        identity: table.identity,
        access_by_default: table.access_by_default,
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        idle_timeout: idle_timeout?,
        routes: routes?,
    })
}

/// `/`, or segments without a slash at the end.
fn path_prefix(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,;=:@".contains(c);
    let Some(rest) = text.strip_prefix('/') else {
        return Err("begin it with `/`, as in `/wiki`");
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return if text == "/" { Ok(text.to_owned()) } else { Err("leave out the empty segment") };
    }
    let good = |segment: &str| !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(plain);
    if !rest.split('/').all(good) {
        return Err("give plain segments, as in `/tools/wiki`: no `*`, `{}`, `%`, `?`, and none empty or of dots");
    }
    Ok(format!("/{rest}"))
}

fn upstreams(
    table: &AppTable,
    at: &At<'_>,
    listen: Option<SocketAddr>,
    findings: &mut Findings,
) -> Option<Vec<Upstream>> {
    let at = at.key("upstreams");
    if table.upstreams.is_empty() {
        let wrong = format!("`{}` is empty", at.name());
        findings.add(Problem::at(at.place(), wrong).instead("say where the app runs, as in `http://127.0.0.1:3000`"));
        return None;
    }
    findings.each(&at, &table.upstreams, |findings, at, text| {
        let upstream = findings.value(&at, text, Upstream::parse(text))?;
        if listen.is_some_and(|listen| listen.to_string() == upstream.authority().as_str()) {
            let advice = "give the address of the app: this one is the gateway's own, requests would run in a circle";
            return findings.value(&at, text, Err(advice));
        }
        Some(upstream)
    })
}

/// No two apps may claim the same host and prefix: which of them answered would be a matter of chance.
fn disjoint<'a>(apps: impl Iterator<Item = &'a AppSettings>, at: &At<'_>, findings: &mut Findings) {
    let mut claimed: HashMap<(Option<&HostPattern>, &str), &AppName> = HashMap::new();
    for app in apps {
        let hosts: Vec<Option<&HostPattern>> =
            if app.hosts.is_empty() { vec![None] } else { app.hosts.iter().map(Some).collect() };
        let app_at = at.key(app.name.as_str());
        for (index, host) in hosts.into_iter().enumerate() {
            let Some(other) = claimed.insert((host, &app.path_prefix), &app.name) else {
                continue;
            };
            let place = if host.is_some() { app_at.key("hosts").item(index).place() } else { app_at.key_place() };
            let host = host.map_or_else(|| "every host".to_owned(), |host| format!("`{host}`"));
            let (name, prefix) = (&app.name, &app.path_prefix);
            let wrong = if *other == app.name {
                format!("app `{name}` names {host} twice")
            } else {
                format!("app `{name}` claims {host} with the prefix `{prefix}`, as app `{other}` does")
            };
            let advice = "give them different `hosts`, or a different `path_prefix`";
            let advice = if *other == app.name { "leave one out" } else { advice };
            findings.add(Problem::at(place, wrong).instead(advice));
        }
    }
}
