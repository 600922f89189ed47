//! Names of headers that an operator adds for an app.

use std::collections::{BTreeMap, HashMap};

use http::HeaderName;

use super::Findings;
use crate::config::conform::quoted;
use crate::config::problems::Problem;
use crate::config::template;
use crate::config::tree::At;
use crate::gateway::HeaderLine;

/// Names that mean something to HTTP itself or to the app's own session. Removing them from every request,
/// as happens with each name that tells identity (G5), would break the apps.
const NOT_FOR_IDENTITY: [&str; 22] = [
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

fn header_name(name: &str) -> Result<HeaderName, (String, &'static str)> {
    let Ok(header) = name.parse::<HeaderName>() else {
        return Err((format!("{} cannot name a header", quoted(name)), "use letters, digits, `-` and `_`"));
    };
    if NOT_FOR_IDENTITY.contains(&folded(name).as_str()) {
        let wrong = format!("the header {} belongs to HTTP and to the app", quoted(name));
        return Err((wrong, "choose another, such as `X-Remote-User`"));
    }
    Ok(header)
}

/// As applications fold the names of headers (G5).
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}
