use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::gateway::client::Scheme;
use crate::gateway::visit::Peer;

const LIMITS: Limits = Limits { head_bytes: 64 * 1024, head_fields: 100 };

fn scan(bytes: &[u8]) -> Scan {
    Scanner::new(LIMITS).scan(bytes)
}

fn fault(bytes: &[u8]) -> Option<HeadFault> {
    match scan(bytes).end {
        Some(End::Head(fault)) => Some(fault),
        _ => None,
    }
}

/// What passes of bytes that come in two reads, in all.
fn in_two(bytes: &[u8], cut: usize) -> (usize, Option<End>) {
    let mut scanner = Scanner::new(LIMITS);
    let first = scanner.scan(&bytes[..cut]);
    if first.end.is_some() {
        return (first.pass, first.end);
    }
    let second = scanner.scan(&bytes[first.pass..]);
    (first.pass + second.pass, second.end)
}

/// H1-011, H1-012, H1-014, H1-016, H1-017, H1-018, H1-021, H1-024, H1-030, H1-054, H1-055
#[test]
fn a_head_that_can_be_read_in_two_ways_is_refused() {
    for (head, why) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", HeadFault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", HeadFault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", HeadFault::BareLf),
        ("\nGET / HTTP/1.1\r\n\r\n", HeadFault::BareLf),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", HeadFault::BareCr),
        ("GET / HTTP/1.1\r\n\r\r\n", HeadFault::BareCr),
        ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", HeadFault::LeadingLines),
        ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", HeadFault::Folded),
        ("GET / HTTP/1.1\r\n\tX: a\r\n\r\n", HeadFault::Folded),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadFault::Preface),
        ("GET / HTTP/1.2\r\n\r\n", HeadFault::Version),
        ("GET / http/1.1\r\n\r\n", HeadFault::Version),
        ("GET /\r\n\r\n", HeadFault::Version),
        ("GET /a#b HTTP/1.1\r\n\r\n", HeadFault::Fragment),
        ("GET /a?b#c HTTP/1.1\r\n\r\n", HeadFault::Fragment),
        ("GET http://a/#b HTTP/1.1\r\n\r\n", HeadFault::Fragment),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", HeadFault::Length),
        ("GET / HTTP/1.1\r\ncontent-length:\r\n\r\n", HeadFault::Length),
        ("GET / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", HeadFault::Length),
        ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", HeadFault::Length),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: ,chunked\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadFault::Coding),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", HeadFault::LengthAndCoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", HeadFault::LengthAndCoding),
        ("\x16\x03\x01", HeadFault::NotHttp),
        ("\0", HeadFault::NotHttp),
        ("\r\n(", HeadFault::NotHttp),
    ] {
        assert_eq!(fault(head.as_bytes()), Some(why), "{head:?}");
        assert_eq!(scan(head.as_bytes()).pass, 0, "{head:?}");
    }
}

/// H1-045, H1-046, H1-047: a head without end is refused as soon as it is too long, whole or not.
#[test]
fn a_head_that_is_too_large_is_refused_before_its_end() {
    let long = "a".repeat(70 * 1024);
    assert_eq!(fault(format!("GET /{long}").as_bytes()), Some(HeadFault::LineTooLong));
    assert_eq!(fault(format!("GET /{long} HTTP/1.1\r\n\r\n").as_bytes()), Some(HeadFault::LineTooLong));
    assert_eq!(fault(format!("GET / HTTP/1.1\r\nX: {long}").as_bytes()), Some(HeadFault::TooLarge));
    let many = "X: a\r\n".repeat(101);
    assert_eq!(fault(format!("GET / HTTP/1.1\r\n{many}").as_bytes()), Some(HeadFault::TooLarge));
}

#[test]
fn what_is_unusual_but_clear_passes() {
    for message in [
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /?a={|}\" HTTP/1.1\r\nX: #\r\n\r\n",
        "GET / HTTP/1.1\r\nCONTENT-LENGTH: \t5 \r\n\r\nhello",
        "POST / HTTP/1.1\r\ntransfer-encoding:CHUNKED\r\n\r\n5;a=\"b\"\r\nhello\r\n00\r\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length-X: 5\r\nTransfer-Encoding-X: a\r\nContent: b\r\nT: c\r\n\r\n",
    ] {
        assert_eq!(scan(message.as_bytes()), Scan { pass: message.len(), end: None, upgrade: false }, "{message:?}");
    }
}

