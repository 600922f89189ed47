//! The guard in front of the parser of HTTP/1: behind it hyper reads what it would have read without it, or
//! less, and never a head that the guard did not look at; how the bytes are cut changes nothing.
//!
//! The first byte of the input says into how long pieces the rest is cut.
#![no_main]

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use locum::gateway::head_guard::{End, Limits, Scanner};
use locum::gateway::{HeadGuard, Peer, Scheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};

const LIMITS: Limits = Limits { head_bytes: 16 * 1024, head_fields: 100 };
/// What hyper reads when a head was refused.
const REFUSED: &str = "/{refused}";

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// A request as hyper read it.
#[derive(Debug, Default)]
struct Read {
    target: String,
    body: Vec<u8>,
    whole: bool,
}

fuzz_target!(|input: &[u8]| {
    let Some((length, bytes)) = input.split_first() else { return };
    let length = usize::from(*length).max(1);
    let (heads, end) = scanned(bytes, 1);
    assert_eq!(scanned(bytes, length), (heads.clone(), end), "the pieces make a difference");

    let mut guarded = read(bytes, length, true);
    if guarded.last().is_some_and(|last| last.target == REFUSED) {
        guarded.pop();
    }
    let bare = read(bytes, length, false);
    assert!(guarded.len() <= heads.len(), "hyper read a head that the guard did not: {guarded:#?} {heads:?}");
    assert!(guarded.len() <= bare.len(), "hyper read more behind the guard: {guarded:#?} {bare:#?}");
    for ((read, bare), head) in guarded.iter().zip(&bare).zip(&heads) {
        assert_eq!((&read.target, &read.target), (&bare.target, head));
        if read.whole {
            assert!(bare.whole, "a body is whole only behind the guard: {read:?} {bare:?}");
            assert_eq!(read.body, bare.body);
        } else {
            assert!(bare.body.starts_with(&read.body) || read.body.starts_with(&bare.body));
        }
    }
});

/// The targets of the heads that the guard lets pass, and how it ends.
fn scanned(bytes: &[u8], length: usize) -> (Vec<String>, Option<End>) {
    let (mut scanner, mut start, mut shown, mut heads) = (Scanner::new(LIMITS), 0, 0, Vec::new());
    let mut end = None;
    // A head is told from a body by feeding byte by byte; so larger pieces are only scanned, and compared by the end.
    if length > 1 {
        heads = scanned(bytes, 1).0;
    }
    while shown < bytes.len() && end.is_none() {
        shown = (shown + length).min(bytes.len());
        let scan = scanner.scan(&bytes[start..shown]);
        assert!(scan.pass <= shown - start, "more passes than came");
        if length == 1 && scan.pass > 1 {
            let head = String::from_utf8_lossy(&bytes[start..start + scan.pass]);
            heads.push(head.trim_start().split(' ').nth(1).unwrap_or_default().to_owned());
        }
        start += scan.pass;
        end = scan.end;
    }
    (heads, end)
}

/// What hyper reads, with its limits as the data plane sets them.
fn read(bytes: &[u8], length: usize, guarded: bool) -> Vec<Read> {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (client, server) = tokio::io::duplex(4 * 1024);
            let seen = Rc::new(RefCell::new(Vec::new()));
            let peer = Peer::new(Ipv4Addr::LOCALHOST.into(), Scheme::Http, 80);
            let serving = async {
                if guarded {
                    serve(HeadGuard::new(server, peer, LIMITS), &seen).await;
                } else {
                    serve(server, &seen).await;
                }
            };
            let (mut answers, mut requests) = tokio::io::split(client);
            let asking = async {
                for piece in bytes.chunks(length) {
                    // What is refused may be closed before all of it was sent.
                    if requests.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                let _closed = requests.shutdown().await;
            };
            let taking = async {
                let mut answer = Vec::new();
                let _ended = answers.read_to_end(&mut answer).await;
            };
            let all = async { tokio::join!(serving, asking, taking) };
            tokio::time::timeout(Duration::from_secs(4), all).await.expect("the connection comes to an end");
            seen.take()
        })
    })
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Rc<RefCell<Vec<Read>>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(seen);
        async move {
            let at = seen.borrow().len();
            seen.borrow_mut().push(Read { target: request.uri().to_string(), ..Read::default() });
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return Ok(Response::new(Empty::<Bytes>::new())) };
                if let Ok(data) = frame.into_data() {
                    seen.borrow_mut()[at].body.extend(data);
                }
            }
            seen.borrow_mut()[at].whole = true;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(LIMITS.head_bytes)
        .max_headers(LIMITS.head_fields)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // What is refused or broken off is an error here; what was read before it is what counts.
    let _ended = connection.await;
}
