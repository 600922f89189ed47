//! Both directions of a tunnel, and the ways in which it ends.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::frames::Boundaries;
use super::lane::{Broken, Lane};
use crate::cluster::Guard;
use crate::gateway::upstream::AppSide;

/// How long a WebSocket may be silent of which one side has hung up: its protocol knows no such state.
const HALF_CLOSED: Duration = Duration::from_mins(1);
/// How long a client may take for the goodbye, and then for its own.
const GOODBYE: Duration = Duration::from_millis(500);
const LINGER: Duration = Duration::from_secs(1);

/// Why a tunnel ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client had left before.
    NeverBegan,
    /// Both sides have said their last.
    Closed,
    Client(std::io::Error),
    App(std::io::Error),
    /// The access was withdrawn, or ran out.
    Cut,
    /// The gateway ends, or starts anew.
    Drained,
    Idle,
}

impl End {
    pub(super) const fn slug(&self) -> &'static str {
        match self {
            Self::NeverBegan => "never_began",
            Self::Closed => "closed",
            Self::Client(_) => "client",
            Self::App(_) => "app",
            Self::Cut => "cut",
            Self::Drained => "drained",
            Self::Idle => "idle",
        }
    }

    /// What a WebSocket is told (RFC 6455 §7.4.1, and 1012 of its registry); nothing where it knows.
    const fn code(&self) -> Option<(u16, &'static str)> {
        match self {
            Self::Cut => Some((1008, "access withdrawn")),
            Self::Drained => Some((1012, "the gateway restarts")),
            Self::Idle => Some((1001, "silent for too long")),
            Self::App(_) => Some((1011, "the application failed")),
            Self::NeverBegan | Self::Closed | Self::Client(_) => None,
        }
    }
}

/// What runs.
pub(super) struct Relay {
    client: TokioIo<Upgraded>,
    app: AppSide,
    to_app: Lane,
    to_client: Lane,
    idle: Duration,
}

impl Relay {
    /// `boundaries` for a WebSocket.
    pub(super) fn new(client: TokioIo<Upgraded>, app: AppSide, boundaries: Option<Boundaries>, idle: Duration) -> Self {
        let to_client = Lane::followed_by(boundaries);
        Self { client, app, to_app: Lane::default(), to_client, idle }
    }

    /// Runs to the end.
    pub(super) async fn run(&mut self, guard: Option<&Guard>, draining: impl Future<Output = ()>) -> End {
        let mut draining = pin!(draining);
        let mut silence = Silence::new(self.idle);
        std::future::poll_fn(|cx| {
            if guard.is_some_and(|guard| guard.poll_cancelled(cx).is_ready()) {
                return Poll::Ready(End::Cut);
            }
            if draining.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Drained);
            }
            let before = self.to_app.moved + self.to_client.moved;
            let sent = match self.to_app.poll_move(cx, &mut self.client, self.app.io()) {
                Poll::Ready(Err(Broken::Reading(error))) => return Poll::Ready(End::Client(error)),
                Poll::Ready(Err(Broken::Writing(error))) => return Poll::Ready(End::App(error)),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            let received = match self.to_client.poll_move(cx, self.app.io(), &mut self.client) {
                Poll::Ready(Err(Broken::Reading(error))) => return Poll::Ready(End::App(error)),
                Poll::Ready(Err(Broken::Writing(error))) => return Poll::Ready(End::Client(error)),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            if sent && received {
                return Poll::Ready(End::Closed);
            }
            let half_closed = self.to_app.is_over() || self.to_client.is_over();
            if half_closed && self.to_client.boundaries.is_some() {
                silence.limit_to(HALF_CLOSED);
            }
            let moved = before != self.to_app.moved + self.to_client.moved;
            silence.poll(cx, moved).map(|()| End::Idle)
        })
        .await
    }

    /// How many bytes the app and the client were handed.
    pub(super) const fn moved(&self) -> [u64; 2] {
        [self.to_app.moved, self.to_client.moved]
    }

    /// Lets go of the app, and finds out what the client can be told.
    pub(super) fn into_goodbye(self, end: &End) -> Option<Goodbye> {
        let (code, reason) = end.code()?;
        let frame = self.to_client.boundaries.as_ref()?.goodbye(code, reason)?;
        Some(Goodbye { client: self.client, frame })
    }
}

/// The last words to a client.
pub(super) struct Goodbye {
    client: TokioIo<Upgraded>,
    frame: Vec<u8>,
}

impl Goodbye {
    /// Says them, and waits a moment for the client to hang up: a connection that is closed while the client still sends is
    /// reset, and what it was told last is lost.
    pub(super) async fn say(mut self) {
        let said = timeout(GOODBYE, async {
            self.client.write_all(&self.frame).await?;
            self.client.shutdown().await
        });
        if !matches!(said.await, Ok(Ok(()))) {
            return tracing::debug!("a client could not be told why its tunnel ended");
        }
        let mut dropped = [0; 4096];
        let gone = async { while self.client.read(&mut dropped).await.is_ok_and(|read| read > 0) {} };
        if timeout(LINGER, gone).await.is_err() {
            tracing::debug!("a client did not hang up after its tunnel had ended");
        }
    }
}

/// How long nothing has moved. The timer is set anew when it runs out, not with each piece.
struct Silence {
    limit: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    fn limit_to(&mut self, limit: Duration) {
        if limit < self.limit {
            self.limit = limit;
            self.timer.as_mut().reset(self.since + limit);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, moved: bool) -> Poll<()> {
        if moved {
            self.since = Instant::now();
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let until = self.since + self.limit;
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}
