//! The key files: `[secrets]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The keys that Locum needs beside its store. `locum init` makes them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "each key names the file that it is in")]
pub(crate) struct SecretsTable {
    /// The key under which tokens are hashed. When it is lost, every token must be made anew.
    pub(crate) pepper_file: String,
    /// The key under which the names of deleted accounts are remembered. It can never be changed.
    pub(crate) tombstone_key_file: String,
    /// The key under which is signed where the history stands (`locum audit checkpoint`). When it is lost, what was
    /// signed can still be checked with the old public key.
    pub(crate) history_key_file: String,
}

impl Default for SecretsTable {
    fn default() -> Self {
        Self {
            pepper_file: "pepper".to_owned(),
            tombstone_key_file: "tombstone.key".to_owned(),
            history_key_file: "history.key".to_owned(),
        }
    }
}
