//! `locum history`.

use crate::admin::shape::{EntryPage, EntryView, FieldChange};
use crate::cli::arguments::HistoryArguments;
use crate::cli::client::{Client, path_with};
use crate::cli::exit::Failure;
use crate::cli::output::{Output, instant};

/// How many entries are asked for at once.
const PAGE: usize = 1_000;

pub(in crate::cli) async fn history(client: &Client, asked: HistoryArguments, output: Output) -> Result<(), Failure> {
    let wanted = asked.limit as usize;
    let mut entries: Vec<EntryView> = Vec::new();
    let mut cursor = asked.before.map(|before| before.to_string());
    let (done_to, done_by) = if asked.initiated { (None, asked.of) } else { (asked.of, None) };
    let (account, by) = (asked.account.or(done_to), asked.by.or(done_by));
    while entries.len() < wanted {
        let limit = PAGE.min(wanted - entries.len()).to_string();
        let query = [
            ("account", account.as_deref()),
            ("by", by.as_deref()),
            ("type", asked.kind.as_deref()),
            ("app", asked.app.as_deref()),
            ("since", asked.since.as_deref()),
            ("until", asked.until.as_deref()),
            ("cursor", cursor.as_deref()),
            ("limit", Some(limit.as_str())),
        ];
        let page: EntryPage = client.get(&path_with(&["history"], &query)).await?;
        entries.extend(page.entries);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    output.answer(&entries, |entries| entries.iter().map(in_words).collect::<Vec<_>>().join("\n"))
}

/// Two lines an entry: when and what, then to whom, by whom and for whom, from where, with what, and in which request
/// (H3).
fn in_words(entry: &EntryView) -> String {
    let mut by = format!("by {}", entry.actor);
    by.extend(entry.cause.iter().map(|cause| format!(" ({cause})")));
    by.extend(entry.on_behalf_of.iter().map(|whom| format!(" on behalf of {whom}")));
    let mut parts: Vec<_> = entry.target.iter().map(|target| format!("to {target}")).collect();
    parts.push(by);
    parts.extend(entry.address.iter().map(|address| format!("from {address}")));
    parts.extend(entry.object.clone());
    parts.extend(entry.details.iter().map(change));
    parts.extend(entry.request_id.iter().map(|id| format!("request {id}")));
    format!("{}  {}\n{}", instant(&entry.at), entry.kind, wrapped(&parts))
}

/// The parts with commas between them, indented, no line wider than a terminal of 80 columns unless one
/// part alone is.
fn wrapped(parts: &[String]) -> String {
    const INDENT: &str = "    ";
    let mut text = String::new();
    let mut width = 0;
    for (index, part) in parts.iter().enumerate() {
        let comma = if index + 1 < parts.len() { "," } else { "" };
        let needed = part.chars().count() + comma.len();
        if width == 0 || width + 1 + needed > 80 {
            text.push_str(if width == 0 { "" } else { "\n" });
            text.push_str(INDENT);
            width = INDENT.len();
        } else {
            text.push(' ');
            width += 1;
        }
        text.push_str(part);
        text.push_str(comma);
        width += needed;
    }
    text
}

fn change(change: &FieldChange) -> String {
    let FieldChange { field, before, after } = change;
    match (before.as_deref(), after.as_deref()) {
        (None, Some("held" | "contained")) => format!("+{field}"),
        (Some("held" | "contained"), None) => format!("-{field}"),
        (None, Some(after)) => format!("{field}: {after}"),
        (Some(before), None) => format!("{field}: {before} -> nothing"),
        (Some(before), Some(after)) => format!("{field}: {before} -> {after}"),
        (None, None) => field.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H3
    #[test]
    fn an_entry_says_for_whom_and_from_where() {
        let some = |text: &str| Some(text.to_owned());
        let entry = EntryView {
            sequence: 7,
            at: "2026-01-01T00:00:00.000Z".to_owned(),
            kind: "pat_revoked".to_owned(),
            changed: true,
            actor: "ann".to_owned(),
            cause: None,
            on_behalf_of: some("bob"),
            target: some("bob-ci"),
            object: some("0123456789ab"),
            address: some("192.0.2.7"),
            request_id: some("r-1"),
            details: vec![FieldChange { field: "state".to_owned(), before: some("usable"), after: some("revoked") }],
        };
        assert_eq!(
            in_words(&entry),
            "2026-01-01 00:00:00  pat_revoked\n    to bob-ci, by ann on behalf of bob, from 192.0.2.7, 0123456789ab,\n    \
             state: usable -> revoked, request r-1"
        );
    }
}
