//! A client of HTTP/2 that writes frames by hand, right ones and wrong ones, and shares no code with the
//! server: headers go out as plain literals, and of answers it reads as much as the status.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// How long an answer may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of a stream, or of the whole connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Status(u16),
    /// The stream was reset, with this code.
    Reset(u32),
    /// The connection was ended, with this code.
    Goaway(u32),
    /// The connection ended without a word.
    Closed,
}

pub(crate) struct Frames {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Frames that were read while another stream's were looked for.
    kept: VecDeque<Frame>,
}

impl Frames {
    /// Connects and says that nothing may be remembered between two heads, so that each can be read alone.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        let mut frames = Self { stream, buffer: Vec::new(), kept: VecDeque::new() };
        frames.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frames.frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
        frames
    }

    /// Writes; that the other side has closed already is for the reading to find out.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.send(&frame(kind, flags, stream, payload))
    }

    /// A request that ends with its head.
    pub(crate) fn request(&mut self, stream: u32, fields: &[(&str, &str)]) -> bool {
        self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
    }

    /// The next frame; settings and pings are answered on the way.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = self.read()?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    self.frame(SETTINGS, ACK, 0, &[]);
                }
                PING if frame.flags & ACK == 0 => {
                    self.frame(PING, ACK, 0, &frame.payload);
                }
                SETTINGS | PING | WINDOW_UPDATE => {}
                _ => return Some(frame),
            }
        }
    }

    /// What becomes of a stream first: its status, its reset, or the end of everything.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            let Some(frame) = self.of(stream) else { return Outcome::Closed };
            match frame.kind {
                HEADERS => return Outcome::Status(status(&frame.payload)),
                RST_STREAM => return Outcome::Reset(number(&frame.payload[..4])),
                GOAWAY => return Outcome::Goaway(number(&frame.payload[4..8])),
                _ => {}
            }
        }
    }

    /// The next frame of a stream, or of the connection.
    pub(crate) fn of(&mut self, stream: u32) -> Option<Frame> {
        let ours = |frame: &Frame| frame.stream == stream || frame.kind == GOAWAY;
        if let Some(at) = self.kept.iter().position(ours) {
            return self.kept.remove(at);
        }
        loop {
            let frame = self.next()?;
            if ours(&frame) {
                return Some(frame);
            }
            self.kept.push_back(frame);
        }
    }

    /// Reads to the end of the connection; the code with which it was ended.
    pub(crate) fn end(&mut self) -> Outcome {
        let mut outcome = Outcome::Closed;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                outcome = Outcome::Goaway(number(&frame.payload[4..8]));
            }
        }
        outcome
    }

    fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<9>() {
                let length = number(&[0, head[0], head[1], head[2]]) as usize;
                if self.buffer.len() >= 9 + length {
                    let (kind, flags, stream) = (head[3], head[4], number(&head[5..9]) & 0x7fff_ffff);
                    let payload = self.buffer.drain(..9 + length).skip(9).collect();
                    return Some(Frame { kind, flags, stream, payload });
                }
            }
            let mut chunk = vec![0; 64 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => self.buffer.extend_from_slice(&chunk[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came for {PATIENCE:?}")
                }
                Err(_) => return None,
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame of a test is short").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A head in which each field is a literal that is not to be remembered (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        text(&mut bytes, name);
        text(&mut bytes, value);
    }
    bytes
}

/// A text as it is, after its length with a prefix of seven bits.
pub(crate) fn text(bytes: &mut Vec<u8>, text: &str) {
    let mut rest = text.len();
    if rest < 127 {
        bytes.push(u8::try_from(rest).expect("it is less"));
    } else {
        bytes.push(127);
        rest -= 127;
        while rest >= 128 {
            bytes.push(u8::try_from(rest % 128).expect("it is less") | 128);
            rest /= 128;
        }
        bytes.push(u8::try_from(rest).expect("it is less"));
    }
    bytes.extend(text.as_bytes());
}

/// The status of a head, which is its first field: one of the static table, or a literal.
pub(crate) fn status(block: &[u8]) -> u16 {
    // A change of the table's size may come first.
    let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { block };
    match block[0] {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        0x08 | 0x18 | 0x48 => digits(block),
        other => panic!("a head that begins with {other:#x}"),
    }
}

fn digits(block: &[u8]) -> u16 {
    let length = usize::from(block[1] & 0x7f);
    let value = &block[2..2 + length];
    if block[1] & 0x80 == 0 {
        return std::str::from_utf8(value).expect("digits").parse().expect("a status");
    }
    // Of the code of RFC 7541, appendix B, a status needs the digits only.
    let bits: Vec<u8> = value.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let take = |from: usize, count: usize| bits[from..from + count].iter().fold(0, |n, bit| n << 1 | u16::from(*bit));
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let five = take(at, 5);
        let digit = if five <= 2 { five } else { take(at, 6) - 0x16 };
        at += if five <= 2 { 5 } else { 6 };
        status = status * 10 + digit;
    }
    status
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}
