//! The PROXY protocol, versions 1 and 2: one header before the first byte of a connection, in which a
//! proxy says for whom it has opened it (G10).
//!
//! Read from trusted proxies only, and from those it is a must: nobody guesses whether it is there. What
//! is not exactly such a header ends the connection. Own code, because it decides who somebody is, and is
//! one pure function.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest header of version 1 (its specification, §2.1).
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is waited for; the specification would allow 64 KiB.
const LONGEST_BLOCK: usize = 4096;
/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family, length.
const BLOCK_HEAD: usize = 16;
/// The additional value in which a proxy says that the client speaks TLS with it, and its lowest bit.
const TLV_TLS: u8 = 0x20;
const CLIENT_TLS: u8 = 0x01;

/// What a proxy said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// `None`: the proxy speaks for itself, as in its checks of health.
    pub(super) client: Option<IpAddr>,
    /// The port that the client connected to, where the proxy speaks for one.
    pub(super) port: Option<u16>,
    /// Whether the client speaks TLS with the proxy.
    pub(super) tls: bool,
    /// How many bytes the header has.
    length: usize,
}

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    /// More bytes may make it one.
    #[error("the header of the PROXY protocol is not complete")]
    Incomplete,
    #[error("what came is no header of the PROXY protocol")]
    Invalid,
}

