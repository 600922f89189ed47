//! What a configuration means, in sentences, for `locum check` and the start of the log.
//!
//! A configuration without problems can still be a surprise. These sentences say what is in force, and warn
//! of what is allowed but dangerous.

use std::net::IpAddr;

use super::settings::{AppSettings, Settings};
use crate::authn::lockout::{Counts, OnLoss};
use crate::cluster::RedisSettings;
use crate::gateway::HopWords;
use crate::policy::RouteSettings;
use crate::store::Location;

/// One sentence about a configuration, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Whether an operator should think about it again.
    pub warning: bool,
    pub text: String,
}

fn note(text: String) -> Remark {
    Remark { warning: false, text }
}

fn warning(text: String) -> Remark {
    Remark { warning: true, text }
}

/// What is in force, in the order of the file.
pub fn remarks(settings: &Settings) -> Vec<Remark> {
    let mut remarks = vec![note(format!("listens on `{}`", settings.server.listen))];
    let exposed = !settings.server.listen.ip().is_loopback();
    if let Some(tls) = &settings.server.tls {
        let clients = match &tls.clients {
            None => "",
            Some(clients) if clients.revoked.is_empty() => ", and asks clients for theirs",
            Some(_) => ", and asks clients for theirs, which may not be revoked",
        };
        remarks.push(note(format!("speaks TLS with {} certificate(s){clients}", tls.certificates.len())));
        if let Some(acme) = &tls.acme {
            let names: Vec<String> = acme.names.iter().map(|name| format!("`{name}`")).collect();
            remarks.push(note(format!("obtains certificates for {} from `{}`", names.join(", "), acme.directory)));
        }
    } else if exposed {
        remarks.push(warning(
            "other machines can reach it, and it speaks plain HTTP: without TLS in front, tokens can be read on the way"
                .to_owned(),
        ));
    }
    if let Some(network) = &settings.admin.network {
        let how = if network.tls.is_some() { "over TLS" } else { "in plain text, to this machine" };
        remarks.push(note(format!("serves the admin API on `{}` {how}, to callers with a key", network.listen)));
    }
    if let Some(monitoring) = settings.monitoring {
        let open = if monitoring.ip().is_loopback() { "" } else { ": whoever reaches it reads the metrics" };
        remarks.push(note(format!("answers `/healthz`, `/readyz` and `/metrics` on `{monitoring}`{open}")));
    }
    remarks.extend(proxies(settings).map(note));
    remarks.push(note(match &settings.store {
        Location::Sqlite(path) => format!("keeps accounts and history in `{}`", path.display()),
        Location::Postgres(_) => "keeps accounts and history in PostgreSQL".to_owned(),
    }));
    if settings.store.is_unguarded() {
        remarks.push(warning(
            "PostgreSQL is on another machine and nobody asks who answers: add `sslmode=verify-full` to its URL"
                .to_owned(),
        ));
    }
    remarks.push(counting(settings));
    if settings.redis.as_ref().is_some_and(RedisSettings::is_unguarded) {
        remarks.push(warning(
            "Redis is on another machine and spoken to without TLS: failure counts can be read and changed on the way; \
             use `rediss://`"
                .to_owned(),
        ));
    }
    remarks.push(lockout(settings, exposed));
    remarks.extend(traces(settings));
    for app in &settings.apps {
        remarks.push(note(app_in_words(app)));
        let public = app.routing.routes.iter().filter(|route| route.rule.public);
        remarks.extend(public.map(|route| public_route(app, route)));
    }
    remarks
}

/// Whose word about the client is taken, and in which words.
fn proxies(settings: &Settings) -> Option<String> {
    let hops = &settings.server.hops;
    let networks: Vec<String> = hops.trusted.iter().map(|network| format!("`{network}`")).collect();
    if networks.is_empty() {
        return None;
    }
    let mut words = match hops.words {
        HopWords::Nothing => Vec::new(),
        HopWords::Forwarded => vec!["`forwarded`"],
        HopWords::XForwarded { scheme, host } => {
            let all = [(true, "`x-forwarded-for`"), (scheme, "`x-forwarded-proto`"), (host, "`x-forwarded-host`")];
            all.into_iter().filter(|(taken, _)| *taken).map(|(_, word)| word).collect()
        }
    };
    if settings.server.proxy_protocol {
        words.push("the PROXY protocol");
    }
    let words = if words.is_empty() { "in no header".to_owned() } else { format!("by {}", words.join(", ")) };
    Some(format!("believes {} about the client, {words}", networks.join(", ")))
}

fn counting(settings: &Settings) -> Remark {
    note(match settings.redis.as_ref().map(|_| settings.lockout.on_loss) {
        None => "counts failed attempts in the store".to_owned(),
        Some(OnLoss::Count) => "counts failed attempts in Redis, and in the store while Redis is away".to_owned(),
        Some(OnLoss::Closed) => "counts failed attempts in Redis, and refuses while Redis is away".to_owned(),
    })
}

/// L6: which mode is on, and what it means.
fn lockout(settings: &Settings, exposed: bool) -> Remark {
    let threshold = settings.lockout.threshold;
    match settings.lockout.counts {
        Counts::Guesses => note(format!(
            "`lockout.counts` is `guesses`: {threshold} wrong secrets in a row for a token that a proxy user really has \
             make it inactive; other failures are charged to their source alone"
        )),
        Counts::EveryFailure => {
            let text = format!(
                "`lockout.counts` is `every-failure`: {threshold} refused attempts in a row that name a proxy user make \
                 it inactive, whoever made them"
            );
            if exposed {
                warning(format!("{text}; where strangers can reach this gateway, choose `guesses`"))
            } else {
                note(text)
            }
        }
    }
}

/// Who is told of requests, and of how many.
fn traces(settings: &Settings) -> Vec<Remark> {
    let Some(tracing) = &settings.tracing else { return Vec::new() };
    let endpoint = &tracing.endpoint;
    let count = match tracing.sample_one_in.get() {
        1 => "every request".to_owned(),
        number => format!("one request in {number}"),
    };
    let mut remarks = vec![note(format!("sends spans of {count} to `{endpoint}`"))];
    let here = endpoint.host() == "localhost" || endpoint.host().parse().is_ok_and(|host: IpAddr| host.is_loopback());
    if !tracing.headers.is_empty() && !endpoint.tls && !here {
        remarks.push(warning(
            "`tracing.headers_file` is sent to another machine without TLS: it can be read on the way; use `https://`"
                .to_owned(),
        ));
    }
    remarks
}

fn app_in_words(app: &AppSettings) -> String {
    let hosts: Vec<String> = app.routing.hosts.iter().map(|host| format!("`{host}`")).collect();
    let hosts = if hosts.is_empty() { "every host".to_owned() } else { hosts.join(", ") };
    let upstreams: Vec<String> = app.upstreams.iter().map(|upstream| format!("`{upstream}`")).collect();
    let (name, prefix, count) = (app.name(), &app.routing.path_prefix, app.routing.routes.len());
    let plural = if count == 1 { "" } else { "s" };
    format!("app `{name}`: {hosts} from `{prefix}` on, to {}, by {count} route{plural}", upstreams.join(", "))
}

fn public_route(app: &AppSettings, route: &RouteSettings) -> Remark {
    let text = format!("app `{}`: `{}` is public, nobody has to prove who they are", app.name(), route.path);
    let whole = route.path.as_str() == "/*";
    if whole { warning(format!("{text}: that is the whole app")) } else { note(text) }
}
