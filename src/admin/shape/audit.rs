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
}
