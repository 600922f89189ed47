//! The steps on the way (1xx) that an app sends before its answer: counted, and hints taken out of them.
//!
//! hyper passes over them one by one and for as long as they come, and nothing in the answer shows how
//! many there were. So they are read where they come in, by the parser that hyper reads them with, and a
//! connection on which too many came before one answer ends with an error (EX-007). hyper would call back for each
//! one as well, for four allocations in every request; here a request without any costs a comparison.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use super::http1::{HEAD_BYTES, HEAD_FIELDS};
use crate::gateway::early_hints::EarlyHints;

/// More than any honest answer has before it.
const MOST_STEPS: u32 = 64;
/// No answer is waited for, or it has begun: what comes is a body.
const NOT_WAITING: u32 = u32::MAX;
/// How every step begins; `x` stands for any digit.
const BEGINNING: &[u8; 10] = b"HTTP/1.x 1";

/// The steps of the exchange that runs on one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How many may still come before the answer.
    left: AtomicU32,
    /// Whether somebody asks for hints.
    wanted: AtomicBool,
    /// Whether some have come that nobody has taken.
    come: AtomicBool,
    hints: Mutex<Vec<HeaderMap>>,
    asks: AtomicWaker,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            left: AtomicU32::new(NOT_WAITING),
            wanted: AtomicBool::new(false),
            come: AtomicBool::new(false),
            hints: Mutex::default(),
            asks: AtomicWaker::new(),
        }
    }
}

impl Steps {
    /// To be called before a request is sent.
    pub(super) fn begin(&self, wants_hints: bool) {
        // What nobody took of the request before belongs to nobody.
        if self.0.come.swap(false, Ordering::AcqRel) {
            self.hints().clear();
        }
        self.0.wanted.store(wants_hints, Ordering::Release);
        self.0.left.store(MOST_STEPS, Ordering::Release);
    }

    /// To be called when the connection no longer speaks HTTP.
    pub(super) fn end(&self) {
        self.0.left.store(NOT_WAITING, Ordering::Release);
    }

    /// Passes on what hints have come. True when there is something to write.
    pub(super) fn pass_hints(&self, to: &EarlyHints) -> bool {
        if !self.0.come.load(Ordering::Acquire) {
            return false;
        }
        self.0.come.store(false, Ordering::Release);
        let hints = mem::take(&mut *self.hints());
        // Each of them, and not only as far as the first.
        hints.into_iter().filter_map(|hint| to.tell(hint).then_some(())).count() > 0
    }

    /// Wakes whoever waits for the answer when a hint comes before it.
    pub(super) fn wake_for_hints(&self, cx: &Context<'_>) {
        self.0.asks.register(cx.waker());
        if self.0.come.load(Ordering::Acquire) {
            cx.waker().wake_by_ref();
        }
    }

    fn note(&self, head: &httparse::Response<'_, '_>) {
        let is_hint = head.code == Some(StatusCode::EARLY_HINTS.as_u16());
        if !is_hint || !self.0.wanted.load(Ordering::Acquire) {
            return;
        }
        let fields = head.headers.iter().filter_map(|field| {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(field.value).ok()?))
        });
        self.hints().push(fields.collect());
        self.0.come.store(true, Ordering::Release);
        self.0.asks.wake();
    }

    fn hints(&self) -> MutexGuard<'_, Vec<HeaderMap>> {
        // A list is whole after every step, so a panic elsewhere leaves nothing half done.
        self.0.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads steps as they come in, also in pieces.
#[derive(Debug, Default)]
struct Reader {
    steps: Steps,
    /// A step that has begun and is not whole.
    begun: Vec<u8>,
}

impl Reader {
    /// Looks at what came; the error says that it is too much.
    fn read(&mut self, fresh: &[u8]) -> io::Result<()> {
        let mut left = self.steps.0.left.load(Ordering::Acquire);
        if left == NOT_WAITING {
            return Ok(());
        }
        if self.begun.is_empty() && !may_be_a_step(fresh) {
            self.steps.end();
            return Ok(());
        }
        let looked_at = self.begun.len();
        self.begun.extend_from_slice(fresh);
        // A step in many small pieces is parsed when its end has come, and not with each of them.
        if looked_at > 0 && self.begun.len() <= HEAD_BYTES && !ends_a_head(&self.begun[looked_at.saturating_sub(3)..]) {
            return Ok(());
        }
        let mut at = 0;
        while may_be_a_step(&self.begun[at..]) {
            let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
            let mut head = httparse::Response::new(&mut fields);
            match head.parse(&self.begun[at..]) {
                Ok(httparse::Status::Partial) if self.begun.len() - at <= HEAD_BYTES => {
                    self.begun.drain(..at);
                    self.steps.0.left.store(left, Ordering::Release);
                    return Ok(());
                }
                Ok(httparse::Status::Complete(length)) if head.code != Some(101) => {
                    left = left.checked_sub(1).ok_or_else(|| io::Error::other("too many steps on the way"))?;
                    self.steps.note(&head);
                    at += length;
                }
                // A switch is an answer; and what cannot be read, hyper refuses.
                Ok(_) | Err(_) => break,
            }
        }
        self.begun = Vec::new();
        self.steps.end();
        Ok(())
    }
}

