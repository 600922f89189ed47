//! One request on its way through the stack, and its answer on the way back.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;

use super::body::Body;
use super::hangup::Hangup;
use super::record::{Decision, Record};
use super::refusal::{Format, Refusal};
use crate::clock::Timestamp;

/// A client, as its connection shows it.
#[derive(Debug, Clone)]
pub struct Peer {
    address: IpAddr,
    forwarded_for: HeaderValue,
    hangup: Hangup,
}

impl Peer {
    /// To be made once a connection. An IPv4 address inside an IPv6 one counts as itself.
    pub fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let text = address.to_string();
        let forwarded_for =
            HeaderValue::from_str(&text).expect("an address is written in digits, letters, dots and colons");
        Self { address, forwarded_for, hangup: Hangup::default() }
    }

    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// For whoever serves the connection: when to drop it.
    pub const fn hangup(&self) -> &Hangup {
        &self.hangup
    }

    /// The address as it stands in `X-Forwarded-For`.
    pub(super) const fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }
}

/// A request as the server hands it over.
#[derive(Debug)]
pub struct Arrival {
    pub peer: Peer,
    pub request: Request<Incoming>,
}

/// The id of one request: in the log, in the answer of a refusal, and told to the app.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().expect("an id is written in hexadecimal digits")
    }

    pub(super) const fn as_value(&self) -> &HeaderValue {
        &self.0
    }
}

/// Hands out ids: unique as long as no two processes share a run's number.
#[derive(Debug)]
pub(super) struct RequestIds {
    run: u32,
    core: u16,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) const fn new(run: u32, core: u16) -> Self {
        Self { run, core, next: AtomicU64::new(0) }
    }

    /// 24 hexadecimal digits: run, core, number.
    pub(super) fn next(&self) -> RequestId {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut rest = u128::from(self.run) << 64 | u128::from(self.core) << 48 | u128::from(number & 0xffff_ffff_ffff);
        let mut text = [0_u8; 24];
        for digit in text.iter_mut().rev() {
            *digit = DIGITS[(rest & 15) as usize];
            rest >>= 4;
        }
        RequestId(HeaderValue::from_bytes(&text).expect("hexadecimal digits make a header's value"))
    }
}

/// A request on its way inward, with what is known of it since it came in.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) request: Request<Incoming>,
    pub(super) peer: Peer,
    pub(super) id: RequestId,
    /// When it came in.
    pub(super) now: Timestamp,
    pub(super) record: Record,
}

impl Visit {
    /// Answers in the app's place.
    pub(super) fn refuse(self, refusal: &Refusal) -> Answered {
        let format = Format::preferred(self.request.headers());
        Answered::refused(refusal, format, &self.id, self.record)
    }
}

/// An answer on its way outward, with the record of how it came to be.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) response: Response<Body>,
    pub(super) record: Record,
}

impl Answered {
    pub(super) fn refused(refusal: &Refusal, format: Format, id: &RequestId, mut record: Record) -> Self {
        record.decision = refusal.decision();
        record.reason = Some(refusal.reason());
        Self { response: refusal.answer(format, id.as_str()), record }
    }

    /// An answer of the gateway's own that refuses nothing.
    pub(super) fn own(response: Response<Body>, mut record: Record) -> Self {
        record.decision = Decision::Own;
        Self { response, record }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_run_core_and_number() {
        let ids = RequestIds::new(0xdead_beef, 3);
        assert_eq!(ids.next().as_str(), "deadbeef0003000000000000");
        assert_eq!(ids.next().as_str(), "deadbeef0003000000000001");
    }

    #[test]
    fn a_mapped_address_counts_as_itself() {
        let peer = Peer::new("::ffff:192.0.2.7".parse().unwrap());
        assert_eq!(peer.forwarded_for(), "192.0.2.7");
    }
}
