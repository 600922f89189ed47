//! One connection of HTTP/2, by hyper: what bounds it, and streams that end one by one.
//!
//! Over HTTP/1 a cut that a client does not read is carried out by dropping its connection. Here other
//! people's streams run on the same one, so each stream has a task and a [`Hangup`] of its own: dropping
//! the task resets that stream, and no other (R3).
//!
//! A client can make work by opening streams and resetting them before they are answered (CVE-2023-44487).
//! hyper bounds those that it has not seen yet; those that it has are counted here, whether they were left
//! before their answer or in the middle of it, and who leaves too many behind is dropped.
//!
//! A client can also take nothing of an answer, or a byte at a time, and still answer every PING: hyper then
//! waits for room and asks the body for nothing, so no timer of the body runs. How much it has to take is
//! kept here, for each stream by itself ([`Taking`]).
//!
//! A stream can become a tunnel (RFC 8441): its task runs that too, once hyper has sent the answer.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Request, Response};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::data_plane::{Limits, Phases, Stack};
use super::stream::{self, Stream};
use super::taken::Blocked;
use crate::gateway::{Arrival, Body, BodyError, FrameGuard, Hangup, Pace, Peer, PeerIs};

/// How much of one request's body may be on its way before the app has taken it, and of all together.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How much of one answer waits for a client that reads slowly, and how much is handed on at once. A client that reads
/// nothing makes us hold as much for each of its streams.
const SEND_BUFFER: usize = 16 * 1024;
const PIECE: usize = 16 * 1024;
/// The last piece, small enough that nobody asks when it is taken; and not as small as what clients count as a flood.
const LAST_PIECE: usize = 256;
/// Streams that a client reset before hyper saw them, and streams that the server had to reset because of
/// what the client sent, before the connection ends (CVE-2023-44487, CVE-2025-8671).
const MOST_PENDING_RESETS: usize = 20;
const MOST_ERROR_RESETS: usize = 512;
/// A client that is silent for so long is asked whether it is there, and has so long to say so.
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// How long a connection without a stream may stay after it was told to end.
const GOODBYE: Duration = Duration::from_secs(1);
/// How many requests a client may leave before all of their answer was taken: so many at once, and so many a
/// second.
const ABANDONED_AT_ONCE: f64 = 200.0;
const ABANDONED_PER_SECOND: f64 = 10.0;

/// Serves a connection until it ends, is drained, falls silent or floods.
pub(super) async fn serve<S: Stack>(
    stream: Stream,
    peer: Peer,
    stack: Rc<RefCell<S>>,
    limits: &Limits,
    mut phases: Phases,
) {
    let pace = Pace::new(limits.stall_timeout, limits.min_rate);
    let streams = Streams::new(pace, stream::blocked(&stream), phases.clone());
    let front = Front { peer, stack, streams: streams.clone() };
    let mut builder = http2::Builder::new(streams.clone());
    if limits.extended_connect {
        builder.enable_connect_protocol();
    }
    let connection = builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(limits.http2_head_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_PENDING_RESETS)
        .max_local_error_reset_streams(MOST_ERROR_RESETS)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PONG_WITHIN)
        .serve_connection(TokioIo::new(FrameGuard::new(stream, PeerIs::Client)), front);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        served = connection.as_mut() => Some(served),
        () = streams.flooded() => return,
        () = streams.silent_for(limits.idle_timeout) => None,
        () = streams.goodbye(&mut phases) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            served = connection.as_mut() => served,
            () = streams.flooded() => return,
            // It has nothing left to finish, and does not answer: its goodbye is not waited for.
            () = streams.silent_for(GOODBYE) => return,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended early");
    }
}

/// What hyper calls for each request. The next thing that it does is to run the stream, on [`Streams`].
struct Front<S> {
    peer: Peer,
    stack: Rc<RefCell<S>>,
    streams: Streams,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for Front<S> {
    type Response = Response<Paced>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (hangup, taking) = self.streams.next_stream();
        let answer = self.stack.borrow_mut().call(Arrival { peer: self.peer.clone(), hangup, request });
        let unfinished = Some(Unfinished { streams: self.streams.clone(), taking: Rc::clone(&taking) });
        Answering { answer, taking, unfinished }
    }
}

pin_project! {
    /// The answer to one request, unless the client leaves before.
    struct Answering<F> {
        #[pin]
        answer: F,
        taking: Rc<Taking>,
        unfinished: Option<Unfinished>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Answering<F> {
    type Output = Result<Response<Paced>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answer.poll(cx));
        // Where a message ends is never in doubt here: what is refused ends a stream only.
        response.headers_mut().remove(CONNECTION);
        this.taking.waits_for(0);
        let (taking, unfinished) = (Rc::clone(this.taking), this.unfinished.take());
        Poll::Ready(Ok(response.map(|body| Paced::new(body, taking, unfinished))))
    }
}

