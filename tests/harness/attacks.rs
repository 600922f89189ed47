//! Attacks on a gateway by one lean attacker: all that is sent is made before, what comes back is counted and dropped,
//! and the time of the processor that it takes is that of one thread.
//!
//! Only the standard library is used, so that what the attacker costs is sockets and little else.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
    frame, text,
};

/// For how long an attacker waits for answers that do not come, before it begins anew.
const QUIET: Duration = Duration::from_millis(100);
/// How long an attacker sleeps while it waits: each waking costs it as much as a request.
const NAP: Duration = Duration::from_millis(5);
/// How many streams a gateway lets run at once.
const STREAMS: u32 = 100;

/// What one attacker does, on one connection after the other.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What each connection begins with.
    opening: Vec<u8>,
    /// Sent one after the other, and the next only when the one before was answered.
    steps: Vec<Step>,
}

struct Step {
    bytes: Vec<u8>,
    /// How much is given to the kernel at once.
    piece: usize,
    awaited: Awaited,
}

/// What an attacker waits for.
#[derive(Clone, Copy)]
enum Awaited {
    Nothing,
    /// The first bytes that come.
    Something,
    /// So many streams of HTTP/2 that end.
    Streams(usize),
    /// The end of the connection.
    End,
}

/// What an attack took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Took {
    /// Time of the processor.
    pub(crate) cpu: Duration,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) connections: u64,
}

impl Attack {
    fn once(name: &'static str, bytes: Vec<u8>, awaited: Awaited) -> Self {
        Self::of(name, Vec::new(), vec![Step { piece: bytes.len(), bytes, awaited }])
    }

    fn of(name: &'static str, opening: Vec<u8>, steps: Vec<Step>) -> Self {
        Self { name, opening, steps }
    }

    /// Attacks for so long, one connection after the other.
    pub(crate) fn run(&self, address: SocketAddr, lasts: Duration) -> Took {
        let (began, before) = (Instant::now(), cpu_of_this_thread());
        let mut took = Took::default();
        let mut scratch = vec![0; 256 * 1024];
        while began.elapsed() < lasts {
            took.connections += 1;
            let mut line = Line::open(address, &mut scratch, began + lasts);
            let mut open = line.send(&self.opening, usize::MAX);
            for step in &self.steps {
                open = open && line.send(&step.bytes, step.piece) && line.wait(step.awaited);
            }
            took.sent += line.sent;
            took.received += line.received;
        }
        took.cpu = cpu_of_this_thread().saturating_sub(before);
        took
    }
}

/// One connection.
struct Line<'a> {
    stream: TcpStream,
    scratch: &'a mut [u8],
    until: Instant,
    sent: u64,
    received: u64,
    /// Streams of HTTP/2 that have ended, and where in a frame the bytes have come to.
    ended: usize,
    head: [u8; 9],
    have: usize,
    rest: usize,
}

impl<'a> Line<'a> {
    fn open(address: SocketAddr, scratch: &'a mut [u8], until: Instant) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_nodelay(true).expect("nodelay can be set");
        stream.set_nonblocking(true).expect("it can be made not to block");
        Self { stream, scratch, until, sent: 0, received: 0, ended: 0, head: [0; 9], have: 0, rest: 0 }
    }

