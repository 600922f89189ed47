//! How fast a client takes what it is sent, looked at where it leaves: at the socket (DS-004).
//!
//! The kernel takes from us as long as it has room, and has none while the client takes nothing. So waiting for
//! the socket is waiting for the client, whatever protocol runs above, and nothing else is: an app that is silent
//! leaves nothing to be sent. To see a client that takes little the kernel may not hold megabytes back and be
//! silent until they are gone, so what it holds unsent is bounded too.

use std::io::{self, IoSlice};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::gateway::Pace;

/// How much the kernel holds that it has not sent yet, before it asks us to wait (Linux, `TCP_NOTSENT_LOWAT`).
pub(super) const UNSENT: u32 = 128 * 1024;

/// The half of a socket that is written to, whose client has to take what is sent.
#[derive(Debug)]
pub(super) struct Taken {
    tcp: OwnedWriteHalf,
    /// `None`: it may take as little as it likes.
    pace: Option<Pace>,
    timer: Option<Pin<Box<Sleep>>>,
    blocked: Arc<Blocked>,
}

impl Taken {
    pub(super) fn new(tcp: OwnedWriteHalf, limit: Duration, rate: Option<NonZeroU32>) -> Self {
        let pace = rate.map(|rate| Pace::new(limit, Some(rate)));
        Self { tcp, pace, timer: None, blocked: Arc::new(Blocked::new()) }
    }

    pub(super) fn blocked(&self) -> Arc<Blocked> {
        Arc::clone(&self.blocked)
    }

    /// What became of an attempt to write, unless the client has taken too little for too long.
    fn judge(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(pace) = &mut self.pace else { return written };
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.blocked.ends();
                pace.moved(bytes, |since| since.elapsed());
                return written;
            }
            Poll::Ready(Err(_)) => return written,
            Poll::Pending => {}
        }
        if self.blocked.begins() {
            let now = Instant::now();
            pace.waits(now);
            let until = pace.until(UNSENT as usize).unwrap_or(now);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(sleep_until(until))),
            }
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            metrics::counter!("locum_connections_slow_total").increment(1);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes too little")));
        }
        Poll::Pending
    }
}

/// For how long the socket of a connection has had no room, all together: what waits behind it then waits for the
/// connection as a whole.
#[derive(Debug)]
pub(super) struct Blocked {
    epoch: Instant,
    /// Milliseconds since the epoch, and one more; 0 while there is room.
    since: AtomicU64,
    /// Milliseconds.
    before: AtomicU64,
}

impl Blocked {
    fn new() -> Self {
        Self { epoch: Instant::now(), since: AtomicU64::new(0), before: AtomicU64::new(0) }
    }

    /// Whether it was free until now.
    fn begins(&self) -> bool {
        let free = self.since.load(Ordering::Relaxed) == 0;
        if free {
            self.since.store(self.now() + 1, Ordering::Relaxed);
        }
        free
    }

    fn ends(&self) {
        if self.since.load(Ordering::Relaxed) != 0 {
            self.before.store(self.milliseconds(), Ordering::Relaxed);
            self.since.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn so_far(&self) -> Duration {
        Duration::from_millis(self.milliseconds())
    }

    fn milliseconds(&self) -> u64 {
        let before = self.before.load(Ordering::Relaxed);
        match self.since.load(Ordering::Relaxed) {
            0 => before,
            since => before + (self.now() + 1).saturating_sub(since),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

impl AsyncWrite for Taken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.judge(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.judge(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
