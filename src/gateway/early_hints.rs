//! What an app says before its answer (`103 Early Hints`, RFC 8297), on its way to a client.
//!
//! hyper's server has no place for an answer before the answer. So over HTTP/1.1 hints wait beside the
//! connection, and what stands between hyper and the socket writes them when hyper flushes it: then hyper
//! has nothing left to write of any earlier answer, and as long as the request is not answered it has
//! nothing of this one. Hints that find no such moment are dropped, since they only ever save time.
//!
//! Over HTTP/2 a hint has to go through the encoder of the connection, which hyper keeps to itself: there
//! they are dropped. So are those for HTTP/1.0, which knows no answer before the answer (RFC 9110 §15.2).

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY, LINK, REFERRER_POLICY};
use http::{HeaderMap, HeaderName, Request, Version};

use super::hygiene;
use super::visit::Peer;

/// What is passed on: the links, and the policies under which a browser follows them. What else an app says
/// before its answer is nothing that a client should act on, and part of it (cookies) nothing that it may.
const PASSED: [HeaderName; 5] = [
    LINK,
    CONTENT_SECURITY_POLICY,
    CONTENT_SECURITY_POLICY_REPORT_ONLY,
    REFERRER_POLICY,
    HeaderName::from_static("cross-origin-embedder-policy"),
];

/// What a browser says of why it asks (Fetch Metadata, "The Sec-Fetch-Mode HTTP Request Header").
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// So many hints of one request are passed on, and so many bytes of all of them together.
const MOST: usize = 16;
const MOST_BYTES: usize = 16 * 1024;

/// The hints of the request that runs on a connection, until they are written.
#[derive(Debug, Default)]
pub(super) struct HintQueue {
    /// Whether there were any: what every flush asks, without a lock.
    used: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    unsent: Vec<u8>,
    count: usize,
    bytes: usize,
}

impl HintQueue {
    /// What is to be written before anything else. To be called only when nothing of an answer waits to be written.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        if !self.used.load(Ordering::Acquire) {
            return None;
        }
        Some(mem::take(&mut self.lock().unsent)).filter(|unsent| !unsent.is_empty())
    }

    fn add(&self, hint: &[u8]) -> bool {
        let mut told = self.lock();
        if told.count == MOST || told.bytes + hint.len() > MOST_BYTES {
            return false;
        }
        told.count += 1;
        told.bytes += hint.len();
        told.unsent.extend_from_slice(hint);
        self.used.store(true, Ordering::Release);
        true
    }

    fn forget(&self) {
        if self.used.swap(false, Ordering::AcqRel) {
            *self.lock() = Told::default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        // What is told is whole after every step, so a panic elsewhere leaves nothing half done.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way for hints to the client of one request that can take them. Dropped once the request is answered: what has
/// not been written by then never is.
#[derive(Debug)]
pub(super) struct EarlyHints(Peer);

impl EarlyHints {
    /// Only browsers on their way to a page follow links, and say that they are (Fetch Metadata). Programs get nothing of
    /// it, and many take the first answer for the last: the next caller on their connection would get this one's.
    pub(super) fn to_client_of<B>(request: &Request<B>, peer: &Peer) -> Option<Self> {
        let to_a_page = request.headers().get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate");
        (to_a_page && request.version() == Version::HTTP_11).then(|| Self(peer.clone()))
    }

    /// Passes a hint on, without what is not for the client. True when there is something to write: whoever waits for
    /// the answer then has to let the connection flush before it goes on.
    pub(super) fn tell(&self, mut fields: HeaderMap) -> bool {
        hygiene::clean_response(&mut fields);
        let mut hint = b"HTTP/1.1 103 Early Hints\r\n".to_vec();
        let status_line = hint.len();
        for (name, value) in fields.iter().filter(|(name, _)| PASSED.contains(name)) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                hint.extend_from_slice(part);
            }
        }
        if hint.len() == status_line {
            return false;
        }
        hint.extend_from_slice(b"\r\n");
        self.0.hints().add(&hint)
    }
}

impl Drop for EarlyHints {
    fn drop(&mut self) {
        self.0.hints().forget();
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::gateway::client::Scheme;

    fn peer() -> Peer {
        Peer::new([192, 0, 2, 7].into(), Scheme::Http, 80)
    }

    fn request(version: Version) -> Request<()> {
        let mut request = Request::new(());
        *request.version_mut() = version;
        request.headers_mut().insert(SEC_FETCH_MODE, HeaderValue::from_static("navigate"));
        request
    }

    fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn text(peer: &Peer) -> Option<String> {
        peer.hints().take().map(|unsent| String::from_utf8(unsent).unwrap())
    }

    /// G1
    #[test]
    fn only_what_a_client_may_act_on_is_passed_on() {
        let peer = peer();
        let hints = EarlyHints::to_client_of(&request(Version::HTTP_11), &peer).unwrap();
        let said = [
            ("link", "</a.css>; rel=preload"),
            ("link", "</b.js>; rel=preload"),
            ("set-cookie", "a=b"),
            ("x-locum-user", "root"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "referrer-policy"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'self'"),
        ];
        assert!(hints.tell(fields(&said)));
        let expected = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\
                        content-security-policy: default-src 'self'\r\n\r\n";
        assert_eq!(text(&peer).as_deref(), Some(expected));
        assert!(!hints.tell(fields(&[("set-cookie", "a=b")])), "nothing is left of it");
        assert!(!hints.tell(fields(&[("link", "</a>"), ("connection", "link")])), "it was for one hop");
        assert_eq!(text(&peer), None);
    }

    /// G1
    #[test]
    fn hints_have_a_bound_for_each_request() {
        let peer = peer();
        for _request in 0..2 {
            let hints = EarlyHints::to_client_of(&request(Version::HTTP_11), &peer).unwrap();
            let passed = (0..1000).filter(|_| hints.tell(fields(&[("link", "</a>")]))).count();
            assert_eq!(passed, MOST);
        }
        let hints = EarlyHints::to_client_of(&request(Version::HTTP_11), &peer).unwrap();
        assert!(!hints.tell(fields(&[("link", &"a".repeat(MOST_BYTES))])));
        assert!(hints.tell(fields(&[("link", &"a".repeat(MOST_BYTES / 2))])));
        assert!(!hints.tell(fields(&[("link", &"a".repeat(MOST_BYTES / 2))])));
    }

    /// G1
    #[test]
    fn none_is_left_behind_an_answer_nor_for_whoever_cannot_take_it() {
        let peer = peer();
        for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_2] {
            assert!(EarlyHints::to_client_of(&request(version), &peer).is_none(), "{version:?}");
        }
        let hints = EarlyHints::to_client_of(&request(Version::HTTP_11), &peer).unwrap();
        assert!(hints.tell(fields(&[("link", "</a>")])));
        drop(hints);
        assert_eq!(text(&peer), None);
    }
}
