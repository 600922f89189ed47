//! What bounds clients: the table `[limits]`, and sizes and rates on apps and routes.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::Findings;
use super::urls::Reported;
use crate::config::file::{LimitsTable, Per, RateLimitTable};
use crate::config::settings::Limits;
use crate::config::size;
use crate::config::tree::At;
use crate::gateway::SlotSettings;
use crate::policy::{self, RateLimit};

const KIB: u64 = 1024;
/// After this nobody waits any more for being judged.
const LONGEST_JUDGEMENT: Duration = Duration::from_secs(2);

pub(super) fn limits(table: &LimitsTable, at: &At<'_>, findings: &mut Findings) -> Option<Limits> {
    let handshake_timeout = findings.duration(&at.key("handshake_timeout"), &table.handshake_timeout);
    let head_timeout = findings.duration(&at.key("head_timeout"), &table.head_timeout);
    let idle_timeout = findings.duration(&at.key("idle_timeout"), &table.idle_timeout);
    let stall_timeout = findings.duration(&at.key("stall_timeout"), &table.stall_timeout);
    let head_bytes = head_size(&table.head_bytes, &at.key("head_bytes"), findings);
    let http2_head_bytes = head_size(&table.http2_head_bytes, &at.key("http2_head_bytes"), findings);
    Some(Limits {
        connections: if table.connections == 0 { usize::MAX } else { table.connections as usize },
        handshake_timeout: handshake_timeout?,
        head_timeout: head_timeout?,
        idle_timeout: idle_timeout?,
        stall_timeout: stall_timeout?,
        min_rate: NonZeroU32::new(table.min_rate),
        head_bytes: head_bytes? as usize,
        head_fields: table.head_fields.into(),
        http2_head_bytes: http2_head_bytes?,
        http2_streams: table.http2_streams.into(),
        extended_connect: true,
    })
}

pub(super) fn slots(table: &LimitsTable) -> SlotSettings {
    let LimitsTable { requests, reserved_percent, .. } = *table;
    SlotSettings { requests: NonZeroUsize::new(requests as usize), reserved_percent }
}

pub(super) fn judgement_wait(table: &LimitsTable, at: &At<'_>, findings: &mut Findings) -> Option<Duration> {
    let at = at.key("judgement_wait");
    let wait = findings.duration(&at, &table.judgement_wait)?;
    let fits = if wait <= LONGEST_JUDGEMENT { Ok(wait) } else { Err("give at most `2s`") };
    findings.value(&at, &table.judgement_wait, fits)
}

/// Less would refuse what browsers send, and more is no head.
fn head_size(text: &str, at: &At<'_>, findings: &mut Findings) -> Option<u32> {
    let bytes = findings.value(at, text, size::parse(text))?;
    let fits = (8 * KIB..=1024 * KIB).contains(&bytes);
    let bytes = u32::try_from(bytes).ok().filter(|_| fits).ok_or("give from `8KiB` to `1MiB`");
    findings.value(at, text, bytes)
}

/// The largest body of a request; nothing where none is given.
pub(super) fn max_body(text: Option<&str>, at: &At<'_>, findings: &mut Findings) -> Result<Option<u64>, Reported> {
    let Some(text) = text else { return Ok(None) };
    findings.value(at, text, size::parse(text)).map(Some).ok_or(Reported)
}

pub(super) fn rate_limits(tables: &[RateLimitTable], at: &At<'_>, findings: &mut Findings) -> Option<Vec<RateLimit>> {
    findings.each(at, tables, |findings, at, table| {
        let every = findings.duration(&at.key("every"), &table.every);
        let mut positive = |key: &str, number: u32| {
            findings.value(&at.key(key), &number.to_string(), NonZeroU32::new(number).ok_or("give at least 1"))
        };
        let requests = positive("requests", table.requests);
        let burst = positive("burst", table.burst.unwrap_or(table.requests));
        let per = match table.per {
            Per::Source => policy::Per::Source,
            Per::Account => policy::Per::Account,
            Per::All => policy::Per::All,
        };
        Some(RateLimit { per, requests: requests?, every: every?, burst: burst? })
    })
}
