//! How an app reads the names in a path: as they are written, or as Windows reads names of files.
//!
//! An app that keeps its pages as files on Windows answers `/ADMIN/x`, `/admin./x` and `/admin%20/x`
//! as it answers `/admin/x`. Where that is said of an app, its routes are compared without case, and a
//! name that Windows reads as another one is refused, because nobody can know for which one the rule
//! was written (PA-027, PA-028).

use std::borrow::Cow;

/// How an app reads the names in a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PathReading {
    /// Letter by letter.
    #[default]
    Exact,
    /// As Windows reads names of files.
    Windows,
}

impl PathReading {
    /// The text in which two that the app reads alike are equal.
    pub(super) fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => text.into(),
            // Letter for letter: `ß` stays what it is, and is no `SS`.
            Self::Windows => text.chars().map(|c| only(c.to_uppercase()).unwrap_or(c)).collect(),
        }
    }

    /// Whether the app may read a segment of a path as another one that it does not show by its letters.
    pub(super) fn hides(self, segment: &str) -> bool {
        self == Self::Windows && is_other_name(segment)
    }
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

/// Dots and spaces at the end fall away, a colon begins the name of a stream, `~1` makes a short name; and
/// of a few letters (`ſ`, the kelvin sign) nobody can say whether a system takes them for an ASCII one.
fn is_other_name(segment: &str) -> bool {
    let short = segment.match_indices('~').any(|(at, _)| segment[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    let almost_ascii =
        |c: char| !c.is_ascii() && c != 'ß' && c.to_lowercase().chain(c.to_uppercase()).any(|c| c.is_ascii_graphic());
    short || segment.ends_with(['.', ' ']) || segment.contains(':') || segment.contains(almost_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PA-027, PA-028
    #[test]
    fn names_are_folded_and_hidden_ones_found_for_windows_only() {
        let windows = PathReading::Windows;
        for (one, other) in [("/ADMIN/x", "/admin/X"), ("/É", "/é"), ("/straße", "/STRAßE")] {
            assert_eq!(windows.fold(one), windows.fold(other));
            assert_ne!(PathReading::Exact.fold(one), PathReading::Exact.fold(other));
        }
        assert_ne!(windows.fold("/straße"), windows.fold("/strasse"));
        let hidden = [
            "admin.",
            "admin ",
            "admin. .",
            "admin::$DATA",
            "ADMIN~1",
            "a:b",
            "admin~1.txt",
            "\u{17f}ecret",
            "\u{212a}ey",
        ];
        for hidden in hidden {
            assert!(windows.hides(hidden), "{hidden}");
            assert!(!PathReading::Exact.hides(hidden), "{hidden}");
        }
        for plain in ["admin", ".profile", "a.b", "a b", "~ann", "x~", "straße", ""] {
            assert!(!windows.hides(plain), "{plain}");
        }
    }
}
