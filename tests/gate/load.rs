//! Clients of every kind that keep asking while something is done to the gate, and what they saw.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::frames::{DATA, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, status};
use crate::locum::Locum;
use crate::reload::{KeptOpen, value_of};
use crate::websockets;

/// What the clients have seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) answers: usize,
    /// Connections that ended between two requests, or said that they would, and were opened anew.
    pub(crate) reopened: usize,
    /// The longest that anybody waited for an answer, or for a WebSocket to be open.
    pub(crate) longest: Duration,
    /// WebSockets that were told to come back (1012).
    pub(crate) told: usize,
    /// Messages that came on WebSockets.
    pub(crate) messages: usize,
    pub(crate) failures: Vec<String>,
}

impl Seen {
    fn answered(&mut self, status: u16, asked: Instant) {
        self.answers += 1;
        self.longest = self.longest.max(asked.elapsed());
        if status != 200 {
            self.failures.push(format!("answered {status}"));
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.answers += other.answers;
        self.reopened += other.reopened;
        self.longest = self.longest.max(other.longest);
        self.told += other.told;
        self.messages += other.messages;
        self.failures.extend(other.failures);
        self
    }
}

/// Asks on one connection after the other, as long as `going_on`. A connection that was used and ends without a byte
/// of an answer is opened anew, as RFC 9112 §9.3.1 has it; a fresh one that does so is a failure.
fn keep_asking(gate: &Locum, basic: &str, going_on: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while going_on.load(Ordering::Relaxed) {
        let mut kept = KeptOpen::to(gate);
        let mut used = false;
        while going_on.load(Ordering::Relaxed) {
            let asked = Instant::now();
            match kept.try_get("app.test", "/x", basic) {
                Ok((status, last)) => {
                    seen.answered(status, asked);
                    used = true;
                    if last {
                        break;
                    }
                }
                Err(error) => {
                    seen.failures.push(format!("{error} (used before: {used})"));
                    break;
                }
            }
        }
        seen.reopened += 1;
    }
    seen
}

/// A connection for each request; nothing is ever tried again.
fn keep_connecting(gate: &Locum, basic: &str, going_on: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while going_on.load(Ordering::Relaxed) {
        let asked = Instant::now();
        match KeptOpen::to(gate).try_get("app.test", "/x", &format!("{basic}Connection: close\r\n")) {
            Ok((status, _)) => seen.answered(status, asked),
            Err(error) => seen.failures.push(format!("{error} on a connection of its own")),
        }
    }
    seen
}

/// The same over HTTP/2: a stream that GOAWAY leaves out is opened again on another connection (RFC 9113 §6.8).
fn keep_streaming(gate: &Locum, basic: &str, going_on: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", "/x")];
    let fields = [&fields[..], &[("authorization", value_of(basic))]].concat();
    while going_on.load(Ordering::Relaxed) {
        let mut frames = Frames::connect(gate.address());
        let mut last = u32::MAX;
        for stream in (1..).step_by(2) {
            if !going_on.load(Ordering::Relaxed) || last != u32::MAX {
                break;
            }
            let asked = Instant::now();
            frames.request(stream, &fields);
            loop {
                match frames.of(stream) {
                    Some(frame) if frame.kind == HEADERS => {
                        seen.answered(status(&frame.payload), asked);
                        if frame.flags & END_STREAM != 0 {
                            break;
                        }
                    }
                    Some(frame) if frame.kind == DATA => {
                        if frame.flags & END_STREAM != 0 {
                            break;
                        }
                    }
                    Some(frame) if frame.kind == GOAWAY => {
                        last = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                        if last < stream {
                            break;
                        }
                    }
                    Some(frame) if frame.kind == RST_STREAM => {
                        seen.failures.push(format!("stream {stream} was reset: {:?}", frame.payload));
                        break;
                    }
                    Some(_) => {}
                    None => {
                        seen.failures.push(format!("the connection ended at stream {stream} without a word"));
                        last = 0;
                        break;
                    }
                }
            }
        }
        seen.reopened += 1;
    }
    seen
}

/// Runs clients of each kind around `work`, and answers with what they saw. The app is that of [`websockets::app`].
pub(crate) fn under_load(gate: &Locum, basic: &str, work: impl FnOnce()) -> Seen {
    let going_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(scope.spawn(|| keep_asking(gate, basic, &going_on)));
            clients.push(scope.spawn(|| keep_connecting(gate, basic, &going_on)));
            clients.push(scope.spawn(|| keep_streaming(gate, basic, &going_on)));
            clients.push(scope.spawn(|| websockets::keep_talking(gate, basic, &going_on)));
            clients.push(scope.spawn(|| websockets::keep_listening(gate, basic, &going_on)));
            clients.push(scope.spawn(|| websockets::keep_talking_over_http2(gate, basic, &going_on)));
            clients.push(scope.spawn(|| websockets::keep_listening_over_http2(gate, basic, &going_on)));
        }
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        going_on.store(false, Ordering::Relaxed);
        let seen = clients.into_iter().map(|client| client.join().unwrap()).fold(Seen::default(), Seen::and);
        if let Err(panic) = worked {
            std::panic::resume_unwind(panic);
        }
        seen
    })
}
