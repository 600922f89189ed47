//! What a client wrote, as it may be written down.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::directory::TokenKind;

/// A method or path as it may be written down: what follows the marker of a token in it is left out, percent-encoded
/// or not. Some programs put a token where only a name belongs (T4).
pub(super) fn blotted(path: &str) -> Cow<'_, str> {
    if !path.contains("locum_") && !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let read = percent_decode_str(path).decode_utf8_lossy();
    let markers = TokenKind::ALL.into_iter().map(TokenKind::marker);
    match markers.filter_map(|marker| Some(read.find(marker)? + marker.len())).min() {
        None => Cow::Borrowed(path),
        Some(end) => Cow::Owned(format!("{}…", &read[..end])),
    }
}