/// What the client of one stream has to take of its answer, while there is something to take: not before it is
/// answered, nor while it waits for the app, which has a limit of its own, nor while nothing of the whole
/// connection is taken, for which the connection is at fault and ends by itself.
struct Taking {
    pace: RefCell<Pace>,
    /// How much is on its way.
    outstanding: Cell<usize>,
    blocked: Arc<Blocked>,
    /// For how long the connection had been blocked when the waiting began.
    blocked_before: Cell<Duration>,
    /// Ended from here, and so not left by the client.
    ended: Cell<bool>,
    /// Told when the tunnel that the stream became has ended.
    tunnel_over: Notify,
}

impl Taking {
    async fn tunnel_was_over_for(&self, limit: Duration) {
        self.tunnel_over.notified().await;
        tokio::time::sleep(limit).await;
    }

    fn waits_for(&self, bytes: usize) {
        self.outstanding.set(bytes);
        self.blocked_before.set(self.blocked.so_far());
        self.pace.borrow_mut().waits(Instant::now());
    }

    /// What was on its way has gone.
    fn took(&self) {
        let excused = self.excused();
        self.pace.borrow_mut().moved(self.outstanding.take(), |since| since.elapsed().saturating_sub(excused));
    }

    fn excused(&self) -> Duration {
        self.blocked.so_far().saturating_sub(self.blocked_before.get())
    }

    /// Returns when the client has taken too little for too long. The timer is set anew only when it runs out,
    /// not with each piece.
    async fn stalled(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let until = self.pace.borrow().until(self.outstanding.get()).map(|until| until + self.excused());
            match until {
                Some(until) if until <= now => return,
                Some(until) => tokio::time::sleep_until(until).await,
                None => tokio::time::sleep_until(now + limit).await,
            }
        }
    }
}

/// The body of an answer. hyper asks it for a piece when the client has room for a byte, and gets no more than a small
/// one, because all of a piece is kept until the last byte of it is taken. The last bytes are a piece of their own, for which
/// hyper finds room only when all before them has been taken: else the answer would be over for us, and its slot and its clock
/// gone, while a client that takes nothing keeps it waiting in h2 for as long as it likes.
struct Paced {
    body: Body,
    rest: Bytes,
    taking: Rc<Taking>,
    unfinished: Option<Unfinished>,
}

impl Paced {
    fn new(body: Body, taking: Rc<Taking>, unfinished: Option<Unfinished>) -> Self {
        // An answer of the gateway's own costs nobody anything.
        let unfinished = unfinished.filter(|_| body.is_from_an_app());
        let mut paced = Self { body, rest: Bytes::new(), taking, unfinished };
        paced.note_the_end(false);
        paced
    }

