//! An app that remembers what reached it, byte for byte, and answers as it is told.
//!
//! It is written on blocking sockets and shares no code with the gateway: what it reads is judged by its
//! own few lines, so that both cannot be wrong in the same way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The most of a body that is remembered; its length is counted to the end.
const REMEMBERED: usize = 1024 * 1024;

/// One request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// From the request line to the empty line, both included.
    pub(crate) head: Vec<u8>,
    /// The decoded body, up to a mebibyte of it.
    pub(crate) body: Vec<u8>,
    pub(crate) body_length: usize,
    /// A sum over every byte of the body.
    pub(crate) body_sum: u64,
    /// Whether the message came to its end.
    pub(crate) whole: bool,
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        self.head.iter().copied().map(char::from).collect()
    }

    pub(crate) fn request_line(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn target(&self) -> String {
        self.request_line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let named = |line: &str| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        self.text().lines().skip(1).filter_map(named).collect()
    }

    /// The one value of a header; more than one is a failed test.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        assert!(values.len() < 2, "{name} arrived {} times", values.len());
        values.pop()
    }
}

/// What becomes of a connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Open,
    Close,
    /// With a reset instead of an orderly end.
    Reset,
}

type OnHead = dyn Fn(&Seen, &mut TcpStream) -> Option<Next> + Send + Sync;
type OnWhole = dyn Fn(&Seen, &mut TcpStream) -> Next + Send + Sync;

/// The app.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers each whole request with 200 and what `body` makes of it.
    pub(crate) fn answering(body: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(|_, _| None, move |seen, stream| respond(stream, "200 OK", &[], &body(seen)))
    }

    /// Answers each whole request with its own target.
    pub(crate) fn echo() -> Self {
        Self::answering(|seen| seen.target().into_bytes())
    }

    /// `on_head` may answer before the body is read; else `on_whole` answers afterwards.
    pub(crate) fn start(
        on_head: impl Fn(&Seen, &mut TcpStream) -> Option<Next> + Send + Sync + 'static,
        on_whole: impl Fn(&Seen, &mut TcpStream) -> Next + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (seen, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (on_head, on_whole): (Arc<OnHead>, Arc<OnWhole>) = (Arc::new(on_head), Arc::new(on_whole));
        let (all, count) = (Arc::clone(&seen), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (all, on_head, on_whole) = (Arc::clone(&all), Arc::clone(&on_head), Arc::clone(&on_whole));
                std::thread::spawn(move || serve(stream, number, &all, &*on_head, &*on_whole));
            }
        });
        Self { address, seen, connections }
    }

    /// Every request that arrived, whole or broken off.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics under this lock").clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen().len()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("nothing has arrived")
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until what arrived is as expected.
    pub(crate) fn wait_for(&self, expected: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let seen = self.seen();
            if expected(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "it never arrived: {seen:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Writes one response with a length.
pub(crate) fn respond(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) -> Next {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.extend([*name, ": ", *value, "\r\n"]);
    }
    head.push_str("\r\n");
    // In one piece: two, and the second one would wait for the first one's acknowledgement.
    let sent = stream.write_all(&[head.as_bytes(), body].concat());
    if sent.is_ok() { Next::Open } else { Next::Close }
}

fn serve(mut stream: TcpStream, connection: usize, all: &Mutex<Vec<Seen>>, on_head: &OnHead, on_whole: &OnWhole) {
    let mut reader = Reader { stream: stream.try_clone().expect("a socket can be cloned"), buffer: Vec::new() };
    while let Some(head) = reader.head() {
        let mut seen = Seen { connection, head, ..Seen::default() };
        if let Some(next) = on_head(&seen, &mut stream) {
            all.lock().expect("no test panics under this lock").push(seen);
            if end(&stream, next) {
                return;
            }
            continue;
        }
        seen.whole = reader.body(&mut seen).is_some();
        all.lock().expect("no test panics under this lock").push(seen.clone());
        let next = if seen.whole { on_whole(&seen, &mut stream) } else { Next::Close };
        if end(&stream, next) {
            return;
        }
    }
}

/// Ends a connection, if it is to end.
fn end(stream: &TcpStream, next: Next) -> bool {
    if next == Next::Reset {
        let socket = socket2::SockRef::from(stream);
        socket.set_linger(Some(Duration::ZERO)).expect("lingering can be set");
    }
    next != Next::Open
}

struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    fn fill(&mut self) -> Option<()> {
        let mut chunk = vec![0; 64 * 1024];
        let read = self.stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        self.buffer.extend_from_slice(&chunk[..read]);
        Some(())
    }

    fn head(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return Some(self.buffer.drain(..at + 4).collect());
            }
            self.fill()?;
        }
    }

    /// Reads the body by its framing; `None` when it never comes to its end.
    fn body(&mut self, seen: &mut Seen) -> Option<()> {
        let chunked = seen.values("transfer-encoding");
        let length = seen.value("content-length");
        assert!(chunked.is_empty() || length.is_none(), "two framings arrived: {}", seen.text());
        if chunked.is_empty() {
            let length = length.map_or(0, |length| length.parse().expect("a length is a number"));
            return self.take(length, seen);
        }
        loop {
            let line = self.line()?;
            let size =
                usize::from_str_radix(line.trim(), 16).expect("a chunk's size is hexadecimal, without extension");
            self.take(size, seen)?;
            let end = self.line()?;
            if size == 0 {
                assert!(end.is_empty(), "trailers arrived: {end}");
                return Some(());
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.fill()?;
        }
    }

    fn take(&mut self, mut left: usize, seen: &mut Seen) -> Option<()> {
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill()?;
            }
            let part: Vec<u8> = self.buffer.drain(..left.min(self.buffer.len())).collect();
            left -= part.len();
            seen.body_length += part.len();
            seen.body_sum = part.iter().fold(seen.body_sum, |sum, byte| sum.wrapping_add(u64::from(*byte)));
            let room = REMEMBERED - seen.body.len().min(REMEMBERED);
            seen.body.extend_from_slice(&part[..room.min(part.len())]);
        }
        Some(())
    }
}