/// H1-026, H1-027, H1-031: what passes ends with the byte that is wrong.
#[test]
fn a_body_that_breaks_its_framing_ends_what_is_handed_on() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (sound, wrong) in [
        ("", "\r\n"),
        ("0", "x5\r\nhello"),
        ("", "+5\r\nhello"),
        ("", " 5\r\nhello"),
        ("5", " \r\nhello"),
        ("5", "_0\r\nhello"),
        ("5", "\nhello"),
        ("5;a", "\nhello"),
        ("FFFFFFFFFFFFFFFF", "F\r\nhello"),
        ("5\r\nhello", "XX0\r\n"),
        ("5\r\nhello\r", "X0\r\n"),
        ("5\r\nhello", "\n0\r\n"),
        ("0\r\nX: a", "\nY: b\r\n\r\n"),
        ("0\r\n", "\n"),
        ("0\r\n\r", "X"),
    ] {
        let message = format!("{head}{sound}{wrong}GET /smuggled HTTP/1.1\r\n\r\n");
        let found = scan(message.as_bytes());
        assert_eq!(found.end, Some(End::Body), "{sound}{wrong:?}");
        assert_eq!(found.pass, head.len() + sound.len() + 1, "{sound}{wrong:?}");
    }
}

/// H1-062: what stands before a refused head passes.
#[test]
fn messages_before_a_refused_head_pass() {
    let good = "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n\r\n";
    let found = scan(format!("{good}GET /c HTTP/1.1\n\r\nGET /d HTTP/1.1\r\n\r\n").as_bytes());
    assert_eq!((found.pass, found.end), (good.len(), Some(End::Head(HeadFault::BareLf))));
}

#[test]
fn a_head_that_asks_for_another_protocol_is_named_when_nothing_follows() {
    let head = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    assert!(scan(head.as_bytes()).upgrade);
    assert!(!scan(format!("{head}\r\n").as_bytes()).upgrade);
    assert!(!scan(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n").upgrade);
    assert!(!scan(b"GET / HTTP/1.1\r\nX: y\r\n\r\n").upgrade);
}

/// UP-001: in a tunnel everything passes; but nothing becomes one behind which bytes have come already.
#[tokio::test]
async fn a_tunnel_is_not_looked_at_and_begins_with_nothing_in_it() {
    const ASKS: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    for (early, allowed) in [(&b""[..], true), (b"\x81\x05early", false), (b"GET / HTTP/1.1\r\n\r\n", false)] {
        let (mut client, server) = tokio::io::duplex(1024);
        let peer = Peer::new(std::net::Ipv4Addr::LOCALHOST.into(), Scheme::Http, 80);
        let mut guard = HeadGuard::new(server, peer.clone(), LIMITS);
        assert!(!peer.becomes_a_tunnel(), "nobody has asked yet");
        client.write_all(ASKS).await.unwrap();
        let mut read = vec![0; ASKS.len()];
        guard.read_exact(&mut read).await.unwrap();
        assert_eq!(read, ASKS);
        if !early.is_empty() {
            client.write_all(early).await.unwrap();
            guard.read_buf(&mut read).await.unwrap();
        }
        assert_eq!(peer.becomes_a_tunnel(), allowed, "{early:?}");
        if allowed {
            client.write_all(b"\x81\x05hello\n").await.unwrap();
            let mut frame = [0; 8];
            guard.read_exact(&mut frame).await.unwrap();
            assert_eq!(&frame, b"\x81\x05hello\n");
        }
    }
}

proptest! {
    /// However the bytes are cut, the same of them passes, and for the same reason no more.
    #[test]
    fn where_reads_end_changes_nothing(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "GET / HTTP/1.1\r\n", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "X: y\r\n", "\r\n",
                "abc", "3\r\nabc\r\n", "0\r\n\r\n", "0\r\nX: y\r\n\r\n", "\n", "\r", "3", ";", " ", "#", "\x16",
            ]),
            0..12,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = parts.concat().into_bytes();
        let whole = scan(&bytes);
        prop_assert_eq!(in_two(&bytes, cut.index(bytes.len() + 1)), (whole.pass, whole.end));
    }

    /// Any bytes whatever end in a number and perhaps a reason, never in a panic.
    #[test]
    fn every_noise_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(scan(&bytes).pass <= bytes.len());
    }
}
