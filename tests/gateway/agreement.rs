//! The head guard and hyper read alike: hyper's own server, with the guard before it and without.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use locum::gateway::head_guard::{Limits, Scanner};
use locum::gateway::{HeadGuard, Peer, Scheme};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const LIMITS: Limits = Limits { head_bytes: 64 * 1024, head_fields: 100 };
/// What hyper reads when a head was refused.
const REFUSED: &str = "/{refused}";

/// A request as hyper read it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    target: String,
    body: Vec<u8>,
    whole: bool,
}

/// One message that is as it should be.
#[derive(Debug, Clone)]
struct Message {
    number: usize,
    fields: Vec<String>,
    body: Vec<u8>,
    framing: Framing,
}

#[derive(Debug, Clone)]
enum Framing {
    None,
    Length,
    /// The sizes of chunks, with the extension of each, and the trailers.
    Chunked(Vec<(usize, String)>, Vec<String>),
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        let framing = match &self.framing {
            Framing::None => String::new(),
            Framing::Length => format!("Content-Length: {}\r\n", self.body.len()),
            Framing::Chunked(..) => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        let mut bytes = format!("POST /{} HTTP/1.1\r\n{}{framing}\r\n", self.number, self.fields.concat()).into_bytes();
        match &self.framing {
            Framing::None => {}
            Framing::Length => bytes.extend(&self.body),
            Framing::Chunked(sizes, trailers) => {
                let mut rest = &self.body[..];
                let whole = (rest.len(), String::new());
                for (size, extension) in sizes.iter().chain([&whole]) {
                    let (chunk, behind) = rest.split_at((*size).min(rest.len()));
                    if !chunk.is_empty() {
                        bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
                        bytes.extend(chunk);
                        bytes.extend(b"\r\n");
                    }
                    rest = behind;
                }
                bytes.extend(format!("0\r\n{}\r\n", trailers.concat()).bytes());
            }
        }
        bytes
    }

    fn as_read(&self) -> Read {
        let body = if matches!(self.framing, Framing::None) { Vec::new() } else { self.body.clone() };
        Read { target: format!("/{}", self.number), body, whole: true }
    }
}

fn message() -> impl Strategy<Value = Message> {
    let line = "X-[a-z]{1,6}: [ -~]{0,12}\r\n";
    let chunks = prop::collection::vec((1_usize..40, "(;[a-z]{1,4}(=\"[a-z ]{0,4}\")?)?"), 0..4);
    let framing = prop_oneof![
        Just(Framing::None),
        Just(Framing::Length),
        (chunks, prop::collection::vec(line, 0..3)).prop_map(|(chunks, trailers)| Framing::Chunked(chunks, trailers)),
    ];
    // Bodies are made of what heads are made of, so that one that is read in the wrong place looks like one.
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..120),
        Just(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        Just(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n".to_vec()),
    ];
    (prop::collection::vec(line, 0..4), body, framing).prop_map(|(fields, body, framing)| Message {
        number: 0,
        fields,
        body,
        framing,
    })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    prop::collection::vec(message(), 1..5).prop_map(|mut messages| {
        messages.iter_mut().enumerate().for_each(|(number, message)| message.number = number);
        messages
    })
}

/// Something done to a byte.
#[derive(Debug, Clone)]
struct Harm {
    at: prop::sample::Index,
    insert: Option<&'static str>,
    remove: bool,
}

fn harm() -> impl Strategy<Value = Harm> {
    let pieces = vec![
        "\n",
        "\r",
        "\r\n",
        " ",
        "\t",
        ";",
        "0",
        "5",
        "f",
        "#",
        ":",
        ",",
        "\0",
        "\u{b}",
        "chunked",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Content-Length: 5\r\n",
        "\r\nContent-Length: 3\r\n",
        "\r\nTransfer-Encoding : chunked\r\n",
        "\r\n Transfer-Encoding: chunked",
        "GET /more HTTP/1.1\r\n\r\n",
        "Upgrade: x\r\nConnection: upgrade\r\n",
        "Connection: close\r\n",
    ];
    let insert = prop::option::weighted(0.8, prop::sample::select(pieces));
    (any::<prop::sample::Index>(), insert, any::<bool>()).prop_map(|(at, insert, remove)| Harm { at, insert, remove })
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        let at = harm.at.index(bytes.len());
        let removed = usize::from(harm.remove);
        let insert = harm.insert.unwrap_or_default();
        bytes.splice(at..at + removed, insert.bytes());
    }
    bytes
}

