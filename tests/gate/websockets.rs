//! WebSockets that stay open until somebody ends them: an app that answers and tells, and clients that hold it to both.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::frames::{DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, block, status};
use crate::load::Seen;
use crate::locum::Locum;
use crate::reload::value_of;
use crate::upstream::{Next, Upstream, respond};

/// The key of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
/// "Service restart": the client is to come back.
const RESTART: u16 = 1012;
/// Between two messages.
const PAUSE: Duration = Duration::from_millis(10);
/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An app that answers requests with their target, sends messages back on `/echo`, and counts from 0 on `/count`.
pub(crate) fn app() -> Upstream {
    Upstream::start(
        |seen, stream| {
            let key = seen.value("sec-websocket-key")?;
            let text = [key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
            let accept = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
            let switch = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            let (mut stream, counts) = (stream.try_clone().unwrap(), seen.target() == "/count");
            std::thread::spawn(move || {
                let agreed = stream.write_all(switch.as_bytes());
                agreed.and_then(|()| if counts { count(&mut stream) } else { echo(&mut stream) })
            });
            Some(Next::Close)
        },
        |seen, stream| respond(stream, "200 OK", &[], seen.target().as_bytes()),
    )
}

fn count(stream: &mut TcpStream) -> std::io::Result<()> {
    for number in 0_u32.. {
        stream.write_all(&[&[0x80 | BINARY, 4][..], &number.to_be_bytes()].concat())?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Sends back each frame of a client, without its mask.
fn echo(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 6];
        stream.read_exact(&mut head)?;
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        stream.read_exact(&mut payload)?;
        let plain = payload.iter().zip(head[2..].iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let frame: Vec<u8> = [head[0], head[1] & 0x7f].into_iter().chain(plain).collect();
        stream.write_all(&frame)?;
    }
}

/// Asks for an answer on one WebSocket after the other.
pub(crate) fn keep_talking(gate: &Locum, basic: &str, going_on: &AtomicBool) -> Seen {
    keep_open(|| Upgraded::open(gate, "/echo", basic), going_on, true)
}

/// Only listens.
pub(crate) fn keep_listening(gate: &Locum, basic: &str, going_on: &AtomicBool) -> Seen {
    keep_open(|| Upgraded::open(gate, "/count", basic), going_on, false)
}

pub(crate) fn keep_talking_over_http2(gate: &Locum, basic: &str, going_on: &AtomicBool) -> Seen {
    keep_open(|| Tunnel::open(gate, "/echo", basic), going_on, true)
}

pub(crate) fn keep_listening_over_http2(gate: &Locum, basic: &str, going_on: &AtomicBool) -> Seen {
    keep_open(|| Tunnel::open(gate, "/count", basic), going_on, false)
}

/// What carries the frames of a WebSocket.
trait Carrier {
    /// That the other side has closed already is for the reading to find out.
    fn send(&mut self, bytes: &[u8]);
    /// The next bytes; none at the orderly end.
    fn receive(&mut self) -> Result<Vec<u8>, String>;
}

/// Opens a WebSocket whenever there is none. One that ends is to say so, as one of a gate that restarts.
fn keep_open<C: Carrier>(open: impl Fn() -> Result<C, String>, going_on: &AtomicBool, talks: bool) -> Seen {
    let mut seen = Seen::default();
    while going_on.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let opened = open().and_then(|carrier| {
            seen.longest = seen.longest.max(asked.elapsed());
            Messages { carrier, buffer: Vec::new() }.exchange(talks, going_on, &mut seen.messages)
        });
        match opened {
            Ok(None) => {}
            Ok(Some(RESTART)) => seen.told += 1,
            Ok(Some(code)) => seen.failures.push(format!("a WebSocket was ended with {code}")),
            Err(why) => seen.failures.push(format!("a WebSocket: {why}")),
        }
    }
    seen
}

struct Messages<C> {
    carrier: C,
    buffer: Vec<u8>,
}

impl<C: Carrier> Messages<C> {
    /// Exchanges messages, each of which has to come and in its turn; with the code of the end, where the gate ends it.
    fn exchange(&mut self, talks: bool, going_on: &AtomicBool, messages: &mut usize) -> Result<Option<u16>, String> {
        for number in 0_u32.. {
            if !going_on.load(Ordering::Relaxed) {
                break;
            }
            let number = number.to_be_bytes();
            if talks {
                self.send(BINARY, &number);
            }
            let (kind, payload) = self.next()?;
            match kind {
                BINARY if payload == number => *messages += 1,
                CLOSE => return self.goodbye(&payload).map(Some),
                other => return Err(format!("message {number:?}: {other} {payload:?}")),
            }
            if talks {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(None)
    }

    /// Answers the other side's last word, behind which there has to be nothing but the end.
    fn goodbye(&mut self, payload: &[u8]) -> Result<u16, String> {
        let code = payload.first_chunk().ok_or("a goodbye without a code")?;
        self.send(CLOSE, code);
        let rest = self.carrier.receive()?;
        if !rest.is_empty() || !self.buffer.is_empty() {
            return Err(format!("bytes behind the goodbye: {:?} {rest:?}", self.buffer));
        }
        Ok(u16::from_be_bytes(*code))
    }

    /// A short frame under a mask, as a client's has to be.
    fn send(&mut self, kind: u8, payload: &[u8]) {
        let mask = [0x1f, 0x2e, 0x3d, 0x4c];
        let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let length = 0x80 | u8::try_from(payload.len()).expect("a short message");
        let frame: Vec<u8> = [0x80 | kind, length].into_iter().chain(mask).chain(masked).collect();
        self.carrier.send(&frame);
    }

    fn next(&mut self) -> Result<(u8, Vec<u8>), String> {
        loop {
            if let [first, length, ..] = self.buffer[..]
                && self.buffer.len() >= 2 + usize::from(length)
            {
                if first & 0x80 == 0 || length > 125 {
                    return Err(format!("a frame that nobody sent: {:?}", self.buffer));
                }
                let payload = self.buffer.drain(..2 + usize::from(length)).skip(2).collect();
                return Ok((first & 0x0f, payload));
            }
            let more = self.carrier.receive()?;
            if more.is_empty() {
                return Err(format!("it ended without a goodbye, with {:?}", self.buffer));
            }
            self.buffer.extend(more);
        }
    }
}

/// Over HTTP/1.1.
struct Upgraded {
    stream: TcpStream,
    /// What came with the answer's head.
    early: Vec<u8>,
}

impl Upgraded {
    fn open(gate: &Locum, path: &str, basic: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(gate.address()).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: app.test\r\n{basic}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
        let mut opened = Self { stream, early: Vec::new() };
        let mut answer = Vec::new();
        loop {
            let more = opened.receive()?;
            answer.extend_from_slice(&more);
            if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
                opened.early = answer.split_off(end + 4);
                break;
            }
            if more.is_empty() {
                return Err(format!("it was not opened: {:?}", String::from_utf8_lossy(&answer)));
            }
        }
        let agreed = answer.starts_with(b"HTTP/1.1 101 ");
        if agreed { Ok(opened) } else { Err(format!("it was refused: {}", String::from_utf8_lossy(&answer))) }
    }
}

impl Carrier for Upgraded {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).ok();
    }

    fn receive(&mut self) -> Result<Vec<u8>, String> {
        if !self.early.is_empty() {
            return Ok(std::mem::take(&mut self.early));
        }
        let mut piece = vec![0; 4096];
        let read = self.stream.read(&mut piece).map_err(|error| format!("it broke off: {error}"))?;
        piece.truncate(read);
        Ok(piece)
    }
}

