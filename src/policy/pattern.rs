//! Patterns of paths, and which of two is the more specific.
//!
//! A pattern is a list of segments, each literal or `{x}` (exactly one segment), and may end in `*`
//! (the rest, also none). There is nothing else on purpose: two patterns of this kind can always be
//! ordered, so "the most specific one that matches" needs no order in the configuration file (G4).

use std::cmp::Ordering;
use std::fmt;

use super::PathReading;

const LONGEST: usize = 1024;

/// A pattern of paths, such as `/`, `/admin/*` or `/reports/{year}/summary`.
///
/// Literals are compared with the decoded segments of a path. A slash at the end of a path makes no
/// difference: `/admin` and `/admin/` are one (PA-042).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
    rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    Literal(Box<str>),
    One,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a path starts with `/`")]
    NoSlash,
    #[error("a path has at most {LONGEST} bytes")]
    TooLong,
    #[error("an empty segment (`//`) can match nothing: no path with one reaches an app")]
    EmptySegment,
    #[error("`.` and `..` can match nothing: a path with one is refused")]
    DotSegment,
    #[error("`*` stands for the rest of the path and can only be its last segment; use `{{name}}` for exactly one")]
    Star,
    #[error(
        "`{0}` is neither literal nor `{{name}}`: braces enclose a whole segment, with a name of letters, digits, `_` or `-`"
    )]
    Braces(String),
    #[error("`{0}` cannot stand in a path: write what the decoded path has, without `%`, `;`, `?`, `#` and `\\`")]
    Character(char),
}

