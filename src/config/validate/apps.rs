//! The apps: each by itself, and what two of them cannot both claim.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use http::HeaderName;

use super::header_names::{folded, set_headers};
use super::{Findings, Surroundings, app_secret, app_tls, limits, resilience, routes};
use crate::config::Purpose;
use crate::config::file::{AppTable, HeaderPreset, Identity, PathReading};
use crate::config::problems::Problem;
use crate::config::settings::AppSettings;
use crate::config::tree::At;
use crate::config::upstream::Upstream;
use crate::directory::AppName;
use crate::gateway::{self, Origin, Preset, Timeouts, TunnelSettings};
use crate::policy::{self, AppRoutes, HostName, PathPrefix, RouteTable};

pub(super) fn apps(
    tables: &BTreeMap<String, AppTable>,
    root: &At<'_>,
    own: &[SocketAddr],
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Vec<AppSettings>> {
    let at = root.key("apps");
    let incomplete = root.was_removed("apps") || at.lost_any();
    if tables.is_empty() && around.purpose == Purpose::Serve && !incomplete {
        let advice = "add `[apps.NAME]` with its `upstreams`, and `[[apps.NAME.routes]]`";
        findings.add(Problem::at(at.place(), "there is no app to serve").instead(advice));
        return None;
    }
    let read: Vec<Option<AppSettings>> =
        tables.iter().map(|(name, table)| app(name, table, &at.key(name), own, around, findings)).collect();
    let whole: Vec<&AppSettings> = read.iter().flatten().collect();
    agree(&whole, &at, findings);
    agree_on_headers(&whole, &at, findings);
    read.into_iter().collect()
}

fn app(
    name: &str,
    table: &AppTable,
    at: &At<'_>,
    own: &[SocketAddr],
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<AppSettings> {
    let name = AppName::parse(name).map_err(|error| findings.add(Problem::at(at.key_place(), error.to_string()))).ok();
    let hosts = findings
        .each(&at.key("hosts"), &table.hosts, |findings, at, host| findings.value(&at, host, HostName::parse(host)));
    let path_prefix = findings.value(&at.key("path_prefix"), &table.path_prefix, PathPrefix::parse(&table.path_prefix));
    let upstreams = upstreams(table, at, own, findings);
    let set_headers = set_headers(&table.set_headers, &at.key("set_headers"), findings);
    let transport = app_tls::transport(table, upstreams.as_deref(), at, around, findings);
    let secret_header = app_secret::secret_header(table, at, around, findings);
    let connect_timeout = findings.duration(&at.key("connect_timeout"), &table.connect_timeout);
    let response_timeout = findings.duration(&at.key("response_timeout"), &table.response_timeout);
    let idle_timeout = findings.duration(&at.key("idle_timeout"), &table.idle_timeout);
    let tunnel_idle_timeout = findings.duration(&at.key("tunnel_idle_timeout"), &table.tunnel_idle_timeout);
    let allowed_origins = findings.each(&at.key("allowed_origins"), &table.allowed_origins, |findings, at, text| {
        findings.value(&at, text, Origin::parse(text))
    });
    let total_timeout = findings.optional_duration(&at.key("total_timeout"), table.total_timeout.as_ref());
    let resilience = resilience::resilience(table, at, findings);
    let max_body = limits::max_body(table.max_body.as_deref(), &at.key("max_body"), findings);
    let rate_limits = limits::rate_limits(&table.rate_limits, &at.key("rate_limits"), findings);
    let routes = routes::routes(&table.routes, name.as_ref(), max_body.unwrap_or(None), at, findings);
    Some(AppSettings {
        routing: AppRoutes {
            name: name?,
            hosts: hosts?,
            path_prefix: path_prefix?,
            path_reading: match table.path_reading {
                PathReading::Exact => policy::PathReading::Exact,
                PathReading::Windows => policy::PathReading::Windows,
            },
            routes: routes?,
        },
        upstreams: upstreams?,
        transport: transport.ok()?,
        headers: preset(table.headers),
        set_headers: set_headers?,
        secret_header: secret_header.ok()?,
        identity: match table.identity {
            Identity::Account => gateway::Identity::Account,
            Identity::Owner => gateway::Identity::Owner,
        },
        access_by_default: table.access_by_default,
        tunnels: TunnelSettings { idle: tunnel_idle_timeout?, allowed_origins: allowed_origins? },
        timeouts: Timeouts {
            connect: connect_timeout?,
            response: response_timeout?,
            idle: idle_timeout?,
            total: total_timeout.ok()?,
        },
        early_hints: table.early_hints,
        resilience: resilience?,
        rate_limits: rate_limits?,
    })
}

pub(super) const fn preset(preset: HeaderPreset) -> Preset {
    match preset {
        HeaderPreset::Locum => Preset::Locum,
        HeaderPreset::Oauth2Proxy => Preset::Oauth2Proxy,
        HeaderPreset::Authelia => Preset::Authelia,
        HeaderPreset::Authentik => Preset::Authentik,
        HeaderPreset::Grafana => Preset::Grafana,
        HeaderPreset::Gitea => Preset::Gitea,
        HeaderPreset::Jenkins => Preset::Jenkins,
        HeaderPreset::RemoteUser => Preset::RemoteUser,
        HeaderPreset::Cloudflare => Preset::Cloudflare,
        HeaderPreset::None => Preset::None,
    }
}

fn upstreams(table: &AppTable, at: &At<'_>, own: &[SocketAddr], findings: &mut Findings) -> Option<Vec<Upstream>> {
    let at = at.key("upstreams");
    if table.upstreams.is_empty() {
        let wrong = format!("`{}` is empty", at.name());
        findings.add(Problem::at(at.place(), wrong).instead("say where the app runs, as in `http://127.0.0.1:3000`"));
        return None;
    }
    findings.each(&at, &table.upstreams, |findings, at, text| {
        let upstream = findings.value(&at, text, Upstream::parse(text))?;
        if own.iter().any(|own| leads_to(&upstream, *own)) {
            let advice = "give the address of the app: this one is the gateway's own, requests would run in a circle";
            return findings.value(&at, text, Err(advice));
        }
        Some(upstream)
    })
}

/// Whether requests for an upstream would come to this listener of the gateway (AD-002): by its address, or by one of
/// this machine where it listens on all of them.
fn leads_to(upstream: &Upstream, own: SocketAddr) -> bool {
    let authority = upstream.authority();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if own.port() == 0 || authority.port_u16() != Some(own.port()) {
        return false;
    }
    let here = own.ip().is_loopback() || own.ip().is_unspecified();
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) => {
            address == own.ip().to_canonical()
                || (here && address.is_unspecified())
                || (own.ip().is_unspecified() && address.is_loopback())
        }
        Err(_) => here && host.eq_ignore_ascii_case("localhost"),
    }
}