/// Reads the header of a connection; what came behind it is returned too.
///
/// # Errors
/// When the connection ends or fails, or there is no header.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Said, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(256);
    loop {
        match parse(&bytes) {
            Ok(said) => {
                let rest = bytes.split_off(said.length);
                return Ok((said, rest));
            }
            Err(Fault::Invalid) => return Err(io::Error::new(io::ErrorKind::InvalidData, Fault::Invalid)),
            Err(Fault::Incomplete) => {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, Fault::Incomplete));
                }
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Said, Fault> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes[..common] == SIGNATURE[..common] { parse_block(bytes) } else { parse_line(bytes) }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 4711 443`, and nothing in it twice.
fn parse_line(bytes: &[u8]) -> Result<Said, Fault> {
    const START: &[u8] = b"PROXY ";
    let common = bytes.len().min(START.len());
    if bytes[..common] != START[..common] {
        return Err(Fault::Invalid);
    }
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = within.windows(2).position(|two| two == b"\r\n") else {
        return Err(if bytes.len() < LONGEST_LINE { Fault::Incomplete } else { Fault::Invalid });
    };
    let line = std::str::from_utf8(&bytes[START.len()..end]).map_err(|_| Fault::Invalid)?;
    let said = |client, port| Said { client, port, tls: false, length: end + 2 };
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Ok(said(None, None));
    }
    let mut words = line.split(' ');
    let client = match words.next() {
        Some("TCP4") => addresses::<Ipv4Addr>(&mut words)?,
        Some("TCP6") => addresses::<Ipv6Addr>(&mut words)?,
        _ => return Err(Fault::Invalid),
    };
    let mut port = || {
        let port = words.next().filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
        port.and_then(|port| port.parse::<u16>().ok()).ok_or(Fault::Invalid)
    };
    let (_source, destination) = (port()?, port()?);
    if words.next().is_some() { Err(Fault::Invalid) } else { Ok(said(Some(client), Some(destination))) }
}

/// The first of two addresses of one family.
fn addresses<'a, A: std::str::FromStr + Into<IpAddr>>(
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<IpAddr, Fault> {
    let mut next = || words.next().and_then(|word| word.parse::<A>().ok()).ok_or(Fault::Invalid);
    let (source, _destination) = (next()?, next()?);
    Ok(source.into())
}

/// Version 2, in binary.
fn parse_block(bytes: &[u8]) -> Result<Said, Fault> {
    let Some(head) = bytes.first_chunk::<BLOCK_HEAD>() else { return Err(Fault::Incomplete) };
    let length = BLOCK_HEAD + usize::from(u16::from_be_bytes([head[14], head[15]]));
    if head[12] >> 4 != 2 || length > LONGEST_BLOCK {
        return Err(Fault::Invalid);
    }
    let body = bytes.get(BLOCK_HEAD..length).ok_or(Fault::Incomplete)?;
    let itself = Said { client: None, port: None, tls: false, length };
    let (client, (ports, rest)): (IpAddr, _) = match (head[12] & 0x0f, head[13]) {
        // LOCAL, whatever else it says, or of no family.
        (0, _) | (1, 0x00) => return Ok(itself),
        (1, 0x11) => {
            let (source, rest) = body.split_first_chunk::<4>().ok_or(Fault::Invalid)?;
            ((*source).into(), rest.get(4..).and_then(<[u8]>::split_first_chunk::<4>).ok_or(Fault::Invalid)?)
        }
        (1, 0x21) => {
            let (source, rest) = body.split_first_chunk::<16>().ok_or(Fault::Invalid)?;
            ((*source).into(), rest.get(16..).and_then(<[u8]>::split_first_chunk::<4>).ok_or(Fault::Invalid)?)
        }
        _ => return Err(Fault::Invalid),
    };
    let port = Some(u16::from_be_bytes([ports[2], ports[3]]));
    Ok(Said { client: Some(client), port, tls: speaks_tls(rest)?, length })
}

/// What the additional values say of TLS; all of them have to fit, to the last byte.
fn speaks_tls(mut values: &[u8]) -> Result<bool, Fault> {
    let mut tls = None;
    while let Some((head, rest)) = values.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let value = rest.get(..length).ok_or(Fault::Invalid)?;
        if head[0] == TLV_TLS {
            let said = value.first().ok_or(Fault::Invalid)? & CLIENT_TLS != 0;
            // Said twice, it could be said in two ways.
            if tls.replace(said).is_some() {
                return Err(Fault::Invalid);
            }
        }
        values = &rest[length..];
    }
    if values.is_empty() { Ok(tls.unwrap_or(false)) } else { Err(Fault::Invalid) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb];

    fn client(bytes: &[u8]) -> Result<Option<IpAddr>, Fault> {
        parse(bytes).map(|said| said.client)
    }

    /// G10
    #[test]
    fn both_versions_name_the_client() {
        let four = Some("203.0.113.7".parse().unwrap());
        let six = Some("2001:db8::7".parse().unwrap());
        assert_eq!(client(b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\nGET /"), Ok(four));
        assert_eq!(client(b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n"), Ok(six));
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), Ok(None));
        assert_eq!(client(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), Ok(None));
        assert_eq!(client(&block(1, 0x11, &V4)), Ok(four));
        assert_eq!(client(&block(0, 0x11, &V4)), Ok(None), "LOCAL");
        let mut long = six.map(|address: IpAddr| match address {
            IpAddr::V6(address) => address.octets().to_vec(),
            IpAddr::V4(_) => unreachable!("it is written above"),
        });
        long.as_mut().unwrap().extend([0; 20]);
        assert_eq!(client(&block(1, 0x21, &long.unwrap())), Ok(six));
    }

    /// HD-026
    #[test]
    fn the_port_that_the_client_connected_to_is_told() {
        let port = |bytes: &[u8]| parse(bytes).unwrap().port;
        assert_eq!(port(b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 8443\r\n"), Some(8443));
        assert_eq!(port(&block(1, 0x11, &V4)), Some(443));
        assert_eq!(port(&block(1, 0x21, &[[7; 34].as_slice(), &[1, 0xbb]].concat())), Some(443));
        assert_eq!((port(b"PROXY UNKNOWN\r\n"), port(&block(0, 0x11, &V4))), (None, None));
    }

    #[test]
    fn tls_on_the_other_side_is_told() {
        let with = |values: &[u8]| parse(&block(1, 0x11, &[&V4[..], values].concat())).map(|said| said.tls);
        assert_eq!(with(&[0x20, 0, 5, 1, 0, 0, 0, 0]), Ok(true));
        assert_eq!(with(&[0x04, 0, 1, 0, 0x20, 0, 5, 0, 0, 0, 0, 0]), Ok(false));
        assert_eq!(with(&[0x01, 0, 2, b'h', b'2']), Ok(false));
    }

    /// HD-032
    #[test]
    fn what_is_no_header_is_refused() {
        for line in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 \r\n",
            b"PROXY TCP4  203.0.113.7 10.0.0.1 4711 443\r\n",
            b"PROXY TCP4 2001:db8::7 ::1 4711 443\r\n",
            b"PROXY TCP6 203.0.113.7 10.0.0.1 4711 443\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 +1 443\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 1 66000\r\n",
            b"PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n",
            b"proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n",
            &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
        ] {
            assert_eq!(client(line), Err(Fault::Invalid), "{:?}", String::from_utf8_lossy(line));
        }
        for bytes in [
            block(2, 0x11, &V4),
            block(1, 0x12, &V4),
            block(1, 0x31, &[0; 216]),
            block(1, 0x11, &V4[..11]),
            block(1, 0x21, &V4),
            block(1, 0x11, &[&V4[..], &[0x20, 0, 9, 1]].concat()),
            block(1, 0x11, &[&V4[..], &[0x04, 0]].concat()),
            block(1, 0x11, &[&V4[..], &[0x20, 0, 0]].concat()),
            block(1, 0x11, &[&V4[..], &[0x20, 0, 1, 0, 0x20, 0, 1, 1]].concat()),
            block(1, 0x11, &[&V4[..], &[0x20, 0, 1, 1, 0x20, 0, 1, 1]].concat()),
            block(1, 0x11, &[0; 5000]),
        ] {
            assert_eq!(client(&bytes), Err(Fault::Invalid), "{bytes:?}");
        }
        let mut other = block(1, 0x11, &V4);
        other[12] = 0x11;
        assert_eq!(client(&other), Err(Fault::Invalid), "another version");
    }

    /// HD-032: in any two pieces it is the same header.
    #[test]
    fn a_header_that_is_split_is_waited_for() {
        for whole in [b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(), block(1, 0x11, &V4)] {
            for length in 0..whole.len() {
                assert_eq!(client(&whole[..length]), Err(Fault::Incomplete), "{length} of {whole:?}");
            }
            assert_eq!(parse(&whole).unwrap().length, whole.len());
        }
    }

    proptest! {
        /// HD-032: no bytes make it panic, and none are claimed that did not come.
        #[test]
        fn any_bytes_are_read_or_refused(
            start in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE]),
            rest in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let bytes = [start, &rest].concat();
            if let Ok(said) = parse(&bytes) {
                prop_assert!(said.length <= bytes.len());
            }
        }
    }
}
