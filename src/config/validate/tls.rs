//! What TLS is spoken with: certificates of the gateway, from files or obtained, and those of clients.

use http::Uri;
use rustls::pki_types::DnsName;

use super::urls::Reported;
use super::{Findings, Surroundings};
use crate::config::file::{AcmeTable, CertificateTable, ServerTable};
use crate::config::problems::Problem;
use crate::config::settings::{AcmeSettings, CertificateFiles, ClientCertificates, ExternalBinding, TlsSettings};
use crate::config::tree::At;

/// What only one of plain and TLS understands would be silently ignored with the other.
pub(super) fn tls(
    table: &ServerTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<TlsSettings>, Reported> {
    let certificates = certificates(&table.tls, &at.key("tls"), around, findings);
    let acme = acme(&table.acme, &at.key("acme"), around, findings);
    let clients = clients(table, at, around, findings);
    let (certificates, acme, clients) = (certificates.ok_or(Reported)?, acme?, clients?);
    if certificates.is_empty() && acme.is_none() {
        if clients.is_some() && !at.was_removed("tls") {
            let ca_at = at.key("client_ca_file");
            let wrong = format!("`{}` has no effect: there is no `server.tls`", ca_at.name());
            findings.add(Problem::at(ca_at.key_place(), wrong).instead("name a certificate, or leave this out"));
            return Err(Reported);
        }
        return Ok(None);
    }
    if table.h2c {
        let at = at.key("h2c");
        let wrong = format!("`{}` has no effect: clients have to speak TLS here", at.name());
        findings.add(Problem::at(at.key_place(), wrong).instead("leave it out: HTTP/2 is spoken over TLS anyway"));
        return Err(Reported);
    }
    Ok(Some(TlsSettings { certificates, acme, clients }))
}

/// Certificates with their keys.
pub(super) fn certificates(
    tables: &[CertificateTable],
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Vec<CertificateFiles>> {
    findings.each(at, tables, |findings, at, table| {
        let certificate = around.path(&at.key("certificate_file"), &table.certificate_file, findings);
        let key = around.path(&at.key("key_file"), &table.key_file, findings);
        Some(CertificateFiles { certificate: certificate?, key: key? })
    })
}

fn clients(
    table: &ServerTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<ClientCertificates>, Reported> {
    let ca_at = at.key("client_ca_file");
    let authorities = table.client_ca_file.as_ref().map(|file| around.path(&ca_at, file, findings).ok_or(Reported));
    let lists_at = at.key("client_crl_files");
    let revoked =
        findings.each(&lists_at, &table.client_crl_files, |findings, at, file| around.path(&at, file, findings));
    let (authorities, revoked) = (authorities.transpose()?, revoked.ok_or(Reported)?);
    match authorities {
        Some(authorities) => Ok(Some(ClientCertificates { authorities, revoked })),
        None if revoked.is_empty() || at.was_removed("client_ca_file") => Ok(None),
        None => {
            let wrong = format!("`{}` has no effect: there is no `{}`", lists_at.name(), ca_at.name());
            let advice = "name the authorities of which clients have to show a certificate, or leave this out";
            findings.add(Problem::at(lists_at.key_place(), wrong).instead(advice));
            Err(Reported)
        }
    }
}

fn acme(
    table: &AcmeTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<AcmeSettings>, Reported> {
    let mut names = Vec::with_capacity(table.domains.len());
    let domains_at = at.key("domains");
    let read = findings.each(&domains_at, &table.domains, |findings, at, text| {
        let name = text.to_ascii_lowercase();
        let good = if text.starts_with("*.") {
            Err("a name with `*` takes a proof by DNS: name each host, or give its certificate as a file")
        } else if names.contains(&name) {
            Err("it stands here already")
        } else if name.ends_with('.') || DnsName::try_from(name.as_str()).is_err() {
            Err("give the name of a host, such as `wiki.example.org`")
        } else {
            names.push(name);
            Ok(())
        };
        findings.value(&at, text, good)
    });
    let directory_at = at.key("directory");
    let url = table.directory.parse::<Uri>().ok();
    let url = url.filter(|url| url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty()));
    let url = url.ok_or("give a URL that begins with `https://`");
    let directory = findings.value(&directory_at, &table.directory, url);
    let contact = contact(&table.contact, &at.key("contact"), findings);
    let folder = around.path(&at.key("folder"), &table.folder, findings);
    let ca_at = at.key("ca_file");
    let authorities = table.ca_file.as_ref().map(|file| around.path(&ca_at, file, findings).ok_or(Reported));
    let binding = binding(table, at, around, findings);
    if read.is_none() || directory.is_none() {
        return Err(Reported);
    }
    let (contact, authorities, binding) = (contact?, authorities.transpose()?, binding?);
    let settings = AcmeSettings {
        directory: table.directory.clone(),
        names,
        contact,
        folder: folder.ok_or(Reported)?,
        authorities,
        binding,
    };
    if settings.names.is_empty() {
        without_domains(table, at, findings)?;
        return Ok(None);
    }
    Ok(Some(settings))
}

/// Both keys, or neither.
fn binding(
    table: &AcmeTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<ExternalBinding>, Reported> {
    let (id_at, key_at) = (at.key("eab_key_id"), at.key("eab_mac_key_file"));
    let key_id = table.eab_key_id.as_ref().map(|id| {
        let good = !id.is_empty() && id.chars().all(|c| c.is_ascii_graphic());
        let good = if good { Ok(id.clone()) } else { Err("give it as the authority does, without spaces") };
        findings.value(&id_at, id, good).ok_or(Reported)
    });
    let mac_key = table.eab_mac_key_file.as_ref().map(|file| around.path(&key_at, file, findings).ok_or(Reported));
    let (given, missing, advice) = match (key_id.transpose()?, mac_key.transpose()?) {
        (Some(key_id), Some(mac_key)) => return Ok(Some(ExternalBinding { key_id, mac_key })),
        (None, None) => return Ok(None),
        (Some(_), None) => (id_at, key_at, "name the file with the key that the authority gave with it"),
        (None, Some(_)) => (key_at, id_at, "give the identifier that the authority gave with the key"),
    };
    if !at.was_removed("eab_key_id") && !at.was_removed("eab_mac_key_file") {
        let wrong = format!("`{}` has no effect: there is no `{}`", given.name(), missing.name());
        findings.add(Problem::at(given.key_place(), wrong).instead(advice));
    }
    Err(Reported)
}

fn contact(text: &str, at: &At<'_>, findings: &mut Findings) -> Result<Option<String>, Reported> {
    if text.is_empty() {
        return Ok(None);
    }
    let named = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    let good = named && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '?' | ',' | ':'));
    let mail = if good { Ok(format!("mailto:{text}")) } else { Err("give an e-mail address, or nothing") };
    findings.value(at, text, mail).map(Some).ok_or(Reported)
}

/// What is said about an authority that is never asked would be silently ignored.
fn without_domains(table: &AcmeTable, at: &At<'_>, findings: &mut Findings) -> Result<(), Reported> {
    let default = AcmeTable::default();
    let idle = [
        ("directory", table.directory != default.directory),
        ("contact", table.contact != default.contact),
        ("folder", table.folder != default.folder),
        ("ca_file", table.ca_file != default.ca_file),
        ("eab_key_id", table.eab_key_id != default.eab_key_id),
        ("eab_mac_key_file", table.eab_mac_key_file != default.eab_mac_key_file),
    ];
    let domains = at.key("domains");
    match idle.into_iter().find(|(_, given)| *given) {
        Some((key, _)) if !at.was_removed("domains") => {
            let at = at.key(key);
            let wrong = format!("`{}` has no effect: there are no `{}`", at.name(), domains.name());
            findings.add(Problem::at(at.key_place(), wrong).instead("name the hosts, or leave this out"));
            Err(Reported)
        }
        _ => Ok(()),
    }
}