impl Pattern {
    /// The only way to a pattern.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let body = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        if text.len() > LONGEST {
            return Err(PatternError::TooLong);
        }
        let mut parts: Vec<&str> = body.split('/').collect();
        if parts.last() == Some(&"") {
            parts.pop();
        }
        let rest = parts.last() == Some(&"*");
        if rest {
            parts.pop();
        }
        let segments = parts.into_iter().map(Segment::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), segments, rest })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a path, given by its decoded segments, is one of these.
    pub(crate) fn matches<'p>(&self, mut path: impl Iterator<Item = &'p str>) -> bool {
        for segment in &self.segments {
            let Some(part) = path.next() else { return false };
            if !segment.matches(part) {
                return false;
            }
        }
        self.rest || path.next().is_none()
    }

    /// The pattern as an app compares it that reads paths so.
    pub(crate) fn read_as(&self, reading: PathReading) -> Self {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(literal) => Segment::Literal(reading.fold(literal).into()),
            Segment::One => Segment::One,
        });
        Self { text: self.text.clone(), segments: segments.collect(), rest: self.rest }
    }

    /// Whether both match exactly the same paths.
    pub fn has_shape_of(&self, other: &Self) -> bool {
        self.segments == other.segments && self.rest == other.rest
    }

    /// The order of specificity, the more specific first: at the first segment in which two patterns
    /// differ, a literal comes before `{x}`, `{x}` before the end, and the end before `*`. Of two that
    /// match one path, at most the later can be the wider.
    pub fn by_specificity(&self, other: &Self) -> Ordering {
        let ours = self.segments.iter().map(Some).chain(std::iter::repeat(None));
        let theirs = other.segments.iter().map(Some).chain(std::iter::repeat(None));
        let longest = self.segments.len().max(other.segments.len());
        for (a, b) in ours.zip(theirs).take(longest) {
            let order = match (a, b) {
                (Some(a), Some(b)) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        self.rest.cmp(&other.rest)
    }

    /// Whether some path under `prefix` is one of these.
    pub(crate) fn can_match_under(&self, prefix: &PathPrefix) -> bool {
        let enough = self.rest || self.segments.len() >= prefix.0.len();
        enough && self.segments.iter().zip(&prefix.0).all(|(segment, part)| segment.matches(part))
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        match text {
            "" => return Err(PatternError::EmptySegment),
            "." | ".." => return Err(PatternError::DotSegment),
            _ => {}
        }
        if text.contains('*') {
            return Err(PatternError::Star);
        }
        if text.contains(['{', '}']) {
            let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            let is_name = |name: &str| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            };
            return match name {
                Some(name) if is_name(name) => Ok(Self::One),
                _ => Err(PatternError::Braces(text.to_owned())),
            };
        }
        let stranger = |c: &char| c.is_control() || c.is_whitespace() || matches!(c, '%' | ';' | '?' | '#' | '\\');
        match text.chars().find(stranger) {
            Some(stranger) => Err(PatternError::Character(stranger)),
            None => Ok(Self::Literal(text.into())),
        }
    }

    fn matches(&self, part: &str) -> bool {
        match self {
            Self::Literal(literal) => **literal == *part,
            Self::One => !part.is_empty(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// The first part of the paths that belong to an app, in whole literal segments: `/git` has `/git`
/// and `/git/x`, never `/gitx`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(Box<[Box<str>]>);

/// Why a text is not a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("a prefix has literal segments only, such as `/git`")]
    NotLiteral,
}

impl PathPrefix {
    /// Reads a prefix; `/` is every path.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let pattern = Pattern::parse(text)?;
        if pattern.rest {
            return Err(PrefixError::NotLiteral);
        }
        let literal = |segment: &Segment| match segment {
            Segment::Literal(literal) => Ok(literal.clone()),
            Segment::One => Err(PrefixError::NotLiteral),
        };
        Ok(Self(pattern.segments.iter().map(literal).collect::<Result<_, _>>()?))
    }

    /// How many segments it has: of two prefixes of one path, the one with more is the longer.
    pub fn length(&self) -> usize {
        self.0.len()
    }

    /// The prefix as an app compares it that reads paths so.
    pub(crate) fn read_as(&self, reading: PathReading) -> Self {
        Self(self.0.iter().map(|literal| reading.fold(literal).into()).collect())
    }

    pub(crate) fn has<'p>(&self, mut path: impl Iterator<Item = &'p str>) -> bool {
        self.0.iter().all(|literal| path.next() == Some(&**literal))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

/// The segments of a decoded path; a slash at the end makes no segment.
pub(crate) fn segments_of(path: &str) -> impl Iterator<Item = &str> {
    let body = path.strip_prefix('/').unwrap_or(path);
    let body = body.strip_suffix('/').unwrap_or(body);
    body.split('/').filter(move |_| !body.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(segments_of(path))
    }

    /// G4
    #[test]
    fn a_pattern_matches_what_it_says() {
        for (pattern, path) in [
            ("/", "/"),
            ("/*", "/"),
            ("/*", "/a/b"),
            ("/admin/*", "/admin"),
            ("/admin/*", "/admin/"),
            ("/admin/*", "/admin/x/y"),
            ("/a/{x}", "/a/b"),
            ("/a/{x}/c", "/a/b/c"),
            ("/a", "/a/"),
            ("/a/", "/a"),
            ("/büro", "/büro"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/", "/a"),
            ("/admin/*", "/administrator"),
            ("/a/{x}", "/a"),
            ("/a/{x}", "/a/"),
            ("/a/{x}", "/a/b/c"),
            ("/a", "/A"),
            ("/a/{x}/c", "/a//c"),
            ("/a/*", "/b"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn what_could_never_match_is_refused_with_its_reason() {
        for (text, error) in [
            ("admin", PatternError::NoSlash),
            ("/a//b", PatternError::EmptySegment),
            ("/a/../b", PatternError::DotSegment),
            ("/*/b", PatternError::Star),
            ("/a*", PatternError::Star),
            ("/a/{x", PatternError::Braces("{x".to_owned())),
            ("/a/pre{x}", PatternError::Braces("pre{x}".to_owned())),
            ("/a%20b", PatternError::Character('%')),
            ("/a;b", PatternError::Character(';')),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_prefix_has_whole_segments() {
        let prefix = PathPrefix::parse("/git/").unwrap();
        assert!(prefix.has(segments_of("/git")) && prefix.has(segments_of("/git/x")));
        assert!(!prefix.has(segments_of("/gitx")) && !prefix.has(segments_of("/")));
        assert_eq!(PathPrefix::parse("/{x}"), Err(PrefixError::NotLiteral));
        assert_eq!(PathPrefix::parse("/").unwrap().length(), 0);
        assert_eq!(prefix.to_string(), "/git");
    }

    /// G4: literal, then one segment, then the end, then the rest; left to right.
    #[test]
    fn specificity_is_read_from_the_left() {
        let ordered = ["/a/b", "/a/{x}/c", "/a/{x}", "/a", "/a/*", "/{x}/b", "/{x}", "/", "/*"];
        for pair in ordered.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|text| Pattern::parse(text).unwrap());
            assert_eq!(a.by_specificity(&b), Ordering::Less, "{} before {}", pair[0], pair[1]);
        }
    }
}
