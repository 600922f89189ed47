//! What a proxy in front of the gateway wrote about the client, read from the right (G10).
//!
//! Every proxy appends, so the last entry is the word of the peer itself, and each one further left the
//! word of the proxy that the entry after it names. Whatever stands left of the first address that is
//! nobody we trust may be the client's invention, and is never looked at: a broken quote or ten thousand
//! entries of it cost and change nothing.
//!
//! Pure functions over text, each byte of which is passed once.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Something that a trusted proxy wrote cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The entries of a comma-separated field, the last one first.
pub(super) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.rsplit(',').map(trim)
}

/// One address of `X-Forwarded-For`. Some proxies write the port along.
pub(super) fn address(text: &str) -> Result<IpAddr, Unreadable> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical());
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Ok(with_port.ip().to_canonical());
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or(Unreadable)?;
    let address: Ipv6Addr = bare.parse().map_err(|_| Unreadable)?;
    Ok(IpAddr::V6(address).to_canonical())
}

/// The elements of a `Forwarded` field (RFC 7239 §4), the last one first.
pub(super) fn elements(text: &str) -> Elements<'_> {
    Elements { rest: Some(text) }
}

/// See [`elements`]. A comma between quotes separates nothing, as seen from the right: quotes that are
/// broken further left reach nothing that was written after them.
pub(super) struct Elements<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let mut quoted = false;
        let mut start = 0;
        for (at, byte) in rest.bytes().enumerate().rev() {
            match byte {
                // No address, scheme or host needs one, and from the right it cannot be told what it escapes.
                b'\\' => return Some(Err(Unreadable)),
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    self.rest = Some(&rest[..at]);
                    start = at + 1;
                    break;
                }
                _ => {}
            }
        }
        if quoted {
            return Some(Err(Unreadable));
        }
        Some(Element::parse(&rest[start..]))
    }
}

/// What one proxy said of whom it had before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// The node that `for` names: an address, `unknown`, or a name that the proxy made up (RFC 7239 §6).
    pub(super) node: Option<&'a str>,
    pub(super) scheme: Option<&'a str>,
    pub(super) host: Option<&'a str>,
}

impl<'a> Element<'a> {
    fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let mut element = Self::default();
        for pair in pairs(text) {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').ok_or(Unreadable)?;
            let value = unquoted(value)?;
            let place = match name {
                name if name.eq_ignore_ascii_case("for") => &mut element.node,
                name if name.eq_ignore_ascii_case("proto") => &mut element.scheme,
                name if name.eq_ignore_ascii_case("host") => &mut element.host,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Unreadable);
            }
        }
        Ok(element)
    }

    /// The address that `for` names. `unknown` and names that a proxy made up are none.
    pub(super) fn address(&self) -> Result<IpAddr, Unreadable> {
        let node = self.node.ok_or(Unreadable)?;
        // Only in brackets, or the port would be one more group of the address.
        if node.matches(':').nth(1).is_some() && !node.starts_with('[') {
            return Err(Unreadable);
        }
        address(node)
    }
}

/// The pairs of one element. Quotes are balanced here, so they look the same from both sides.
fn pairs(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    })
    .map(trim)
}

fn unquoted(value: &str) -> Result<&str, Unreadable> {
    let inner = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"')).ok_or(Unreadable)?;
    if inner.is_empty() || inner.contains('"') || inner.contains([' ', '\t']) { Err(Unreadable) } else { Ok(inner) }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn last(text: &str) -> Result<Element<'_>, Unreadable> {
        elements(text).next().unwrap()
    }

    /// HD-030
    #[test]
    fn an_address_is_read_with_and_without_its_port() {
        for (text, read) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(address(text), Ok(read.parse().unwrap()), "{text}");
        }
        for text in ["", "a", "unknown", "192.0.2", "192.0.2.01", "192.0.2.1 ", "[192.0.2.1]", "1.2.3.4:99999", "::g"] {
            assert_eq!(address(text), Err(Unreadable), "{text}");
        }
    }

    #[test]
    fn an_element_is_read_with_its_quotes() {
        let text = r#"for=192.0.2.1, for="[2001:db8::1]:80" ; Proto=https;by=_gate;host="app.test:8443""#;
        let element = last(text).unwrap();
        assert_eq!(element.address(), Ok("2001:db8::1".parse().unwrap()));
        assert_eq!((element.scheme, element.host), (Some("https"), Some("app.test:8443")));
        assert_eq!(elements(text).count(), 2);
    }

    /// HD-030: what a proxy wrote and what cannot be read is not passed over.
    #[test]
    fn an_element_that_cannot_be_read_is_an_error() {
        for text in [
            "for",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=\"192.0.2\\.1\"",
            "for=1.1.1.1;for=2.2.2.2",
            "proto=a\"b\"",
            "for=\"\"",
        ] {
            assert_eq!(last(text), Err(Unreadable), "{text}");
        }
        for text in ["for=unknown", "for=_hidden", "proto=https", "", "for=2001:db8::1"] {
            assert_eq!(last(text).unwrap().address(), Err(Unreadable), "{text}");
        }
    }

    proptest! {
        /// HD-028: whatever a client put in front, the element that the proxy appended reads the same.
        #[test]
        fn what_stands_further_left_changes_nothing(forged in r#"[a-z=;,"\\ .0-9]{0,40}"#) {
            let text = format!("{forged}, for=192.0.2.1;proto=https");
            let element = last(&text).unwrap();
            prop_assert_eq!(element.address(), Ok("192.0.2.1".parse().unwrap()));
            prop_assert_eq!(element.scheme, Some("https"));
        }

        /// No text makes the reader panic.
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            for element in elements(&text).take_while(Result::is_ok) {
                let _read = element.unwrap().address();
            }
            let _count = entries(&text).map(address).count();
        }
    }
}
