//! An app of HTTP/2, by h2's server: it remembers the heads that reached it and does with each stream as it is told.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, request};
use tokio::sync::watch;

type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;
type Answer = dyn Fn(Request<RecvStream>, SendResponse<Bytes>) -> Answering + Send + Sync;

/// The app.
pub(crate) struct H2App {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<request::Parts>>>,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    leave: watch::Sender<usize>,
    cut: watch::Sender<usize>,
    runtime: tokio::runtime::Runtime,
}

impl H2App {
    /// `streams` are allowed at once on each connection.
    pub(crate) fn start<F>(
        streams: u32,
        answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let ((leave, left), (cut, was_cut)) = (watch::channel(0), watch::channel(0));
        let app = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            made: Arc::default(),
            open: Arc::default(),
            leave,
            cut,
            runtime,
        };
        let answer: Arc<Answer> = Arc::new(move |request, respond| Box::pin(answer(request, respond)));
        let (seen, made, open) = (Arc::clone(&app.seen), Arc::clone(&app.made), Arc::clone(&app.open));
        app.runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                made.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (seen, open, answer, left) =
                    (Arc::clone(&seen), Arc::clone(&open), Arc::clone(&answer), left.clone());
                let mut was_cut = was_cut.clone();
                was_cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(tcp, streams, &seen, &answer, left) => {}
                        Ok(()) = was_cut.changed() => {}
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        app
    }

    /// Answers each whole request with 200, its body and its trailers.
    pub(crate) fn echo() -> Self {
        Self::start(100, |request, mut respond| async move {
            let (body, trailers) = read(request.into_body()).await;
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            write(&mut send, body.into()).await;
            send.send_trailers(trailers).unwrap();
        })
    }

    pub(crate) fn seen(&self) -> Vec<request::Parts> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> request::Parts {
        self.seen().pop().expect("something has arrived")
    }

    /// How many connections were made.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Says on every connection that it takes no new streams (GOAWAY), and ends each with its last.
    pub(crate) fn leave(&self) {
        self.leave.send_modify(|times| *times += 1);
    }

    /// Ends every connection without a word.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|times| *times += 1);
    }
}

async fn serve(
    tcp: tokio::net::TcpStream,
    streams: u32,
    seen: &Mutex<Vec<request::Parts>>,
    answer: &Arc<Answer>,
    mut left: watch::Receiver<usize>,
) {
    left.mark_unchanged();
    let mut builder = h2::server::Builder::new();
    let Ok(mut connection) = builder.max_concurrent_streams(streams).handshake(tcp).await else { return };
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            Ok(()) = left.changed() => {
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, respond))) = accepted else { return };
        let (head, body) = request.into_parts();
        seen.lock().unwrap().push(head.clone());
        tokio::spawn(answer(Request::from_parts(head, body), respond));
    }
}

/// Reads a body to its end, whole or broken off, and its trailers.
pub(crate) async fn read(mut body: RecvStream) -> (Vec<u8>, HeaderMap) {
    let mut read = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        read.extend_from_slice(&data);
    }
    (read, body.trailers().await.ok().flatten().unwrap_or_default())
}

/// Sends as fast as the other side takes.
pub(crate) async fn write(send: &mut SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return };
        if send.send_data(data.split_to(room.min(data.len())), false).is_err() {
            return;
        }
    }
}

/// Waits until something is as it has to be.
pub(crate) fn eventually(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
