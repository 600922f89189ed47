//! One connection of HTTP/2: how it begins, how many streams run on it, and when it takes no more.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::gateway::frame_guard::{FrameGuard, PeerIs};
use crate::gateway::upstream::Instance;
use crate::gateway::upstream::connect::AppStream;

/// How many streams run on one connection at once, if the app allows so many.
const MOST_STREAMS: usize = 100;
/// How much of one answer may be on its way before the client has taken it. That of a connection is enough for all of
/// its streams, or one client that takes nothing would stop the others.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 100;
/// How much of a request's body waits for an app that reads slowly.
const SEND_BUFFER: usize = 64 * 1024;
/// The largest head or trailers of an answer, as HPACK counts them.
const HEAD_BYTES: u32 = 64 * 1024;
/// Streams that were given up and of which frames may still be on their way.
const REMEMBERED_RESETS: usize = 256;
/// An app that takes nothing of what the kernel has for it, or is silent to the kernel's questions, is gone.
const DEAD_AFTER: Duration = Duration::from_mins(1);
const ASKED_AFTER: Duration = Duration::from_secs(30);
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// An open connection. Dropped, it is closed; each of its streams holds it.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    running: AtomicUsize,
    draining: AtomicBool,
    /// Somebody has told that it broke.
    lost: AtomicBool,
    born: Instant,
    /// Milliseconds after `born` at which the last stream ended.
    silent_since: AtomicU64,
    task: AbortHandle,
}

impl Connection {
    /// Begins to speak on a connection, which holds its place until it has ended.
    ///
    /// # Errors
    /// A slug for the log.
    pub(super) async fn begin(
        stream: AppStream,
        instance: &Instance,
        place: OwnedSemaphorePermit,
        limit: Duration,
    ) -> Result<Self, &'static str> {
        watch(tcp_of(&stream)).map_err(|_| "connect")?;
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(MOST_STREAMS)
            .max_header_list_size(HEAD_BYTES)
            .max_send_buffer_size(SEND_BUFFER)
            .max_concurrent_reset_streams(REMEMBERED_RESETS)
            .enable_push(false);
        let handshake = timeout(limit, builder.handshake::<_, Bytes>(FrameGuard::new(stream, PeerIs::App))).await;
        let (sender, connection) = handshake.map_err(|_| "connect_timeout")?.map_err(|_| "connect")?;
        let upstream = Arc::clone(instance.authority());
        let task = tokio::spawn(async move {
            let ended = connection.await;
            drop(place);
            if let Err(error) = ended {
                tracing::debug!(%error, %upstream, "an app's connection of HTTP/2 ended with an error");
            }
        });
        Ok(Self {
            sender,
            running: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            born: Instant::now(),
            silent_since: AtomicU64::new(0),
            task: task.abort_handle(),
        })
    }

    /// Whether new streams may be begun on it, now or later.
    pub(super) fn is_open(&self) -> bool {
        let ready = self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
        !self.draining.load(Ordering::Relaxed) && !self.task.is_finished() && !matches!(ready, Poll::Ready(Err(_)))
    }

    /// How many streams run on it; `None` when it has no room for one more.
    pub(super) fn load(&self) -> Option<usize> {
        let running = self.running.load(Ordering::Relaxed);
        (running < MOST_STREAMS.min(self.sender.current_max_send_streams())).then_some(running)
    }

    /// Takes room for one stream.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        self.running.fetch_add(1, Ordering::Relaxed);
        Place { connection: Arc::clone(self), sender: self.sender.clone() }
    }

    /// For how long no stream has run on it; `None` while one does.
    pub(super) fn silent_for(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.silent_since.load(Ordering::Relaxed));
        (self.running.load(Ordering::Relaxed) == 0).then(|| self.born.elapsed().saturating_sub(since))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The room of one stream on a connection, until it is dropped.
pub(in crate::gateway::upstream) struct Place {
    connection: Arc<Connection>,
    pub(super) sender: SendRequest<Bytes>,
}

impl Place {
    /// No further stream is begun on this connection: the app may have gone without a word.
    pub(super) fn doubt(&self) {
        self.connection.draining.store(true, Ordering::Relaxed);
    }

    /// Whether this is the first to tell that the connection broke, which is one failure however many ran on it.
    pub(super) fn tells_of_the_end(&self) -> bool {
        !self.connection.lost.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = u64::try_from(self.connection.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.connection.silent_since.store(now, Ordering::Relaxed);
        self.connection.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn tcp_of(stream: &AppStream) -> &TcpStream {
    match stream {
        AppStream::Left(tcp) => tcp,
        AppStream::Right(tls) => tls.get_ref().0,
    }
}

/// A connection that many share has to be known to be dead before each of them has waited for it. PINGs are not the
/// way: servers of gRPC end a connection that sends more than one in five minutes.
fn watch(tcp: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(tcp);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(DEAD_AFTER))?;
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(ASKED_AFTER).with_interval(ASKED_EVERY))
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("running", &self.running).finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.connection).finish()
    }
}