    /// Whether the connection is still open.
    fn send(&mut self, bytes: &[u8], piece: usize) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.write(&rest[..rest.len().min(piece)]) {
                Ok(written) => {
                    rest = &rest[written..];
                    self.sent += written as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => match self.drain() {
                    None => return false,
                    Some(0) if Instant::now() > self.until => return false,
                    Some(0) => std::thread::sleep(NAP),
                    Some(_) => {}
                },
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads what there is; `None` when the connection has ended.
    fn drain(&mut self) -> Option<usize> {
        match self.stream.read(self.scratch) {
            Ok(0) => None,
            Ok(read) => {
                self.received += read as u64;
                self.count(read);
                Some(read)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
            Err(_) => None,
        }
    }

    fn wait(&mut self, awaited: Awaited) -> bool {
        let (mut quiet_since, awaited_streams) = (Instant::now(), self.ended);
        loop {
            match awaited {
                Awaited::Nothing => return self.drain().is_some(),
                Awaited::Something if self.received > 0 => return true,
                Awaited::Streams(count) if self.ended - awaited_streams >= count => return true,
                Awaited::Something | Awaited::Streams(_) | Awaited::End => {}
            }
            match self.drain() {
                None => return false,
                Some(0) => {
                    if quiet_since.elapsed() > QUIET {
                        return false;
                    }
                    std::thread::sleep(NAP);
                }
                Some(_) => quiet_since = Instant::now(),
            }
        }
    }

    /// Counts the streams that end in what was read.
    fn count(&mut self, read: usize) {
        let mut at = 0;
        while at < read {
            let skipped = self.rest.min(read - at);
            self.rest -= skipped;
            at += skipped;
            let taken = (9 - self.have).min(read - at);
            self.head[self.have..self.have + taken].copy_from_slice(&self.scratch[at..at + taken]);
            self.have += taken;
            at += taken;
            if self.have == 9 {
                let [high, middle, low, kind, flags, ..] = self.head;
                self.have = 0;
                self.rest = u32::from_be_bytes([0, high, middle, low]) as usize;
                let ends = (kind == DATA || kind == HEADERS) && flags & END_STREAM != 0;
                self.ended += usize::from(ends || kind == RST_STREAM);
            }
        }
    }
}

/// How long this thread has had a processor.
pub(crate) fn cpu_of_this_thread() -> Duration {
    cpu_of("/proc/thread-self/schedstat")
}

/// How long all threads of a process that still run have had a processor.
pub(crate) fn cpu_of_process(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let of = |thread: std::io::Result<std::fs::DirEntry>| {
        cpu_of(thread.expect("its threads can be listed").path().join("schedstat").to_str().expect("it is a number"))
    };
    threads.map(of).sum()
}

fn cpu_of(path: &str) -> Duration {
    // A thread may have ended since it was listed.
    let said = std::fs::read(path).unwrap_or_default();
    let said = String::from_utf8(said).expect("numbers");
    Duration::from_nanos(said.split(' ').next().and_then(|first| first.trim().parse().ok()).unwrap_or_default())
}

/// Whom an attacker knows: a proxy user's line of `Authorization`, without its name, and tokens of nobody, well made.
pub(crate) struct Known {
    pub(crate) good: String,
    pub(crate) foreign: Vec<String>,
    /// The first flight of a handshake of TLS.
    pub(crate) hello: Vec<u8>,
}

/// What can be sent to a gateway that speaks HTTP without TLS.
pub(crate) fn attacks(known: &Known) -> Vec<Attack> {
    [http1(known), frames_alone(known), requests_of_http2(known)].into_iter().flatten().collect()
}

/// A handshake that is begun and left, again and again.
pub(crate) fn handshakes(known: &Known) -> Attack {
    Attack::once("TLS: handshakes that are left", known.hello.clone(), Awaited::Something)
}

fn http1(known: &Known) -> Vec<Attack> {
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n{more}\r\n");
    let last = get("/x", "Connection: close\r\n");
    let many = |count: usize, request: &dyn Fn(usize) -> String| {
        let mut bytes: String = (0..count).map(request).collect();
        bytes.push_str(&last);
        bytes.into_bytes()
    };
    let fields = |count: usize, length: usize| {
        let field = |number| format!("x-{number}: {}\r\n", "y".repeat(length));
        (0..count).map(field).collect::<Vec<_>>().concat()
    };
    let junk = format!("Authorization: Bearer locum_pat_{}\r\n", "a".repeat(58));
    let (big, long) = (fields(90, 660), "/abc%20d".repeat(2_000));
    let dots = "/a".repeat(8_000);
    let tiny = "1\r\na\r\n".repeat(20_000);
    let post = "POST /pub/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let dripped = |bytes: String, awaited| Step { bytes: bytes.into_bytes(), piece: 1, awaited };
    let foreign = |number: usize| format!("Authorization: Bearer {}\r\n", known.foreign[number % known.foreign.len()]);
    vec![
        Attack::once("HTTP/1: no credential", many(2_000, &|_| get("/x", "")), Awaited::End),
        Attack::once("HTTP/1: token that nobody made", many(500, &|n| get("/x", &foreign(n))), Awaited::End),
        Attack::once("HTTP/1: junk for a token", many(2_000, &|_| get("/x", &junk)), Awaited::End),
        Attack::once("HTTP/1: heads of 60 KiB", many(100, &|_| get("/x", &big)), Awaited::End),
        Attack::once("HTTP/1: long paths", many(300, &|_| get(&long, "")), Awaited::End),
        Attack::once("HTTP/1: paths of many parts", many(300, &|_| get(&dots, "")), Awaited::End),
        Attack::once("HTTP/1: what is no HTTP", b"\x01\x02\x03\x04".to_vec(), Awaited::End),
        Attack::of(
            "HTTP/1: a head in drips",
            Vec::new(),
            vec![dripped(get("/x", &fields(8, 600)), Awaited::Something)],
        ),
        Attack::of("HTTP/1: a body in drips", post.into(), vec![dripped(tiny[..6_000].to_owned(), Awaited::Nothing)]),
        Attack::once(
            "HTTP/1: a body in chunks of one byte",
            format!("{post}{tiny}0\r\n\r\n").into_bytes(),
            Awaited::Something,
        ),
    ]
}

fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

fn head<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<u8> {
    let head = [(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", path)];
    block(&[&head[..], more].concat())
}

fn id(number: u32) -> u32 {
    number * 2 + 1
}

/// Frames that ask for nothing, and streams that end by themselves.
fn frames_alone(known: &Known) -> Vec<Attack> {
    let flood = |name, bytes: Vec<u8>| Attack::of(name, preface(), vec![whole(bytes, Awaited::End)]);
    let one = 1_u32.to_be_bytes();
    let good = head("/x", &[("authorization", &known.good)]);
    let open = frame(HEADERS, END_HEADERS, 1, &good);
    let begun = |frames: Vec<u8>| [open.clone(), frames].concat();
    let streams = |make: &dyn Fn(u32) -> Vec<u8>| (0..2_000).flat_map(|number| make(id(number))).collect::<Vec<u8>>();
    let reset = |id| [frame(HEADERS, END_HEADERS | END_STREAM, id, &good), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])];
    let overflow = 0x7fff_ffff_u32.to_be_bytes();
    let provoke = |id| [frame(HEADERS, END_HEADERS, id, &good), frame(WINDOW_UPDATE, 0, id, &overflow)];
    let endless = [frame(HEADERS, END_STREAM, 1, &good), frame(CONTINUATION, 0, 1, &[]).repeat(20_000)].concat();
    vec![
        flood("HTTP/2: PING", frame(PING, 0, 0, &[7; 8]).repeat(20_000)),
        flood("HTTP/2: SETTINGS", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).repeat(20_000)),
        flood("HTTP/2: PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]).repeat(20_000)),
        flood("HTTP/2: WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &one).repeat(20_000)),
        flood("HTTP/2: frames of no known kind", frame(0xbe, 0, 0, &[]).repeat(20_000)),
        flood("HTTP/2: heads without end", endless),
        flood("HTTP/2: empty DATA", begun(frame(DATA, 0, 1, &[]).repeat(20_000))),
        flood("HTTP/2: DATA of one byte", begun(frame(DATA, 0, 1, b"x").repeat(20_000))),
        flood("HTTP/2: streams reset by the client", streams(&|id| reset(id).concat())),
        flood("HTTP/2: streams reset by the gateway", streams(&|id| provoke(id).concat())),
    ]
}

fn whole(bytes: Vec<u8>, awaited: Awaited) -> Step {
    Step { piece: bytes.len().max(1), bytes, awaited }
}

/// Requests, as many at once as may run, each as short as HPACK makes it: all but the first are references.
fn requests_of_http2(known: &Known) -> Vec<Attack> {
    let batches = |name, count: u32, first: Vec<u8>, again: &dyn Fn(u32) -> Vec<u8>| {
        let request = |number: u32, block: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, id(number), block);
        let mut steps = vec![whole(request(0, &first), Awaited::Streams(1))];
        for batch in 0..count {
            let numbers = 1 + batch * STREAMS..1 + (batch + 1) * STREAMS;
            let bytes = numbers.flat_map(|number| request(number, &again(number))).collect();
            steps.push(whole(bytes, Awaited::Streams(STREAMS as usize)));
        }
        Attack::of(name, preface(), steps)
    };
    // The newest field that was remembered is 62, the one before it 63.
    let get = [0x82, 0x86];
    let remembered = |path: &str, more: &[(&str, &str)]| {
        let mut block = get.to_vec();
        for (name, value) in [&[(":authority", "app.test"), (":path", path)], more].concat() {
            block.push(0x40);
            text(&mut block, name);
            text(&mut block, value);
        }
        block
    };
    let plain = [0x82, 0x86, 0xbf, 0xbe].to_vec();
    let with_field = [0x82, 0x86, 0xc0, 0xbf, 0xbe].to_vec();
    let large = "y".repeat(3_000);
    let bomb = [with_field.clone(), vec![0xbe; 8]].concat();
    let junk = format!("Bearer locum_pat_{}", "a".repeat(58));
    let foreign = |number: u32| {
        let mut block = [0x82, 0x86, 0xbf, 0xbe, 0x00].to_vec();
        text(&mut block, "authorization");
        text(&mut block, &format!("Bearer {}", known.foreign[number as usize % known.foreign.len()]));
        block
    };
    vec![
        batches("HTTP/2: no credential", 20, remembered("/x", &[]), &|_| plain.clone()),
        batches("HTTP/2: token that nobody made", 5, remembered("/x", &[]), &foreign),
        batches("HTTP/2: junk for a token", 20, remembered("/x", &[("authorization", &junk)]), &|_| with_field.clone()),
        batches("HTTP/2: large heads by reference", 5, remembered("/x", &[("x-large", &large)]), &|_| bomb.clone()),
        batches("HTTP/2: large heads by reference to an app", 5, remembered("/pub/x", &[("x-large", &large)]), &|_| {
            bomb.clone()
        }),
        batches("HTTP/2: answers of an app, asked by everybody", 20, remembered("/pub/x", &[]), &|_| plain.clone()),
    ]
}
