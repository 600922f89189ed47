//! The table `[admin]`: the host's socket, and the listener for callers with a key.

use std::net::SocketAddr;

use rustls::pki_types::DnsName;

use super::tables::admin_socket;
use super::tls::certificates;
use super::urls::Reported;
use super::{Findings, Surroundings};
use crate::config::file::AdminTable;
use crate::config::problems::Problem;
use crate::config::settings::{AdminNetworkSettings, AdminSettings, TlsSettings};
use crate::config::tree::At;

pub(super) fn admin(
    table: &AdminTable,
    at: &At<'_>,
    clients: Option<SocketAddr>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<AdminSettings> {
    let socket = admin_socket(table, at, around, findings);
    let network = network(table, at, clients, around, findings);
    Some(AdminSettings { socket: socket?, network: network.ok()? })
}

fn network(
    table: &AdminTable,
    at: &At<'_>,
    clients: Option<SocketAddr>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<AdminNetworkSettings>, Reported> {
    let hosts = findings.each(&at.key("hosts"), &table.hosts, |findings, at, text| {
        let name = text.to_ascii_lowercase();
        let good = DnsName::try_from(name.as_str()).is_ok() && !name.ends_with('.') && !name.contains('*');
        let good =
            if good { Ok(name) } else { Err("give the name of a host, without port, such as `locum.example.org`") };
        findings.value(&at, text, good)
    });
    let shown = certificates(&table.tls, &at.key("tls"), around, findings);
    let Some(text) = &table.listen else {
        without_listener(table, at, findings)?;
        return Ok(None);
    };
    let listen_at = at.key("listen");
    let listen = match text.parse::<SocketAddr>() {
        Ok(listen) if Some(listen) == clients && listen.port() != 0 => {
            Err("give another address than that of `server.listen`: this one is for those who administer")
        }
        Ok(listen) => Ok(listen),
        Err(_) => Err("give an address and a port, such as `127.0.0.1:8444` or `[::1]:8444`"),
    };
    let listen = findings.value(&listen_at, text, listen).ok_or(Reported)?;
    let (hosts, shown) = (hosts.ok_or(Reported)?, shown.ok_or(Reported)?);
    if shown.is_empty() && !listen.ip().is_loopback() && !at.was_removed("tls") {
        let wrong =
            format!("`{}` is reached from other machines, and keys would be sent in plain text", listen_at.name());
        let advice = "name a certificate in `[[admin.tls]]`, or listen on `127.0.0.1`";
        findings.add(Problem::at(listen_at.place(), wrong).instead(advice));
        return Err(Reported);
    }
    if listen.ip().is_unspecified() && hosts.is_empty() && !at.was_removed("hosts") {
        let wrong = format!("`{}` is on every address, and no name is known by which it is reached", listen_at.name());
        findings.add(Problem::at(listen_at.place(), wrong).instead("name the hosts in `admin.hosts`"));
        return Err(Reported);
    }
    let tls = (!shown.is_empty()).then_some(TlsSettings { certificates: shown, acme: None, clients: None });
    Ok(Some(AdminNetworkSettings { listen, hosts, tls }))
}

/// What is said about a listener that there is not would be silently ignored.
fn without_listener(table: &AdminTable, at: &At<'_>, findings: &mut Findings) -> Result<(), Reported> {
    let idle = [("hosts", !table.hosts.is_empty()), ("tls", !table.tls.is_empty())];
    match idle.into_iter().find(|(_, given)| *given) {
        Some((key, _)) if !at.was_removed("listen") => {
            let at = at.key(key);
            let wrong = format!("`{}` has no effect: there is no `admin.listen`", at.name());
            findings.add(Problem::at(at.key_place(), wrong).instead("say where to listen, or leave this out"));
            Err(Reported)
        }
        _ => Ok(()),
    }
}