/// The bytes in pieces.
fn pieces<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

/// What hyper reads of the bytes, set up as the data plane sets it up.
fn read_by_hyper(pieces: &[&[u8]], guarded: bool) -> Vec<Read> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, server) = tokio::io::duplex(16 * 1024);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let peer = Peer::new(std::net::Ipv4Addr::LOCALHOST.into(), Scheme::Http, 80);
        let serving = async {
            if guarded { serve(HeadGuard::new(server, peer, LIMITS), &seen).await } else { serve(server, &seen).await }
        };
        let asking = async {
            let (mut answers, mut requests) = tokio::io::split(client);
            let write = async {
                for piece in pieces {
                    // What is refused may be closed before all of it was sent.
                    if requests.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
                let _closed = requests.shutdown().await;
            };
            let read = async {
                let mut answer = Vec::new();
                let _ended: io::Result<usize> = answers.read_to_end(&mut answer).await;
            };
            tokio::join!(write, read);
        };
        let both = async { tokio::join!(serving, asking) };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("the connection came to an end");
        let seen = seen.lock().unwrap();
        seen.clone()
    })
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Arc<Mutex<Vec<Read>>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Arc::clone(seen);
        async move {
            let target = request.uri().to_string();
            let at = {
                let mut seen = seen.lock().unwrap();
                seen.push(Read { target, body: Vec::new(), whole: false });
                seen.len() - 1
            };
            let mut body = request.into_body();
            let whole = loop {
                match body.frame().await {
                    None => break true,
                    Some(Err(_)) => break false,
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            seen.lock().unwrap()[at].body.extend(data);
                        }
                    }
                }
            };
            seen.lock().unwrap()[at].whole = whole;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(LIMITS.head_bytes)
        .max_headers(LIMITS.head_fields)
        // A client here ends its side at once; what it has sent is to be read all the same.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // A message that is refused or broken off is an error here; what was read before it is what counts.
    let _ended = connection.await;
}

/// The targets of the heads that the guard finds: fed byte by byte, only a head passes in more than one.
fn heads_by_guard(bytes: &[u8]) -> Vec<String> {
    let (mut scanner, mut start, mut heads) = (Scanner::new(LIMITS), 0, Vec::new());
    for end in 1..=bytes.len() {
        let scan = scanner.scan(&bytes[start..end]);
        if scan.pass > 1 {
            let head = String::from_utf8_lossy(&bytes[start..start + scan.pass]);
            heads.push(head.trim_start().split(' ').nth(1).unwrap_or_default().to_owned());
        }
        start += scan.pass;
        if scan.end.is_some() {
            break;
        }
    }
    heads
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// G1: whatever is well framed arrives behind the guard as it was meant, however it is cut.
    #[test]
    fn what_is_well_framed_passes_the_guard_as_it_is(
        messages in messages(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(Message::bytes).collect();
        let expected: Vec<Read> = messages.iter().map(Message::as_read).collect();
        prop_assert_eq!(read_by_hyper(&pieces(&bytes, &cuts), true), expected);
        prop_assert_eq!(heads_by_guard(&bytes).len(), messages.len());
    }

    /// G1, H1-011, H1-012, H1-026, H1-031: whatever is done to the bytes, hyper reads behind the guard
    /// what it would have read without it, or less; and never a head that the guard did not look at.
    #[test]
    fn the_guard_and_hyper_agree_on_where_messages_end(
        messages in messages(),
        harms in prop::collection::vec(harm(), 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = harmed(messages.iter().flat_map(Message::bytes).collect(), &harms);
        let mut guarded = read_by_hyper(&pieces(&bytes, &cuts), true);
        if guarded.last().is_some_and(|last| last.target == REFUSED) {
            guarded.pop();
        }
        let bare = read_by_hyper(&pieces(&bytes, &cuts), false);
        let heads = heads_by_guard(&bytes);
        prop_assert!(guarded.len() <= bare.len() && guarded.len() <= heads.len(), "{guarded:#?}\n{bare:#?}\n{heads:?}");
        for (at, read) in guarded.iter().enumerate() {
            prop_assert_eq!(&read.target, &bare[at].target);
            // Without a guard, hyper cuts off a fragment; with it, there is none.
            prop_assert_eq!(&read.target, &heads[at]);
            if read.whole {
                prop_assert_eq!(read, &bare[at]);
            } else {
                prop_assert!(bare[at].body.starts_with(&read.body) || read.body.starts_with(&bare[at].body));
            }
        }
    }
}
