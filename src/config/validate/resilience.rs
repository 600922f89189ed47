//! What is done when an app is not well: the bounds of an app, its outliers, what is sent again, and its health checks.

use std::time::Duration;

use http::HeaderValue;
use http::uri::PathAndQuery;

use super::Findings;
use super::urls::Reported;
use crate::config::file::{AppTable, HealthTable, OutlierTable};
use crate::config::problems::Problem;
use crate::config::tree::At;
use crate::gateway::{AppLimits, HealthCheck, Outlier, Resilience, Retry};
use crate::policy::host::PresentedHost;

/// `at` is the place of the app's table.
pub(super) fn resilience(table: &AppTable, at: &At<'_>, findings: &mut Findings) -> Option<Resilience> {
    let outlier = outlier(&table.outlier, &at.key("outlier"), findings);
    let health_check = health_check(&table.health, &at.key("health"), findings);
    if table.max_pending > 0 && table.max_requests == 0 {
        let at = at.key("max_pending");
        let wrong = format!("`{}` has no effect: there is no `max_requests` to wait for", at.name());
        findings.add(Problem::at(at.key_place(), wrong).instead("give `max_requests` too, or leave this out"));
        return None;
    }
    let limits = AppLimits {
        max_requests: (table.max_requests > 0).then_some(table.max_requests as usize),
        max_pending: table.max_pending as usize,
    };
    let retry = Retry {
        attempts: table.retry.attempts,
        budget_percent: table.retry.budget_percent,
        on_503: table.retry.on_503,
    };
    Some(Resilience { limits, outlier: outlier?, retry, health_check: health_check.ok()? })
}

fn outlier(table: &OutlierTable, at: &At<'_>, findings: &mut Findings) -> Option<Outlier> {
    let base = findings.duration(&at.key("ejection_time"), &table.ejection_time);
    let longest_at = at.key("max_ejection_time");
    let longest = findings.duration(&longest_at, &table.max_ejection_time);
    let (base, longest) = (base?, longest?);
    if longest < base {
        let advice = "give at least `ejection_time`";
        return findings.value(&longest_at, &table.max_ejection_time, Err(advice));
    }
    Some(Outlier { failures: table.failures, base, longest, most_percent: table.max_ejected_percent })
}

/// `None`: there are no checks.
fn health_check(table: &HealthTable, at: &At<'_>, findings: &mut Findings) -> Result<Option<HealthCheck>, Reported> {
    let Some(path) = &table.path else {
        if *table != HealthTable::default() && !at.was_removed("path") {
            let wrong = format!("`{}` has no effect: it names no `path` to ask for", at.name());
            findings.add(Problem::at(at.key_place(), wrong).instead("give a `path`, or leave the table out"));
            return Err(Reported);
        }
        return Ok(None);
    };
    let path = findings.value(&at.key("path"), path, target(path));
    let host_at = at.key("host");
    let read = |host: &String| findings.value(&host_at, host, self::host(host)).ok_or(Reported);
    let host = table.host.as_ref().map(read).transpose();
    let interval_at = at.key("interval");
    let interval = findings.duration(&interval_at, &table.interval).and_then(|interval| {
        let often = if interval < SHORTEST { Err("give at least `100ms`") } else { Ok(interval) };
        findings.value(&interval_at, &table.interval, often)
    });
    let timeout = findings.duration(&at.key("timeout"), &table.timeout);
    let status = findings.value(&at.key("status"), &table.status, status(&table.status));
    Ok(Some(HealthCheck {
        path: path.ok_or(Reported)?,
        host: host?,
        interval: interval.ok_or(Reported)?,
        timeout: timeout.ok_or(Reported)?,
        healthy_after: table.healthy_after,
        unhealthy_after: table.unhealthy_after,
        status: status.ok_or(Reported)?,
    }))
}

/// More often than this a check is a load.
const SHORTEST: Duration = Duration::from_millis(100);

fn target(text: &str) -> Result<PathAndQuery, &'static str> {
    let advice = "give a path from its `/`, such as `/healthz`";
    if !text.starts_with('/') || text.contains('#') {
        return Err(advice);
    }
    text.parse().map_err(|_| advice)
}

fn host(text: &str) -> Result<HeaderValue, &'static str> {
    let advice = "give a host, such as `app.example.org`";
    PresentedHost::parse(text).map_err(|_| advice)?;
    HeaderValue::from_str(text).map_err(|_| advice)
}

fn status(text: &str) -> Result<(u16, u16), &'static str> {
    let advice = "give a status such as `200`, or from one to another, such as `200-399`";
    let one = |text: &str| match text.parse::<u16>() {
        Ok(status @ 200..=599) if text.len() == 3 => Ok(status),
        _ => Err(advice),
    };
    let (least, greatest) = text.split_once('-').unwrap_or((text, text));
    let (least, greatest) = (one(least)?, one(greatest)?);
    if least <= greatest { Ok((least, greatest)) } else { Err(advice) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_or_from_one_to_another() {
        assert_eq!((status("200"), status("200-399")), (Ok((200, 200)), Ok((200, 399))));
        for wrong in ["", "-", "2xx", "399-200", "100", "600", "0200", "+200", "200-", "-200", "200-300-400"] {
            assert!(status(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_target_is_a_path() {
        assert!(target("/healthz?full=1").is_ok());
        for wrong in ["", "healthz", "http://a/", "/a b", "/a#b", "*"] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
