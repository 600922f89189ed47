//! Where a request stands in somebody else's trace: `traceparent` and `tracestate` (W3C Trace Context).
//!
//! Read to the letter. What is malformed, or there twice, is as if it were not there: a trace then begins anew, and
//! nothing that a client made up is passed on under a name that is not its own.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::span::{SpanId, TraceId};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most members of a `tracestate` (§3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// Who asks, as the sender says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    pub trace: TraceId,
    pub span: SpanId,
    /// Whether the sender records this trace, and wants others to.
    pub sampled: bool,
}

impl Parent {
    /// The parent that a head names; `None` without one, with two, and with one that cannot be read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?;
        if values.next().is_some() { None } else { Self::parse(value.as_bytes()) }
    }

    /// Reads `version-trace-parent-flags` (§3.2). Of a later version it reads what it knows.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let known = text.get(..55)?;
        let version = number::<1>(&known[..2])?[0];
        let dashes = known[2] == b'-' && known[35] == b'-' && known[52] == b'-';
        let ends = text.len() == 55 || (version > 0 && text[55] == b'-');
        if version == 0xff || !dashes || !ends {
            return None;
        }
        let (trace, span) = (number(&known[3..35])?, number(&known[36..52])?);
        let [flags] = number(&known[53..])?;
        let nobody = trace == [0; 16] || span == [0; 8];
        (!nobody).then_some(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }
}

/// Lower-case hexadecimal digits, two a byte.
fn number<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut number = [0; N];
    for (byte, pair) in number.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(number)
}

/// Whether all values of `tracestate` together are a list of at most 32 members, each `key=value` with a key of its
/// own (§3.3.1). Without any it is not.
pub fn is_tracestate<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let mut keys: Vec<&[u8]> = Vec::new();
    for value in values {
        for member in value.as_bytes().split(|byte| *byte == b',') {
            let member = trimmed(member);
            if member.is_empty() {
                continue;
            }
            let Some(at) = member.iter().position(|byte| *byte == b'=') else { return false };
            let (key, value) = (&member[..at], &member[at + 1..]);
            if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MOST_MEMBERS {
                return false;
            }
            keys.push(key);
        }
    }
    !keys.is_empty()
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// `vendor`, or `tenant@vendor` (§3.3.1.3.1).
fn is_key(key: &[u8]) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
    let name = |name: &[u8], most: usize, digit_first: bool| {
        let first =
            name.first().is_some_and(|first| first.is_ascii_lowercase() || (digit_first && first.is_ascii_digit()));
        first && name.len() <= most && name.iter().all(inner)
    };
    match key.iter().position(|byte| *byte == b'@') {
        None => name(key, 256, false),
        Some(at) => name(&key[..at], 241, true) && name(&key[at + 1..], 14, false),
    }
}

/// Printable, without comma and equals sign, not ending in a space (§3.3.1.3.2).
fn is_value(value: &[u8]) -> bool {
    let good = |byte: &u8| (0x20..=0x7e).contains(byte) && !b",=".contains(byte);
    (1..=256).contains(&value.len()) && value.iter().all(good) && value.last() != Some(&b' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// G13
    #[test]
    fn a_parent_is_read_to_the_letter() {
        let parent = Parent::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((parent.span.to_string().as_str(), parent.sampled), ("00f067aa0ba902b7", true));
        for (good, sampled) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later", true),
        ] {
            assert_eq!(Parent::parse(good.as_bytes()).map(|parent| parent.sampled), Some(sampled), "{good}");
        }
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
            "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(bad.as_bytes()), None, "{bad}");
        }
        let one = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(GOOD))]);
        assert!(Parent::of(&one).is_some());
        let mut two = one;
        two.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(Parent::of(&two), None);
        assert_eq!(Parent::of(&HeaderMap::new()), None);
    }

    /// G13
    #[test]
    fn a_state_is_a_list_of_members_with_keys_of_their_own() {
        let is = |values: &[&str]| {
            let values: Vec<_> = values.iter().map(|value| HeaderValue::from_str(value).unwrap()).collect();
            is_tracestate(&values)
        };
        let long = |members: usize| (0..members).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        assert!(is(&["rojo=00f067aa0ba902b7"]));
        assert!(is(&["rojo=1, congo=t61rcWkgMzE ,,", "", "7tenant@vendor=a b"]));
        assert!(is(&[&long(32)]));
        for bad in [
            &[][..],
            &[""],
            &[", ,"],
            &["rojo"],
            &["rojo="],
            &["=1"],
            &["Rojo=1"],
            &["1rojo=1"],
            &["a@=1"],
            &["a@1b=1"],
            &["rojo=1=2"],
            &["rojo=1", "rojo=2"],
            &[&long(33)],
        ] {
            assert!(!is(bad), "{bad:?}");
        }
    }

    proptest! {
        /// No bytes make the reader panic, and what it reads is written as it stood.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            let _read = Parent::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read_again(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled: bool) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let written = super::super::traceparent(TraceId(trace), SpanId(span), sampled);
            let parent = Parent { trace: TraceId(trace), span: SpanId(span), sampled };
            prop_assert_eq!(Parent::parse(written.as_bytes()), Some(parent));
        }
    }
}
