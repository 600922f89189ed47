//! Files of keys that have versions: one `VERSION HEX` a line, `#` for comments.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use zeroize::Zeroizing;

/// Why such a file cannot be used. Says nothing of the keys themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyLinesError {
    #[error("line {line}: expected `VERSION HEX`, a number from 1 and {digits} hexadecimal digits")]
    Line { line: usize, digits: &'static str },
    #[error("line {line}: version {version} stands there twice")]
    Doubled { line: usize, version: u32 },
    #[error("it holds no key: write `1 HEX`, HEX being 64 random hexadecimal digits")]
    Empty,
}

/// Reads the text of such a file; each key has a length of `bytes`.
///
/// # Errors
/// Names the first line that cannot be read.
pub(crate) fn parse(
    text: &str,
    bytes: impl RangeBounds<usize>,
) -> Result<BTreeMap<u32, Zeroizing<Vec<u8>>>, KeyLinesError> {
    let digits = if bytes.contains(&usize::MAX) { "at least 64" } else { "64" };
    let mut keys = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let (line_number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse = || KeyLinesError::Line { line: line_number, digits };
        let (version, hex) = line.split_once(' ').ok_or_else(refuse)?;
        let version: u32 = version.parse().ok().filter(|v| *v > 0).ok_or_else(refuse)?;
        let key = hex_bytes(hex.trim()).map(Zeroizing::new).filter(|key| bytes.contains(&key.len()));
        if keys.insert(version, key.ok_or_else(refuse)?).is_some() {
            return Err(KeyLinesError::Doubled { line: line_number, version });
        }
    }
    if keys.is_empty() { Err(KeyLinesError::Empty) } else { Ok(keys) }
}

/// Reads hexadecimal digits, two a byte.
pub(crate) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    // A sign would be read as a part of the number.
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_read_as_digits() {
        assert_eq!(hex_bytes("00fF"), Some(vec![0, 255]));
        for odd in ["0", "+f", "0x", "é"] {
            assert_eq!(hex_bytes(odd), None, "{odd}");
        }
    }
}
