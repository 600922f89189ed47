//! One head, line by line, as far as it has come.

use memchr::{memchr, memchr2};

use super::HeadFault;
use super::framing::Framing;
use super::scanner::Limits;

/// Some clients send an empty line behind a body, and RFC 9112 §2.2 asks to overlook it.
const MOST_LEADING_LINES: u8 = 4;
/// The longest target that the gateway takes, a method, a scheme, a host and a version.
const LONGEST_REQUEST_LINE: usize = 17 * 1024;

/// What is known of a head that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is not whole yet, and up to where it has been searched for its end.
    line: usize,
    searched: usize,
    leading: u8,
    version: Option<Version>,
    fields: usize,
    length: Option<u64>,
    coding: bool,
    upgrade: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// How far a head has come.
#[derive(Debug)]
pub(super) enum Progress {
    Partial,
    Whole {
        /// Its bytes, the empty line and the empty lines before it included.
        length: usize,
        framing: Framing,
        /// Whether it asks for another protocol.
        upgrade: bool,
    },
}

impl Head {
    /// Reads on. `bytes` begin where the head begins, each time.
    pub(super) fn advance(&mut self, bytes: &[u8], limits: Limits) -> Result<Progress, HeadFault> {
        loop {
            if self.version.is_none() && bytes.get(self.line).is_some_and(|first| !can_begin(*first)) {
                return Err(HeadFault::NotHttp);
            }
            let Some(found) = memchr2(b'\r', b'\n', &bytes[self.searched..]) else {
                self.searched = bytes.len();
                self.refuse_large(bytes.len(), bytes.len(), limits)?;
                return Ok(Progress::Partial);
            };
            let at = self.searched + found;
            self.refuse_large(at, at, limits)?;
            if bytes[at] == b'\n' {
                return Err(HeadFault::BareLf);
            }
            match bytes.get(at + 1) {
                Some(b'\n') => {}
                Some(_) => return Err(HeadFault::BareCr),
                None => {
                    self.searched = at;
                    return Ok(Progress::Partial);
                }
            }
            let line = &bytes[self.line..at];
            (self.line, self.searched) = (at + 2, at + 2);
            if self.version.is_none() {
                self.before_fields(line)?;
            } else if line.is_empty() {
                return Ok(Progress::Whole { length: self.line, framing: self.framing()?, upgrade: self.upgrade });
            } else {
                self.field(line, limits)?;
            }
        }
    }

    /// `line_end` is the end of the line that is read at the moment, as far as it has come.
    fn refuse_large(&self, length: usize, line_end: usize, limits: Limits) -> Result<(), HeadFault> {
        if self.version.is_none() && line_end - self.line > LONGEST_REQUEST_LINE {
            return Err(HeadFault::LineTooLong);
        }
        if length > limits.head_bytes { Err(HeadFault::TooLarge) } else { Ok(()) }
    }

    fn before_fields(&mut self, line: &[u8]) -> Result<(), HeadFault> {
        if line.is_empty() {
            self.leading += 1;
            return if self.leading > MOST_LEADING_LINES { Err(HeadFault::LeadingLines) } else { Ok(()) };
        }
        self.version = Some(if line.ends_with(b" HTTP/1.1") {
            Version::Http11
        } else if line.ends_with(b" HTTP/1.0") {
            Version::Http10
        } else if line == b"PRI * HTTP/2.0" {
            return Err(HeadFault::Preface);
        } else {
            return Err(HeadFault::Version);
        });
        let target = memchr(b' ', line).map_or(line, |space| &line[space..]);
        if memchr(b'#', target).is_some() { Err(HeadFault::Fragment) } else { Ok(()) }
    }

    fn field(&mut self, line: &[u8], limits: Limits) -> Result<(), HeadFault> {
        self.fields += 1;
        if self.fields > limits.head_fields {
            return Err(HeadFault::TooLarge);
        }
        match line[0] {
            b' ' | b'\t' => return Err(HeadFault::Folded),
            b'c' | b'C' => {
                if let Some(value) = value_of(line, b"content-length") {
                    let earlier = self.length.replace(number(value).ok_or(HeadFault::Length)?);
                    if earlier.is_some() {
                        return Err(HeadFault::Length);
                    }
                }
            }
            b't' | b'T' => {
                if let Some(value) = value_of(line, b"transfer-encoding") {
                    if self.coding || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(HeadFault::Coding);
                    }
                    self.coding = true;
                }
            }
            b'u' | b'U' => self.upgrade |= value_of(line, b"upgrade").is_some(),
            _ => {}
        }
        Ok(())
    }

    fn framing(&self) -> Result<Framing, HeadFault> {
        match (self.coding, self.length) {
            (false, length) => Ok(Framing::length(length.unwrap_or(0))),
            (true, Some(_)) => Err(HeadFault::LengthAndCoding),
            (true, None) if self.version == Some(Version::Http11) => Ok(Framing::chunked()),
            (true, None) => Err(HeadFault::Coding),
        }
    }
}

/// Whether a request, or an empty line before one, can begin with it: a token's character (RFC 9110
/// §5.6.2), CR or LF. What else stands in a method is hyper's to refuse; this is here because a handshake
/// of TLS has no line to wait for the end of.
const fn can_begin(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'\r' | b'\n')
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
        || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// The value of the field, if that is its name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| trimmed(value))
}

/// Without the optional whitespace around it, as RFC 9110 §5.6.3 has it: spaces and tabs only.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