/// Over HTTP/2 (RFC 8441), each on a connection of its own.
struct Tunnel {
    frames: Frames,
    ended: bool,
}

impl Tunnel {
    fn open(gate: &Locum, path: &str, basic: &str) -> Result<Self, String> {
        let head = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "app.test"),
            ("sec-websocket-version", "13"),
            ("authorization", value_of(basic)),
        ];
        'connection: loop {
            let mut frames = Frames::connect(gate.address());
            frames.frame(HEADERS, END_HEADERS, 1, &block(&head));
            loop {
                let frame = frames.of(1).ok_or("the connection ended before it was open")?;
                match frame.kind {
                    // A stream that was not taken is opened on another connection (RFC 9113 §6.8).
                    GOAWAY if frame.payload[..4] == [0; 4] => continue 'connection,
                    GOAWAY => {}
                    HEADERS if frame.flags & END_STREAM == 0 && status(&frame.payload) == 200 => {
                        return Ok(Self { frames, ended: false });
                    }
                    _ => return Err(format!("it was refused: {frame:?}")),
                }
            }
        }
    }
}

impl Carrier for Tunnel {
    fn send(&mut self, bytes: &[u8]) {
        self.frames.frame(DATA, 0, 1, bytes);
    }

    fn receive(&mut self) -> Result<Vec<u8>, String> {
        while !self.ended {
            let frame = self.frames.of(1).ok_or("the connection ended without a word")?;
            match frame.kind {
                GOAWAY => {}
                DATA => {
                    self.ended = frame.flags & END_STREAM != 0;
                    if !frame.payload.is_empty() {
                        return Ok(frame.payload);
                    }
                }
                RST_STREAM => return Err(format!("its stream was reset: {:?}", frame.payload)),
                _ => return Err(format!("another frame: {frame:?}")),
            }
        }
        Ok(Vec::new())
    }
}
