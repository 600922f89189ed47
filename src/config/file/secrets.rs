//! The key files: `[secrets]`.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The keys that Locum needs beside its store. `locum init` makes them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecretsTable {
    /// The key under which tokens are hashed. When it is lost, every token must be made anew.
    pub(crate) pepper_file: String,
    /// The key under which the names of deleted accounts are remembered. It can never be changed.
    pub(crate) tombstone_key_file: String,
    /// The key under which is signed where the history stands (`locum audit checkpoint`). When it is lost, what was
    /// signed can still be checked with the old public key.
    pub(crate) history_key_file: String,
    /// The master key: under it the keys are kept that personal data (names, email addresses, phone numbers) are sealed
    /// under. One `VERSION HEX` a line, 64 hexadecimal digits each; the highest version is used, the others are for what
    /// was kept under them. When it is lost, so are those data. `locum keys rotate` adds a version.
    pub(crate) master_key_file: String,
    /// In place of the file: a program, by its path, and its arguments. What it prints is what the file would hold. It is
    /// run at every start, and has ten seconds.
    pub(crate) master_key_command: Vec<String>,
    /// In place of both: what the file would hold, for the environment variable `LOCUM__SECRETS__MASTER_KEY`. In this file
    /// it would be copied with it.
    #[serde(skip_serializing, deserialize_with = "super::secret")]
    #[schemars(with = "Option<String>")]
    pub(crate) master_key: Option<SecretString>,
}

impl Default for SecretsTable {
    fn default() -> Self {
        Self {
            pepper_file: "pepper".to_owned(),
            tombstone_key_file: "tombstone.key".to_owned(),
            history_key_file: "history.key".to_owned(),
            master_key_file: "master.key".to_owned(),
            master_key_command: Vec::new(),
            master_key: None,
        }
    }
}
