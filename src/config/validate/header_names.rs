//! Names of headers that an operator chooses: those that an app is given, and that in which a username is
//! asked for.

use std::collections::{BTreeMap, HashMap};

use http::HeaderName;

use super::Findings;
use crate::config::conform::quoted;
use crate::config::problems::Problem;
use crate::config::template;
use crate::config::tree::At;
use crate::gateway::{self, HeaderLine};

/// Names that mean something to HTTP itself, to the app's own session or to Locum. Removing them from every
/// request, as happens with each name that tells identity (G5) or a username (G2), would break the apps.
const TAKEN: [&str; 23] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "keep-alive",
    "location",
    "locum-authorization",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub(super) fn set_headers(
    headers: &BTreeMap<String, String>,
    at: &At<'_>,
    findings: &mut Findings,
) -> Option<Vec<HeaderLine>> {
    let mut folded_names: HashMap<String, &str> = HashMap::new();
    let mut read = Vec::new();
    for (name, value) in headers {
        let at = at.key(name);
        let value = findings.sentence(&at, template::parse(value));
        let header = header_name(name).map_err(|wrong| Problem::at(at.key_place(), wrong.0).instead(wrong.1));
        let header = header.and_then(|header| match folded_names.insert(folded(name), name) {
            None => Ok(header),
            Some(other) => {
                let wrong = format!("the header {} reads the same as {}", quoted(name), quoted(other));
                Err(Problem::at(at.key_place(), wrong)
                    .instead("leave one out: apps do not tell `-` from `_`, nor case"))
            }
        });
        let header = header.map_err(|problem| findings.add(problem)).ok();
        read.push(header.zip(value).map(|(name, value)| HeaderLine { name, value }));
    }
    read.into_iter().collect()
}

/// The header in which a route asks for a username.
pub(super) fn username_header(text: &str, at: &At<'_>, findings: &mut Findings) -> Option<HeaderName> {
    const OTHER: &str = "choose another, such as `X-Locum-Username`";
    let header = header_name(text).and_then(|header| {
        if gateway::never_arrives(&header) {
            return Err((format!("the header {} is removed from every request", quoted(text)), OTHER));
        }
        Ok(header)
    });
    header.map_err(|(wrong, advice)| findings.add(Problem::at(at.place(), wrong).instead(advice))).ok()
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, (String, &'static str)> {
    let Ok(header) = name.parse::<HeaderName>() else {
        return Err((format!("{} cannot name a header", quoted(name)), "use letters, digits, `-` and `_`"));
    };
    if TAKEN.contains(&folded(name).as_str()) {
        let whose = if folded(name) == "locum-authorization" { "Locum" } else { "HTTP and to the app" };
        let wrong = format!("the header {} belongs to {whose}", quoted(name));
        return Err((wrong, "choose another, such as `X-Remote-User`"));
    }
    Ok(header)
}

/// As applications fold the names of headers (G5).
pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}
