//! The path of a request, and every reading of it that an application could plausibly have.
//!
//! A gateway that reads `/pub/..%2fadmin` one way while the application reads it another guards the
//! wrong thing; that is how most gateways of this kind were broken. So nothing is repaired here. A path
//! that is malformed, or has dot segments in any reading, is refused; one that can be read in several
//! ways comes back with all of its readings, and the route table refuses it when two of them would
//! choose different routes (G5). The bytes that were read are the bytes that are forwarded.

use std::borrow::Cow;

/// More readings than any honest path has.
const MOST_READINGS: usize = 24;

/// The decoded readings of one path; all of them have to choose the same route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readings<'a> {
    /// Everybody reads it as it is written.
    Plain(&'a str),
    Several(Vec<String>),
}

/// Why a path is refused before any route is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PathRefusal {
    #[error("the path does not start with a slash")]
    NoSlash,
    #[error("the path has a character that has to be percent-encoded")]
    Character,
    #[error("the path has an incomplete percent-encoding")]
    Escape,
    #[error("the path has an encoded control character")]
    Control,
    #[error("the path has a backslash")]
    Backslash,
    #[error("the path is not UTF-8 when decoded")]
    Utf8,
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path can be read in too many ways")]
    Readings,
    #[error("the path has an encoded slash, and its route forwards none")]
    EncodedSlash,
    #[error("the path has a doubled slash, and its route forwards none")]
    DoubledSlash,
}

impl PathRefusal {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::NoSlash => "path_without_slash",
            Self::Character => "path_character",
            Self::Escape => "path_escape",
            Self::Control => "path_control",
            Self::Backslash => "path_backslash",
            Self::Utf8 => "path_utf8",
            Self::DotSegment => "path_dot_segment",
            Self::Readings => "path_readings",
            Self::EncodedSlash => "path_encoded_slash",
            Self::DoubledSlash => "path_doubled_slash",
        }
    }
}

impl<'a> Readings<'a> {
    /// Reads the path of a request target as it came over the wire, without its query.
    ///
    /// # Errors
    /// When it is malformed, or dangerous in some reading.
    pub fn of(raw: &'a str) -> Result<Self, PathRefusal> {
        if !raw.starts_with('/') {
            return Err(PathRefusal::NoSlash);
        }
        if !raw.bytes().all(is_path_byte) {
            return Err(if raw.contains('\\') { PathRefusal::Backslash } else { PathRefusal::Character });
        }
        refuse_dot_segments(raw)?;
        if !raw.contains(['%', ';']) && !raw.contains("//") {
            return Ok(Self::Plain(raw));
        }
        several(raw).map(Self::Several)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (plain, several): (Option<&str>, &[String]) = match self {
            Self::Plain(path) => (Some(path), &[]),
            Self::Several(paths) => (None, paths),
        };
        plain.into_iter().chain(several.iter().map(String::as_str))
    }
}

/// What may stand in a path unencoded: RFC 3986 `pchar` and `/`, and the brackets, which many programs send
/// as they are and nobody reads in two ways.
const fn is_path_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')')
        || matches!(b, b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'%' | b'[' | b']')
}

fn refuse_dot_segments(path: &str) -> Result<(), PathRefusal> {
    let has_one = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if has_one { Err(PathRefusal::DotSegment) } else { Ok(()) }
}

