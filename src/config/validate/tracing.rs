//! The table `[tracing]`, and which requests the access log has.

use std::num::NonZeroU32;

use super::urls::Reported;
use super::{Findings, Surroundings, unusable};
use crate::config::file::{LogTable, TracingTable};
use crate::config::problems::Problem;
use crate::config::tree::At;
use crate::gateway::AccessLogSettings;
use crate::telemetry::trace;

/// `None` without an endpoint: then nothing is traced.
pub(super) fn tracing(
    table: &TracingTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<trace::Settings>, Reported> {
    let Some(text) = &table.endpoint else {
        return without_endpoint(table, at, findings).map(|()| None);
    };
    let endpoint_at = at.key("endpoint");
    if !trace::AVAILABLE {
        let wrong = format!("`{}`: this `locum` was built without traces", endpoint_at.name());
        findings.add(
            Problem::at(endpoint_at.key_place(), wrong).instead("build it with the feature `otel`, or leave this out"),
        );
        return Err(Reported);
    }
    // Not repeated: it may hold a password.
    let endpoint = trace::Endpoint::parse(text).map_err(|advice| {
        let wrong = format!("`{}` is not where a collector could be", endpoint_at.name());
        findings.add(Problem::at(endpoint_at.place(), wrong).instead(advice.to_string()));
    });
    let one_in = one_in(table.sample_one_in, &at.key("sample_one_in"), findings);
    let name = (!table.service_name.is_empty()).then(|| table.service_name.clone());
    let service_name = findings.value(&at.key("service_name"), &table.service_name, name.ok_or("give a name"));
    let timeout = findings.duration(&at.key("timeout"), &table.timeout);
    let headers = headers(table, &at.key("headers_file"), around, findings);
    let endpoint = endpoint.map_err(|()| Reported)?;
    let tls = tls(table, &endpoint, at, around, findings)?;
    let settings = || {
        Some(trace::Settings {
            endpoint,
            tls,
            headers: headers?,
            sample_one_in: one_in?,
            service_name: service_name?,
            timeout: timeout?,
        })
    };
    settings().map(Some).ok_or(Reported)
}

/// What is said about traces that nobody is sent would be silently ignored.
fn without_endpoint(table: &TracingTable, at: &At<'_>, findings: &mut Findings) -> Result<(), Reported> {
    if at.was_removed("endpoint") {
        return Err(Reported);
    }
    let default = TracingTable::default();
    let others = [
        ("sample_one_in", table.sample_one_in != default.sample_one_in),
        ("service_name", table.service_name != default.service_name),
        ("headers_file", table.headers_file.is_some()),
        ("ca_file", table.ca_file.is_some()),
        ("timeout", table.timeout != default.timeout),
    ];
    let idle: Vec<&str> = others.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect();
    for key in &idle {
        let at = at.key(key);
        let wrong = format!("`{}` has no effect: there is no `tracing.endpoint`", at.name());
        findings.add(Problem::at(at.key_place(), wrong).instead("give the endpoint, or leave this out"));
    }
    if idle.is_empty() { Ok(()) } else { Err(Reported) }
}

fn headers(
    table: &TracingTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Vec<(http::HeaderName, http::HeaderValue)>> {
    let Some(file) = &table.headers_file else { return Some(Vec::new()) };
    let (path, text) = around.secret_of(at, file, findings)?;
    unusable(trace::headers(&text), at, &path.to_string_lossy(), findings)
}

fn tls(
    table: &TracingTable,
    endpoint: &trace::Endpoint,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<trace::CollectorTls>, Reported> {
    let ca_at = at.key("ca_file");
    if !endpoint.tls {
        if table.ca_file.is_none() {
            return Ok(None);
        }
        let wrong = format!("`{}` has no effect: the endpoint is not `https://`", ca_at.name());
        findings.add(Problem::at(ca_at.key_place(), wrong).instead("ask for TLS in the endpoint, or leave this out"));
        return Err(Reported);
    }
    let made = match &table.ca_file {
        None => findings.sentence(
            &at.key("endpoint"),
            trace::CollectorTls::to(endpoint, None)
                .map_err(|error| format!("`{}`: {error}", at.key("endpoint").name())),
        ),
        Some(file) => {
            let (path, text) = around.text_of(&ca_at, file, findings).ok_or(Reported)?;
            unusable(
                trace::CollectorTls::to(endpoint, Some(text.as_bytes())),
                &ca_at,
                &path.to_string_lossy(),
                findings,
            )
        }
    };
    made.map(Some).ok_or(Reported)
}

pub(super) fn access_log(table: &LogTable, at: &At<'_>, findings: &mut Findings) -> Option<AccessLogSettings> {
    let one_in = one_in(table.access_sample_one_in, &at.key("access_sample_one_in"), findings);
    let slow_at = at.key("access_slow");
    let slow = findings.duration(&slow_at, &table.access_slow);
    let settings = AccessLogSettings { sample_one_in: one_in?, slow: slow? };
    if settings.sample_one_in == NonZeroU32::MIN && table.access_slow != LogTable::default().access_slow {
        let wrong = format!("`{}` has no effect: every request is written anyway", slow_at.name());
        let advice = "give `access_sample_one_in`, or leave this out";
        findings.add(Problem::at(slow_at.key_place(), wrong).instead(advice));
        return None;
    }
    Some(settings)
}

fn one_in(number: u32, at: &At<'_>, findings: &mut Findings) -> Option<NonZeroU32> {
    findings.value(at, &number.to_string(), NonZeroU32::new(number).ok_or("give at least 1, which means all"))
}
