//! How an app is spoken to: TLS where its upstreams say so, and what belongs to it.

use super::urls::Reported;
use super::{Findings, Surroundings, unusable};
use crate::config::file::{AppTable, AppTlsTable};
use crate::config::problems::Problem;
use crate::config::settings::Upstream;
use crate::config::tree::At;
use crate::gateway::{AppTlsSettings, TransportSettings};

pub(super) fn transport(
    table: &AppTable,
    upstreams: Option<&[Upstream]>,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<TransportSettings, Reported> {
    let upstreams = upstreams.ok_or(Reported)?;
    let speaking = upstreams.iter().filter(|upstream| upstream.speaks_tls()).count();
    if speaking == 0 {
        without_tls(&at.key("tls"), findings)?;
        return Ok(TransportSettings { tls: None, http2: table.http2 });
    }
    if speaking < upstreams.len() {
        let at = at.key("upstreams");
        let wrong = format!("`{}` has some with TLS and some without", at.name());
        findings.add(Problem::at(at.place(), wrong).instead("give all as `https://…`, or all as `http://…`"));
        return Err(Reported);
    }
    let tls = tls(&table.tls, &at.key("tls"), around, findings).ok_or(Reported)?;
    let named = findings.each(&at.key("upstreams"), upstreams, |findings, at, upstream| {
        let name = tls.name_of(upstream.authority().as_str());
        let advice = "say in `tls.server_name` which name its certificate is for: this host can stand in none";
        findings.value(&at, &upstream.to_string(), name.map_err(|_| advice))
    });
    named.ok_or(Reported)?;
    Ok(TransportSettings { tls: Some(tls), http2: table.http2 })
}

/// What is said about TLS while none is spoken would be silently ignored.
fn without_tls(at: &At<'_>, findings: &mut Findings) -> Result<(), Reported> {
    let keys = ["ca_file", "server_name", "certificate_file", "key_file"];
    let idle: Vec<_> = keys.into_iter().filter(|key| at.is_given(key)).map(|key| at.key(key)).collect();
    for at in &idle {
        let wrong = format!("`{}` has no effect: no upstream of the app begins with `https://`", at.name());
        findings
            .add(Problem::at(at.key_place(), wrong).instead("give the upstreams as `https://…`, or leave this out"));
    }
    if idle.is_empty() { Ok(()) } else { Err(Reported) }
}

fn tls(table: &AppTlsTable, at: &At<'_>, around: &Surroundings<'_>, findings: &mut Findings) -> Option<AppTlsSettings> {
    let ca_at = at.key("ca_file");
    let tls = match &table.ca_file {
        Some(file) => {
            let (path, text) = around.text_of(&ca_at, file, findings)?;
            unusable(AppTlsSettings::believing(text.as_bytes()), &ca_at, &path.to_string_lossy(), findings)?
        }
        None => findings.sentence(&at.key("ca_file"), AppTlsSettings::believing_this_machine())?,
    };
    let tls = match (&table.certificate_file, &table.key_file) {
        (None, None) => tls,
        (Some(certificate), Some(key)) => {
            let certificate_at = at.key("certificate_file");
            let certificate = around.text_of(&certificate_at, certificate, findings);
            let key = around.secret_of(&at.key("key_file"), key, findings);
            let ((path, certificate), (_, key)) = certificate.zip(key)?;
            let shown = tls.showing(certificate.as_bytes(), key.as_bytes());
            unusable(shown, &certificate_at, &path.to_string_lossy(), findings)?
        }
        (certificate, _) => {
            let (given, missing) =
                if certificate.is_some() { ("certificate_file", "key_file") } else { ("key_file", "certificate_file") };
            let at = at.key(given);
            let wrong = format!("`{}` stands alone", at.name());
            findings.add(Problem::at(at.key_place(), wrong).instead(format!("give `{missing}` too")));
            return None;
        }
    };
    match &table.server_name {
        None => Some(tls),
        Some(name) => findings.value(&at.key("server_name"), name, tls.named(name)),
    }
}