/// All readings: as RFC 3986 makes paths equal, decoded once and twice, with path parameters cut off,
/// with empty segments merged, cut at a decoded `?` or `#`, and with a leading `//` taken for an
/// authority; and every combination of these.
fn several(raw: &str) -> Result<Vec<String>, PathRefusal> {
    refuse_bad_escapes(raw)?;
    let first = decode_harmless(raw)?;
    refuse_dot_segments(&first)?;
    let mut readings = vec![(first, 0_u8)];
    let mut next = 0;
    while let Some((text, decoded)) = readings.get(next).cloned() {
        next += 1;
        let mut found = Vec::new();
        if decoded < 2 && text.contains('%') {
            found.push((decode(&text, |_| true)?, decoded + 1));
        }
        if text.contains(';') {
            found.push((without_parameters(&text), decoded));
        }
        if text.contains("//") {
            found.push((merged(&text), decoded));
        }
        if let Some(at) = text.find(['?', '#']) {
            found.push((text[..at].to_owned(), decoded));
        }
        if let Some(authority) = text.strip_prefix("//") {
            found.push((authority.find('/').map_or("/", |at| &authority[at..]).to_owned(), decoded));
        }
        for reading in found {
            refuse_dot_segments(&reading.0)?;
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        if readings.len() > MOST_READINGS {
            return Err(PathRefusal::Readings);
        }
    }
    let mut paths: Vec<String> = readings.into_iter().map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

fn refuse_bad_escapes(raw: &str) -> Result<(), PathRefusal> {
    let mut parts = raw.split('%');
    parts.next();
    let complete = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if parts.all(complete) { Ok(()) } else { Err(PathRefusal::Escape) }
}

/// Decodes what RFC 3986 §6.2.2.2 calls equal to its encoding (unreserved characters), and what is no
/// ASCII; what could separate something stays encoded.
fn decode_harmless(raw: &str) -> Result<String, PathRefusal> {
    decode(raw, |byte| byte >= 0x80 || byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// Decodes each escape whose byte is `chosen`; an incomplete escape (of a second decoding) stays.
fn decode(text: &str, chosen: impl Fn(u8) -> bool) -> Result<String, PathRefusal> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().and_then(hex);
        match escape {
            Some(byte) if byte < 0x20 || byte == 0x7f => return Err(PathRefusal::Control),
            Some(b'\\') => return Err(PathRefusal::Backslash),
            Some(byte) if chosen(byte) => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).map_err(|_| PathRefusal::Utf8)
}

fn hex(pair: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let [high, low] = pair else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

fn without_parameters(path: &str) -> String {
    let cut = path.split('/').map(|segment| segment.split(';').next().unwrap_or(""));
    cut.collect::<Vec<_>>().join("/")
}

fn merged(path: &str) -> String {
    let mut text = Cow::Borrowed(path);
    while text.contains("//") {
        text = Cow::Owned(text.replace("//", "/"));
    }
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(path: &str) -> Option<PathRefusal> {
        Readings::of(path).err()
    }

    /// PA-008, PA-021: what only looks dangerous is left alone.
    #[test]
    fn ordinary_paths_are_read_as_they_are() {
        for path in ["/", "/app/...", "/app/..a", "/a/b/", "/a.b/c~d", "/:a@b", "/[1]"] {
            assert_eq!(Readings::of(path), Ok(Readings::Plain(path)), "{path}");
        }
    }

    /// PA-001, PA-005, PA-007, PA-012, PA-033, PA-041, PA-070
    #[test]
    fn dot_segments_are_refused_in_every_reading() {
        for path in [
            "/pub/../admin/x",
            "/pub/./x",
            "/pub/.%2e/admin",
            "/pub/%2E%2E/admin",
            "/../../etc/passwd",
            "/a/..",
            "/enc/..%2f..%2fadmin",
            "/pub/..;/admin/x",
            "/pub/..;a=b/admin",
            "/pub//../admin",
            "/api/%2e/admin",
            "/a/%252e%252e/b",
            "/a/..%3b/b",
            "/a/..%23/b",
        ] {
            assert_eq!(refusal(path), Some(PathRefusal::DotSegment), "{path}");
        }
    }

    /// PA-013, PA-014, PA-017, PA-018, PA-020, PA-023
    #[test]
    fn malformed_paths_are_refused() {
        for (path, why) in [
            ("/app/a\\b", PathRefusal::Backslash),
            ("/app/a%5cb", PathRefusal::Backslash),
            ("/app/a%255Cb", PathRefusal::Backslash),
            ("/app/a%00b", PathRefusal::Control),
            ("/app/a%0d%0ab", PathRefusal::Control),
            ("/app/a%7f", PathRefusal::Control),
            ("/app/%c0%afadmin", PathRefusal::Utf8),
            ("/app/%e0%80%af", PathRefusal::Utf8),
            ("/app/%25c0%25af", PathRefusal::Utf8),
            ("/app/é", PathRefusal::Character),
            ("/app/a b", PathRefusal::Character),
            ("/app/{a}", PathRefusal::Character),
            ("/app/\"", PathRefusal::Character),
            ("/app/a|b", PathRefusal::Character),
            ("/app/a^b", PathRefusal::Character),
            ("/app/a`b", PathRefusal::Character),
            ("/app/<a>", PathRefusal::Character),
            ("/app/%", PathRefusal::Escape),
            ("/app/%4", PathRefusal::Escape),
            ("/app/%zz", PathRefusal::Escape),
            ("/app/%é", PathRefusal::Character),
            ("app", PathRefusal::NoSlash),
            ("*", PathRefusal::NoSlash),
        ] {
            assert_eq!(refusal(path), Some(why), "{path}");
        }
    }

    /// A path made of nothing but doubts is refused before it costs more than it is worth.
    #[test]
    fn a_path_with_too_many_readings_is_refused() {
        let path = "/a;b//c%253bd%252f%252fe%2523f;g//h".repeat(8);
        assert_eq!(refusal(&format!("/{path}")), Some(PathRefusal::Readings));
    }

    #[test]
    fn what_applications_disagree_about_comes_in_all_readings() {
        for (path, reading) in [
            ("/enc/group%2Fproject", "/enc/group/project"),
            ("/enc/group%2Fproject", "/enc/group%2Fproject"),
            ("/app/%61", "/app/a"),
            ("/app/%C3%A9", "/app/é"),
            ("/app/100%25", "/app/100%"),
            ("/admin%252fx", "/admin/x"),
            ("/admin;a=b/x", "/admin/x"),
            ("/;x/admin", "/admin"),
            ("/admin%3Ba/x", "/admin/x"),
            ("//admin/x", "/admin/x"),
            ("//evil/admin", "/admin"),
            ("/app/secret%23/bar", "/app/secret"),
            ("/app/secret%3f/bar", "/app/secret"),
            ("/app/secret%23/bar", "/app/secret#/bar"),
        ] {
            let readings = Readings::of(path).unwrap();
            assert!(readings.iter().any(|found| found == reading), "{path} as {reading}: {readings:?}");
        }
    }

    proptest! {
        /// G5: whatever is accepted has no dot segment and no backslash in any reading.
        #[test]
        fn no_accepted_reading_climbs(path in "/([a-c./;%]|%2[ef]|%5c|%25){0,14}") {
            if let Ok(readings) = Readings::of(&path) {
                for reading in readings.iter() {
                    prop_assert!(refuse_dot_segments(reading).is_ok());
                    prop_assert!(!reading.contains('\\'));
                }
            }
        }

        /// Any bytes whatever end in readings or in a refusal, never in a panic.
        #[test]
        fn every_text_is_judged(path in "/.{0,40}") {
            let _ = Readings::of(&path);
        }
    }
}
