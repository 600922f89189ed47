//! What proves the history: the answer of a verification, checkpoints, the public key.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::history::checkpoint::{Purpose, Signed, Written};

/// Whether the history is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditView {
    pub whole: bool,
    /// The number of the last entry, by the head.
    pub entries: u64,
    /// The last entry that was moved to the archive, which the first one here follows; 0 when none was.
    pub begins_after: u64,
    /// Its hash, in hexadecimal digits; zeros before the first entry of all.
    pub begins_after_hash: String,
    /// The head's hash, in hexadecimal digits.
    pub head: String,
    /// How many checkpoints were compared.
    pub checkpoints: usize,
    /// What is wrong first; `null` when the history is whole.
    pub broken: Option<String>,
}

/// What the history is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditWish {
    /// Checkpoints that were kept elsewhere.
    #[serde(default)]
    pub checkpoints: Vec<CheckpointView>,
    /// What their signatures are checked with, 64 hexadecimal digits; the installation's own key when not said.
    pub public_key: Option<String>,
}

/// Where the history stood, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointView {
    /// `checkpoint`.
    #[schema(value_type = String)]
    pub statement: Purpose,
    /// The id of the installation.
    #[schema(value_type = String)]
    pub installation: uuid::Uuid,
    /// The entry that is spoken of.
    pub sequence: u64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    pub at: String,
    /// The key of the signature. It proves nothing by itself.
    pub public_key: String,
    /// Ed25519 (RFC 8032), over the text that the guide shows; in hexadecimal digits.
    pub signature: String,
}

impl From<&Signed> for CheckpointView {
    fn from(signed: &Signed) -> Self {
        let Written { statement, installation, sequence, hash, at, public_key, signature } = signed.into();
        Self { statement, installation, sequence, hash, at, public_key, signature }
    }
}

impl TryFrom<CheckpointView> for Signed {
    type Error = String;

    fn try_from(view: CheckpointView) -> Result<Self, String> {
        let CheckpointView { statement, installation, sequence, hash, at, public_key, signature } = view;
        Written { statement, installation, sequence, hash, at, public_key, signature }.try_into()
    }
}

/// What signatures of this installation are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditKeyView {
    /// The id of the installation.
    pub installation: String,
    /// Ed25519, 64 hexadecimal digits.
    pub public_key: String,
    /// The last entry that was moved to the archive; 0 when none was.
    pub begins_after: u64,
}

/// What is to be moved out of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrimWish {
    /// Entries before this instant, in RFC 3339; those older than `[history] keep` when not said.
    pub before: Option<String>,
    /// Only say what would be moved.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was moved out of the history, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrimView {
    pub dry_run: bool,
    /// Entries before this instant.
    pub before: String,
    /// The number of the first entry that was there.
    pub from: u64,
    /// How many were moved.
    pub entries: u64,
    /// The files of the archive that were written, in their order.
    pub files: Vec<String>,
}
