//! Counts the steps on the way (1xx) that an app sends before its answer.
//!
//! hyper passes over them one by one and for as long as they come, and nothing in the answer shows how
//! many there were. So they are counted where they come in, and a connection on which too many came before
//! one answer ends with an error (EX-007).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

/// More than any honest answer has before it.
const MOST_STEPS: u32 = 64;
/// No answer is waited for, or it has begun: what comes is a body.
const NOT_WAITING: u32 = u32::MAX;

/// How many steps may still come before the answer.
#[derive(Debug, Clone)]
pub(super) struct StepsLeft(Arc<AtomicU32>);

impl StepsLeft {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(NOT_WAITING)))
    }

    /// To be called before a request is sent.
    pub(super) fn begin(&self) {
        self.0.store(MOST_STEPS, Ordering::Release);
    }

    /// To be called when the connection no longer speaks HTTP.
    pub(super) fn end(&self) {
        self.0.store(NOT_WAITING, Ordering::Release);
    }

    /// Looks at what came; the error says that it is too much.
    fn count(&self, fresh: &[u8]) -> io::Result<()> {
        let mut left = self.0.load(Ordering::Acquire);
        if left == NOT_WAITING {
            return Ok(());
        }
        let mut rest = fresh;
        while rest.starts_with(b"HTTP/1.1 1") || rest.starts_with(b"HTTP/1.0 1") {
            left = left.checked_sub(1).ok_or_else(|| io::Error::other("too many steps on the way to an answer"))?;
            rest = memmem::find(rest, b"\r\n\r\n").map_or(&[], |end| &rest[end + 4..]);
        }
        // What begins in another way is the answer, or the rest of a step that came in pieces.
        let answered = rest.starts_with(b"HTTP/1.");
        self.0.store(if answered { NOT_WAITING } else { left }, Ordering::Release);
        Ok(())
    }
}

/// What comes from an app, with its steps counted.
#[derive(Debug)]
pub(super) struct Counted<S> {
    pub(super) stream: S,
    pub(super) left: StepsLeft,
    /// Free when the descriptor is: not when somebody finds out that the app had closed, and not when the
    /// connection has become a tunnel.
    pub(super) _place: OwnedSemaphorePermit,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.left.count(&buf.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
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
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n";

    /// EX-007
    #[test]
    fn steps_are_counted_as_far_as_the_answer() {
        let left = StepsLeft::new();
        left.count(&STEP.repeat(1000)).expect("nobody waits for an answer");
        for _request in 0..3 {
            left.begin();
            let half = MOST_STEPS as usize / 2;
            left.count(&STEP.repeat(half)).unwrap();
            left.count(&[STEP.repeat(half), ANSWER.to_vec(), STEP.repeat(1000)].concat()).unwrap();
            left.count(&STEP.repeat(1000)).expect("a body may hold anything");
        }
        left.begin();
        left.count(&STEP.repeat(MOST_STEPS as usize)).unwrap();
        assert!(left.count(STEP).is_err());
        left.begin();
        assert!((0..1000).any(|_| left.count(&STEP[..20]).and_then(|()| left.count(&STEP[20..])).is_err()));
    }
}
