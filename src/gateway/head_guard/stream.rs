//! The scanner around a socket: hyper reads what may pass, and nothing else.
//!
//! What comes is read into hyper's own buffer and looked at there. Only a head that has not come to its
//! end is copied aside, and handed on when it is whole; a client that sends its heads in one piece costs
//! no copy and no allocation.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::scanner::{End, Limits, Scanner};
use crate::gateway::visit::Peer;

/// The placeholder: what hyper reads where a head is refused. The target is one that no app is ever asked for,
/// because what it consists of has to be percent-encoded.
const REFUSED_REQUEST: &[u8] = b"GET /{refused} HTTP/1.1\r\nConnection: close\r\n\r\n";
pub(in crate::gateway) const REFUSED_PATH: &str = "/{refused}";

/// How long a client that is refused may go on sending before its connection is dropped. Closed at once,
/// it would be reset while it writes, and could lose the answer that it was sent.
const LINGER: Duration = Duration::from_secs(1);

/// One client's connection, guarded.
#[derive(Debug)]
pub struct HeadGuard<S> {
    stream: S,
    peer: Peer,
    scanner: Scanner,
    /// What came and was not handed on; the first `cleared` bytes of it may be.
    held: BytesMut,
    cleared: usize,
    ending: Ending,
    /// Hints that were begun to be written: the rest of them comes before anything else.
    hints: BytesMut,
    lingering: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The connection is open.
    Open,
    /// A head was refused; so much of the placeholder was handed on.
    Refused { handed: usize },
    /// A body broke its framing: hyper is to see the end of the connection.
    Broken,
}

impl<S> HeadGuard<S> {
    /// `peer` learns why a head was refused, and says when the connection has become a tunnel.
    pub fn new(stream: S, peer: Peer, limits: Limits) -> Self {
        Self {
            stream,
            peer,
            scanner: Scanner::new(limits),
            held: BytesMut::new(),
            cleared: 0,
            ending: Ending::Open,
            hints: BytesMut::new(),
            lingering: None,
        }
    }

    /// Looks at what hyper's buffer was given behind `before`, and leaves there what may be read.
    fn sift(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let fresh = &buf.filled()[before..];
        if !self.peer.sends_messages() {
            // A tunnel has no heads.
            return;
        }
        if self.held.is_empty() {
            let scan = self.scanner.scan(fresh);
            self.held.extend_from_slice(&fresh[scan.pass..]);
            buf.set_filled(before + scan.pass);
            self.conclude(scan.end, scan.upgrade);
        } else {
            self.held.extend_from_slice(fresh);
            buf.set_filled(before);
            let scan = self.scanner.scan(&self.held);
            self.cleared = scan.pass;
            self.conclude(scan.end, scan.upgrade);
        }
    }

    fn conclude(&mut self, end: Option<End>, upgrade: bool) {
        match end {
            None => {}
            Some(End::Head(fault)) => {
                self.peer.refuse(fault);
                self.ending = Ending::Refused { handed: 0 };
                self.held.truncate(self.cleared);
            }
            Some(End::Body) => {
                self.ending = Ending::Broken;
                self.held.truncate(self.cleared);
            }
        }
        if upgrade {
            self.peer.asks_for_a_tunnel();
        }
    }

    /// Hands on what was held back and may pass now.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) {
        let part = self.cleared.min(buf.remaining());
        buf.put_slice(&self.held[..part]);
        self.held.advance(part);
        self.cleared -= part;
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }
}

impl<S: AsyncRead + Unpin> HeadGuard<S> {
    /// Reads and drops whatever comes, until nothing more does.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        loop {
            let mut dropped = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut dropped))?;
            if dropped.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        loop {
            if this.cleared > 0 {
                this.hand_over(buf);
                return Poll::Ready(Ok(()));
            }
            match &mut this.ending {
                Ending::Open => {}
                Ending::Refused { handed } if *handed < REFUSED_REQUEST.len() => {
                    let part = buf.remaining().min(REFUSED_REQUEST.len() - *handed);
                    buf.put_slice(&REFUSED_REQUEST[*handed..*handed + part]);
                    *handed += part;
                    return Poll::Ready(Ok(()));
                }
                Ending::Refused { .. } => {
                    // The end of the connection would be taken for a client that does not wait for its answer.
                    return match this.poll_discard(cx) {
                        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                    };
                }
                Ending::Broken => return Poll::Ready(Ok(())),
            }
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            this.sift(buf, before);
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> HeadGuard<S> {
    /// Writes hints that were begun.
    fn poll_hints(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.hints.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.hints))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.hints.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_hints(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_hints(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // hyper flushes only what it has written whole: this is between two answers, or before the first.
        if let Some(hints) = this.peer.hints().take() {
            this.hints.extend_from_slice(&hints);
        }
        ready!(this.poll_hints(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(this.poll_hints(cx))?;
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.scanner.is_inside() {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let over = lingering.as_mut().poll(cx);
        match this.poll_discard(cx) {
            Poll::Ready(_) => Poll::Ready(Ok(())),
            Poll::Pending => over.map(Ok),
        }
    }
}
