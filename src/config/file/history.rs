//! For how long the history is kept: `[history]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For how long the action history is kept, and where older entries go.
///
/// Older entries are moved to files of the archive, as `locum audit export` writes them, and removed here once those are
/// on the disk. `locum audit verify --archive` proves both together.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HistoryTable {
    /// How old an entry gets before it is moved, such as `730d`; at least `1d`. Absent: all entries stay.
    pub(crate) keep: Option<String>,
    /// The folder of the archive; made where it is missing, for nobody but the gateway. Each installation needs one of
    /// its own. It is needed for `keep`, and for `locum audit trim`.
    pub(crate) archive: Option<String>,
}