/// Whether an empty line is in it, however lines end.
fn ends_a_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// Whether this is the beginning of a step, or could become one. The parser passes over empty lines before it.
fn may_be_a_step(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let mut pairs = bytes[start..].iter().zip(BEGINNING);
    pairs.all(|(byte, expected)| byte == expected || *expected == b'x' && byte.is_ascii_digit())
}

/// What comes from an app, with its steps read on the way.
#[derive(Debug)]
pub(super) struct Stepped<S> {
    stream: S,
    reader: Reader,
    /// Free when the descriptor is: not when somebody finds out that the app had closed, and not when the
    /// connection has become a tunnel.
    _place: OwnedSemaphorePermit,
}

impl<S> Stepped<S> {
    pub(super) fn new(stream: S, steps: Steps, place: OwnedSemaphorePermit) -> Self {
        Self { stream, reader: Reader { steps, begun: Vec::new() }, _place: place }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stepped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.reader.read(&buf.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stepped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &[u8] = b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n";
    const HINT: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n";

    fn reader() -> Reader {
        let reader = Reader::default();
        reader.steps.begin(true);
        reader
    }

    fn hints(reader: &Reader) -> usize {
        mem::take(&mut *reader.steps.hints()).len()
    }

    /// EX-007
    #[test]
    fn steps_are_counted_as_far_as_the_answer() {
        let mut reader = Reader::default();
        reader.read(&STEP.repeat(1000)).expect("nobody waits for an answer");
        for _request in 0..3 {
            reader.steps.begin(true);
            let half = MOST_STEPS as usize / 2;
            reader.read(&STEP.repeat(half)).unwrap();
            reader.read(&[STEP.repeat(half), ANSWER.to_vec(), HINT.repeat(1000)].concat()).unwrap();
            reader.read(&HINT.repeat(1000)).expect("a body may hold anything");
            assert_eq!(hints(&reader), 0);
        }
        reader.steps.begin(true);
        reader.read(&STEP.repeat(MOST_STEPS as usize)).unwrap();
        assert!(reader.read(STEP).is_err());
    }

    /// EX-007: however its bytes are cut, and with empty lines between.
    #[test]
    fn no_piece_of_a_step_is_taken_for_the_answer() {
        for cut in 1..STEP.len() {
            let mut reader = reader();
            let mut pieces = || STEP.chunks(cut).try_for_each(|piece| reader.read(piece));
            for _ in 0..MOST_STEPS {
                pieces().unwrap();
            }
            assert!(pieces().is_err(), "pieces of {cut}");
        }
        let mut reader = reader();
        reader.read(&[b"\r\n", STEP].concat().repeat(MOST_STEPS as usize)).unwrap();
        assert!(reader.read(&[b"\n", STEP].concat()).is_err());
    }

    /// G1
    #[test]
    fn hints_are_taken_out_of_the_steps_when_somebody_asks() {
        for cut in 1..HINT.len() {
            let mut reader = reader();
            let said = [STEP, HINT, HINT, ANSWER, HINT].concat();
            said.chunks(cut).for_each(|piece| reader.read(piece).unwrap());
            assert_eq!(hints(&reader), 2, "pieces of {cut}");
            reader.steps.begin(false);
            reader.read(HINT).unwrap();
            assert_eq!(hints(&reader), 0);
        }
    }

    /// What hyper is to refuse is not kept here.
    #[test]
    fn a_step_without_end_is_not_kept() {
        let mut reader = reader();
        reader.read(b"HTTP/1.1 103 Early Hints\r\nLink: ").unwrap();
        for _ in 0..=(HEAD_BYTES / 1000) {
            reader.read(&[b'a'; 1000]).unwrap();
        }
        assert_eq!((reader.begun.len(), hints(&reader)), (0, 0));
    }
}
