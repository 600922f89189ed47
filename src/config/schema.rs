//! The JSON schema of the configuration, for editors (`locum config schema`) and for our own checks.

use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::Value as Json;

use super::file::File;

/// The schema as it is checked in at `config/locum.schema.json`.
pub fn text() -> String {
    format!("{:#}\n", of_file())
}

pub(super) fn of_file() -> Json {
    let mut schema = schemars::schema_for!(File);
    RecursiveTransform(tidy).transform(&mut schema);
    schema.to_value()
}

/// Descriptions lose the line breaks of the source, and defaults that say nothing go: `null` for a key
/// that is absent, and a whole table's, which only repeats those of its keys.
fn tidy(schema: &mut schemars::Schema) {
    if let Some(Json::String(description)) = schema.get_mut("description") {
        let paragraphs = description.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
        *description = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    let says_nothing = |default: &Json| default.is_null() || default.as_object().is_some_and(|table| !table.is_empty());
    if schema.get("default").is_some_and(says_nothing) {
        schema.remove("default");
    }
}
