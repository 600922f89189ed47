//! A client that writes raw bytes and reads what comes back by lines of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// What was read and not yet taken.
    pub(crate) buffer: Vec<u8>,
}

/// One response.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// How the reading of a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// The connection ended first.
    BrokenOff,
}

impl Answer {
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let named = |line: &'_ str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        let lines = self.head.lines().skip(1).filter(|line| named(line));
        lines.filter_map(|line| line.split_once(':')).map(|(_, value)| value.trim()).collect()
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} came {} times", values.len());
        values.first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connect_from([127, 0, 0, 1], address)
    }

    /// From one of the addresses of the loopback network.
    pub(crate) fn connect_from(source: [u8; 4], address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("the address is ours");
        socket.connect(&address.into()).expect("the gateway listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        Self { stream, buffer: Vec::new() }
    }

    /// A client whose kernel takes little that it has not read.
    pub(crate) fn connect_with_little_room(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(64 * 1024).expect("a size can be set");
        socket.connect(&address.into()).expect("the gateway listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { stream, buffer: Vec::new() }
    }

    /// Writes; that the other side has closed already is for the reading to find out.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// The next response, to a request that was not `HEAD`, behind hints.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        while answer.status == 103 {
            answer = self.head()?;
        }
        let (body, end) = self.body(&answer);
        assert_eq!(end, End::Whole, "the body broke off: {}", answer.head);
        answer.body = body;
        Some(answer)
    }

    /// The head of the next response.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..at + 4).collect();
                let head: String = head.into_iter().map(char::from).collect();
                let status = head.split(' ').nth(1)?.parse().ok()?;
                return Some(Answer { status, head, body: Vec::new() });
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// The body that belongs to a head, as far as it comes.
    pub(crate) fn body(&mut self, head: &Answer) -> (Vec<u8>, End) {
        let mut body = Vec::new();
        if matches!(head.status, 204 | 304) {
            return (body, End::Whole);
        }
        if let Some(length) = head.value("content-length") {
            let length: usize = length.parse().expect("a length is a number");
            let end = self.take(length, &mut body);
            return (body, end);
        }
        if head.value("transfer-encoding").is_none() {
            while self.fill() {}
            return (std::mem::take(&mut self.buffer), End::Whole);
        }
        while let Some(piece) = self.chunk() {
            if piece.is_empty() {
                return (body, End::Whole);
            }
            body.extend(piece);
        }
        (body, End::BrokenOff)
    }

    /// The next chunk of a chunked body; empty at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let at = loop {
            match find(&self.buffer, b"\r\n") {
                Some(at) => break at,
                None if !self.fill() => return None,
                None => {}
            }
        };
        let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
        let size =
            usize::from_str_radix(std::str::from_utf8(&line[..at]).expect("a size is ASCII"), 16).expect("a size");
        let mut piece = Vec::new();
        if self.take(size + 2, &mut piece) == End::BrokenOff {
            return None;
        }
        piece.truncate(size);
        Some(piece)
    }

    /// Whether the connection ends without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    /// Whether something has come.
    pub(crate) fn is_readable(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        peeked.is_ok()
    }

    /// The same for a connection that has to stay open.
    pub(crate) fn is_open(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        let mut byte = [0];
        let read = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        match read {
            Ok(read) => read > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    fn take(&mut self, length: usize, into: &mut Vec<u8>) -> End {
        while into.len() < length {
            if self.buffer.is_empty() && !self.fill() {
                return End::BrokenOff;
            }
            let part = (length - into.len()).min(self.buffer.len());
            into.extend(self.buffer.drain(..part));
        }
        End::Whole
    }

    /// More bytes; none at the end of the connection. A client that waits for ever is a failed test.
    pub(crate) fn fill(&mut self) -> bool {
        let mut chunk = vec![0; 64 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                read > 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came for {PATIENCE:?}; so far: {:?}", String::from_utf8_lossy(&self.buffer))
            }
            Err(_) => false,
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
