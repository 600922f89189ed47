//! One request on its way through the stack, and its answer on the way back.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;

use super::body::Body;
use super::client::{Client, Scheme};
use super::early_hints::HintQueue;
use super::hangup::Hangup;
use super::head_guard::{HeadFault, REFUSED_PATH};
use super::record::{Decision, Record};
use super::refusal::{Format, Refusal};
use super::spans::Trace;
use super::trailers::Terms;
use super::tunnel::UpgradeRequest;
use crate::clock::Timestamp;

/// Whoever is at the other end of a connection: a client, or a proxy.
#[derive(Debug, Clone)]
pub struct Peer {
    connection: Arc<Connection>,
}

/// What all requests of one connection share.
#[derive(Debug)]
struct Connection {
    address: IpAddr,
    forwarded_for: HeaderValue,
    scheme: Scheme,
    port: u16,
    /// Why the head was refused that ended it.
    fault: OnceLock<HeadFault>,
    tunnel: AtomicU8,
    hints: HintQueue,
}

/// Messages go over the connection.
const MESSAGES: u8 = 0;
/// The last of them asks for another protocol, and nothing has come behind it.
const ASKED: u8 = 1;
/// Another protocol goes over it, of which the gateway knows nothing.
const TUNNEL: u8 = 2;

impl Peer {
    /// To be made once a connection, with the port that was connected to. An IPv4 address inside an IPv6 one counts as
    /// itself.
    pub fn new(address: IpAddr, scheme: Scheme, port: u16) -> Self {
        let address = address.to_canonical();
        let connection = Connection {
            address,
            forwarded_for: written(address),
            scheme,
            port,
            fault: OnceLock::new(),
            tunnel: AtomicU8::new(MESSAGES),
            hints: HintQueue::default(),
        };
        Self { connection: Arc::new(connection) }
    }

    pub fn address(&self) -> IpAddr {
        self.connection.address
    }

    /// How the connection is spoken on.
    pub fn scheme(&self) -> Scheme {
        self.connection.scheme
    }

    /// The port that was connected to.
    pub fn port(&self) -> u16 {
        self.connection.port
    }

    /// Ends the reading of messages, before the answer is sent that switches to another protocol. False
    /// when the client did not wait for that answer: what it has sent already is then in doubt, and the
    /// switch is to be refused (UP-001).
    #[must_use]
    pub fn becomes_a_tunnel(&self) -> bool {
        self.connection.tunnel.compare_exchange(ASKED, TUNNEL, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// For the head guard: the last head asks for another protocol.
    pub(super) fn asks_for_a_tunnel(&self) {
        self.connection.tunnel.store(ASKED, Ordering::Release);
    }

    /// For the head guard: more has come. Whether it is messages.
    pub(super) fn sends_messages(&self) -> bool {
        let tunnel = &self.connection.tunnel;
        match tunnel.load(Ordering::Acquire) {
            MESSAGES => true,
            ASKED => tunnel.compare_exchange(ASKED, MESSAGES, Ordering::AcqRel, Ordering::Acquire).is_ok(),
            _ => false,
        }
    }

    /// For the head guard: a head was refused, and its placeholder is the last request of the connection.
    pub(super) fn refuse(&self, fault: HeadFault) {
        // The first one stands; after it nothing is read any more.
        let _first = self.connection.fault.set(fault);
    }

    /// Why the request is to be refused whatever it says: it is the placeholder of one that was not read.
    pub(super) fn fault_of<B>(&self, request: &Request<B>) -> Option<HeadFault> {
        let fault = *self.connection.fault.get()?;
        (request.uri().path() == REFUSED_PATH).then_some(fault)
    }

    /// What is to be written before the answer, over HTTP/1.1.
    pub(super) fn hints(&self) -> &HintQueue {
        &self.connection.hints
    }

    /// The address as it stands in `X-Forwarded-For`.
    pub(super) fn forwarded_for(&self) -> &HeaderValue {
        &self.connection.forwarded_for
    }
}

/// An address as the value of a header.
pub(super) fn written(address: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&address.to_string()).expect("an address is written in digits, letters, dots and colons")
}

/// A request as the server hands it over.
#[derive(Debug)]
pub struct Arrival {
    pub peer: Peer,
    /// Where whoever serves the request learns that it is to be dropped.
    pub hangup: Hangup,
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
    pub(super) client: Client,
    pub(super) hangup: Hangup,
    pub(super) id: RequestId,
    /// When it came in.
    pub(super) now: Timestamp,
    /// What the client said of trailers.
    pub(super) trailers: Terms,
    /// Its place in a trace; `None`: nobody wants traces.
    pub(super) trace: Option<Arc<Trace>>,
    /// Why it is to be refused unread.
    pub(super) fault: Option<HeadFault>,
    /// That it would like to become a tunnel.
    pub(super) upgrade: Option<UpgradeRequest>,
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
        let peer = Peer::new("::ffff:192.0.2.7".parse().unwrap(), Scheme::Http, 80);
        assert_eq!(peer.forwarded_for(), "192.0.2.7");
    }
}