    /// Once the last of it is handed on, nobody can leave any more. Nothing comes behind trailers.
    fn note_the_end(&mut self, is_trailers: bool) {
        if (is_trailers || self.is_end_stream())
            && let Some(unfinished) = self.unfinished.take()
        {
            unfinished.finish();
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                None => return Poll::Ready(None),
                Some(Ok(data)) => self.rest = data,
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = match self.rest.len() {
            last @ ..=LAST_PIECE => last,
            more => PIECE.min(more - LAST_PIECE),
        };
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.taking.took();
        let piece = self.poll_piece(cx);
        match &piece {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(piece))) => {
                self.taking.waits_for(piece.data_ref().map_or(0, Bytes::len));
                self.note_the_end(piece.is_trailers());
            }
            Poll::Ready(None | Some(Err(_))) => {
                self.taking.waits_for(0);
                if let Some(unfinished) = self.unfinished.take() {
                    unfinished.finish();
                }
            }
        }
        piece
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper().and_then(|upper| upper.checked_add(rest)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// A request of which the answer has not come to its end. Dropped, it counts as left behind, unless it was
/// ended from here.
struct Unfinished {
    streams: Streams,
    taking: Rc<Taking>,
}

impl Unfinished {
    fn finish(self) {
        self.taking.ended.set(true);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.taking.ended.get() {
            self.streams.0.abandon();
        }
    }
}

/// The streams of one connection. They run on its thread, so nothing here is shared with another.
#[derive(Clone)]
struct Streams(Rc<Book>);

struct Book {
    /// Of the request that hyper has just handed over, for the task in which its stream will run.
    next: RefCell<Option<(Hangup, Rc<Taking>)>>,
    /// Of the stream that is polled at the moment: what hyper runs meanwhile sends for the tunnel that it becomes.
    polled: RefCell<Option<Rc<Taking>>>,
    phases: Phases,
    /// Of each stream, at its beginning.
    pace: Pace,
    blocked: Arc<Blocked>,
    /// Whether there was a request, and who waits for the first.
    asked: Cell<bool>,
    first: Notify,
    running: Cell<usize>,
    silent_since: Cell<Instant>,
    /// How many more requests may be left behind, and as of when.
    budget: Cell<(f64, Instant)>,
    flooded: Notify,
}

impl Streams {
    fn new(pace: Pace, blocked: Arc<Blocked>, phases: Phases) -> Self {
        let now = Instant::now();
        Self(Rc::new(Book {
            next: RefCell::new(None),
            polled: RefCell::new(None),
            phases,
            pace,
            blocked,
            asked: Cell::new(false),
            first: Notify::new(),
            running: Cell::new(0),
            silent_since: Cell::new(now),
            budget: Cell::new((ABANDONED_AT_ONCE, now)),
            flooded: Notify::new(),
        }))
    }

    fn next_stream(&self) -> (Hangup, Rc<Taking>) {
        let taking = Taking {
            pace: RefCell::new(self.0.pace.clone()),
            outstanding: Cell::new(0),
            blocked: Arc::clone(&self.0.blocked),
            blocked_before: Cell::new(Duration::ZERO),
            ended: Cell::new(false),
            tunnel_over: Notify::new(),
        };
        let next = (Hangup::default(), Rc::new(taking));
        self.0.next.replace(Some(next.clone()));
        if !self.0.asked.replace(true) {
            self.0.first.notify_one();
        }
        next
    }

    /// Returns when no stream has run for so long.
    async fn silent_for(&self, limit: Duration) {
        loop {
            let since = if self.0.running.get() == 0 { self.0.silent_since.get() } else { Instant::now() };
            tokio::time::sleep_until(since + limit).await;
            if self.0.running.get() == 0 && self.0.silent_since.get().elapsed() >= limit {
                return;
            }
        }
    }

    /// Returns when the connection is to end: at once, where others are accepted still; but not before its client
    /// has asked something, or had a moment for it, or what is on its way would be lost.
    async fn goodbye(&self, phases: &mut Phases) {
        if phases.is_turning() {
            phases.draining().await;
        } else {
            phases.turning().await;
        }
        if !self.0.asked.get() {
            tokio::select! {
                () = self.0.first.notified() => {}
                () = phases.waited_enough() => {}
            }
        }
    }

    /// Returns when the client has left too many requests behind.
    async fn flooded(&self) {
        self.0.flooded.notified().await;
        tracing::debug!("a client resets streams without end and is dropped");
        metrics::counter!("locum_connections_flooded_total").increment(1);
    }
}

impl Book {
    fn abandon(&self) {
        let (left, as_of) = self.budget.get();
        let now = Instant::now();
        let refilled = now.duration_since(as_of).as_secs_f64().mul_add(ABANDONED_PER_SECOND, left);
        let left = refilled.min(ABANDONED_AT_ONCE) - 1.0;
        self.budget.set((left, now));
        if left < 0.0 {
            self.flooded.notify_one();
        }
    }
}

/// Runs what hyper makes of one stream, until it ends, is cut and cannot end by itself, or its client
/// takes too little of it.
impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let next = self.0.next.take();
        let polled = self.0.polled.borrow().clone();
        let running = Running::enter(&self.0);
        tokio::task::spawn_local(async move {
            match (next, polled) {
                (Some((hangup, taking)), _) => running.0.run(stream, &hangup, &taking).await,
                (None, Some(taking)) => tokio::select! {
                    biased;
                    () = stream => {}
                    // A client that takes nothing keeps hyper from ever sending the end.
                    () = taking.tunnel_was_over_for(GOODBYE) => {}
                },
                (None, None) => stream.await,
            }
            drop(running);
        });
    }
}

impl Book {
    async fn run(&self, stream: impl Future<Output = ()>, hangup: &Hangup, taking: &Rc<Taking>) {
        // Dropped before a tunnel runs: one to which hyper never switched is to find that out at once.
        {
            let mut stream = pin!(stream);
            let stream = std::future::poll_fn(|cx| {
                self.polled.replace(Some(Rc::clone(taking)));
                let polled = stream.as_mut().poll(cx);
                self.polled.take();
                polled
            });
            tokio::select! {
                biased;
                () = stream => {}
                () = hangup.wait() => taking.ended.set(true),
                () = taking.stalled(self.pace.limit()) => {
                    taking.ended.set(true);
                    tracing::debug!("a client takes too little of an answer, and its stream is reset");
                    metrics::counter!("locum_streams_stalled_total").increment(1);
                }
            }
        }
        if let Some(tunnel) = hangup.take_tunnel() {
            tunnel.run(self.phases.clone().draining()).await;
            taking.tunnel_over.notify_one();
        }
    }
}

/// Counts one stream for as long as it runs.
struct Running(Rc<Book>);

impl Running {
    fn enter(book: &Rc<Book>) -> Self {
        book.running.set(book.running.get() + 1);
        Self(Rc::clone(book))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.silent_since.set(Instant::now());
    }
}