/// No client can be asked for its username in a header by which some app learns who asks: there it would be
/// removed as forged (G5).
fn agree_on_headers(apps: &[&AppSettings], at: &At<'_>, findings: &mut Findings) {
    for app in apps {
        let asked = app.routing.routes.iter().map(|route| route.rule.username_header.as_ref()).enumerate();
        for (route, header) in asked.filter_map(|(route, header)| Some((route, header?))) {
            let Some(told) = apps.iter().find(|told| tells_in(told, header)) else { continue };
            let at = at.key(app.name().as_str()).key("routes").item(route).key("username_header");
            let wrong =
                format!("the app `{}` learns who asks in the header `{header}`, so no client may send it", told.name());
            findings.add(Problem::at(at.place(), wrong).instead("choose another, such as `X-Locum-Username`"));
        }
    }
}

/// Whether an app is told something of its caller in a header that reads like this one.
fn tells_in(app: &AppSettings, header: &HeaderName) -> bool {
    let reads_alike = |name: &str| folded(name) == folded(header.as_str());
    let secret = app.secret_header.iter().any(|secret| reads_alike(secret.name().as_str()));
    secret || app.headers.names().any(reads_alike) || app.set_headers.iter().any(|line| reads_alike(line.name.as_str()))
}

/// What apps and routes contradict each other in, by the rules of the table that they will become: it must never be
/// a matter of chance which app answers, or which route decides.
fn agree(apps: &[&AppSettings], at: &At<'_>, findings: &mut Findings) {
    let routing: Vec<AppRoutes> = apps.iter().map(|app| app.routing.clone()).collect();
    for problem in RouteTable::problems(&routing) {
        let app = at.key(problem.app.as_str());
        let place = match problem.route {
            None => app.key_place(),
            Some(route) => app.key("routes").item(route).key("path").place(),
        };
        findings.add(Problem::at(place, problem.what.to_string()));
    }
}
