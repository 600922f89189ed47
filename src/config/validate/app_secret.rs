//! The header by which an app can tell that a request came through the gateway.

use super::apps::preset;
use super::header_names::{folded, header_name};
use super::urls::Reported;
use super::{Findings, Surroundings};
use crate::config::conform::quoted;
use crate::config::file::AppTable;
use crate::config::problems::Problem;
use crate::config::tree::At;
use crate::gateway::{self, SecretHeaderSettings};

pub(super) fn secret_header(
    table: &AppTable,
    at: &At<'_>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Result<Option<SecretHeaderSettings>, Reported> {
    let at = at.key("secret_header");
    let (name, file) = match (&table.secret_header.name, &table.secret_header.file) {
        (None, None) => return Ok(None),
        (Some(name), Some(file)) => (name, file),
        (name, _) => {
            let (given, missing) = if name.is_some() { ("name", "file") } else { ("file", "name") };
            let at = at.key(given);
            let wrong = format!("`{}` stands alone", at.name());
            findings.add(Problem::at(at.key_place(), wrong).instead(format!("give `{missing}` too")));
            return Err(Reported);
        }
    };
    let name_at = at.key("name");
    let header = header_name(name).and_then(|header| {
        if table.set_headers.keys().any(|other| folded(other) == folded(name)) {
            return Err((
                format!("the header {} is in `set_headers` too", quoted(name)),
                "choose another for one of them",
            ));
        }
        if gateway::never_arrives(&header) || preset(table.headers).names().any(|other| other == folded(name)) {
            return Err((
                format!("the header {} has a meaning of its own", quoted(name)),
                "choose one such as `X-Gate-Secret`",
            ));
        }
        Ok(header)
    });
    let header =
        header.map_err(|(wrong, advice)| findings.add(Problem::at(name_at.place(), wrong).instead(advice))).ok();
    let file_at = at.key("file");
    let (path, text) = around.secret_of(&file_at, file, findings).ok_or(Reported)?;
    let made = SecretHeaderSettings::new(header.ok_or(Reported)?, text.trim());
    made.map(Some).ok_or_else(|| {
        let wrong = format!("`{}`: {} holds no secret", file_at.name(), quoted(&path.to_string_lossy()));
        let advice = "put 16 to 256 printable characters without spaces there, such as those of `openssl rand -hex 32`";
        findings.add(Problem::at(file_at.place(), wrong).instead(advice));
        Reported
    })
}
