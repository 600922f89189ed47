//! The table `[server]`: where clients come in, and whose word about them is taken.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::tls::tls;
use super::urls::Reported;
use super::{Findings, Surroundings};
use crate::config::duration;
use crate::config::file::{MonitoringTable, ServerTable, TrustedHeader};
use crate::config::problems::Problem;
use crate::config::settings::ServerSettings;
use crate::config::tree::At;
use crate::gateway::{HopSettings, HopWords, TrustedProxies};

pub(super) fn server(
    table: &ServerTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<ServerSettings> {
    let listen = table.listen.parse::<SocketAddr>();
    let listen = listen.map_err(|_| "give an address and a port, such as `127.0.0.1:8080` or `[::1]:8080`");
    let listen = findings.value(&at.key("listen"), &table.listen, listen);
    // Nothing at all is a choice here: requests that run are cut at once.
    let timeout = duration::parse(&table.shutdown_timeout);
    let shutdown_timeout = findings.value(&at.key("shutdown_timeout"), &table.shutdown_timeout, timeout);
    let delay = duration::parse(&table.shutdown_delay);
    let shutdown_delay = findings.value(&at.key("shutdown_delay"), &table.shutdown_delay, delay);
    let hops = hops(table, at, findings);
    let tls = tls(table, at, around, findings);
    Some(ServerSettings {
        listen: listen?,
        threads: NonZeroU32::new(table.threads.into()),
        shutdown_timeout: shutdown_timeout?,
        shutdown_delay: shutdown_delay?,
        hops: hops?,
        proxy_protocol: table.proxy_protocol,
        h2c: table.h2c,
        tls: tls.ok()?,
    })
}

/// `None`: there is no such listener.
pub(super) fn monitoring(
    table: &MonitoringTable,
    at: &At<'_>,
    clients: Option<SocketAddr>,
    findings: &mut Findings,
) -> Result<Option<SocketAddr>, Reported> {
    let at = at.key("listen");
    let Some(text) = &table.listen else { return Ok(None) };
    let listen = match text.parse::<SocketAddr>() {
        Ok(listen) if Some(listen) == clients && listen.port() != 0 => {
            Err("give another address than that of `server.listen`: this one is for operators")
        }
        Ok(listen) => Ok(listen),
        Err(_) => Err("give an address and a port, such as `127.0.0.1:9090` or `[::1]:9090`"),
    };
    findings.value(&at, text, listen).map(Some).ok_or(Reported)
}

fn hops(table: &ServerTable, at: &At<'_>, findings: &mut Findings) -> Option<HopSettings> {
    let networks = findings.each(&at.key("trusted_proxies"), &table.trusted_proxies, |findings, at, text| {
        findings.value(&at, text, TrustedProxies::network(text))
    });
    let words = words(table, at, findings);
    let networks = networks?;
    if networks.is_empty() && !at.was_removed("trusted_proxies") {
        without_proxies(table, at, findings)?;
    }
    Some(HopSettings { trusted: TrustedProxies::new(networks), words: words? })
}

/// HD-022: what is said about proxies while none is trusted would be silently ignored.
fn without_proxies(table: &ServerTable, at: &At<'_>, findings: &mut Findings) -> Option<()> {
    let others = table.trusted_headers != ServerTable::default().trusted_headers;
    let idle = [("trusted_headers", others), ("proxy_protocol", table.proxy_protocol)];
    let idle: Vec<_> = idle.into_iter().filter(|(_, given)| *given).map(|(key, _)| at.key(key)).collect();
    for at in &idle {
        let wrong = format!("`{}` has no effect: there are no `server.trusted_proxies`", at.name());
        findings.add(Problem::at(at.key_place(), wrong).instead("name the proxies in front, or leave this out"));
    }
    idle.is_empty().then_some(())
}

fn words(table: &ServerTable, at: &At<'_>, findings: &mut Findings) -> Option<HopWords> {
    let has = |header| table.trusted_headers.contains(&header);
    let words = match &table.trusted_headers[..] {
        [] => Ok(HopWords::Nothing),
        [TrustedHeader::Forwarded] => Ok(HopWords::Forwarded),
        _ if has(TrustedHeader::Forwarded) => {
            Err("it names both `forwarded` and others: name the kind that the proxies set, and no other")
        }
        _ if !has(TrustedHeader::XForwardedFor) => {
            Err("without `x-forwarded-for` every client would have the address of the proxy: add it, or name none")
        }
        _ => Ok(HopWords::XForwarded {
            scheme: has(TrustedHeader::XForwardedProto),
            host: has(TrustedHeader::XForwardedHost),
        }),
    };
    let at = at.key("trusted_headers");
    findings.sentence(&at, words.map_err(|wrong| format!("`{}`: {wrong}", at.name())))
}
