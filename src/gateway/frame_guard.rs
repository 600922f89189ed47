//! How much work a peer of HTTP/2 may make by frames that ask for nothing: PING, SETTINGS, PRIORITY, `WINDOW_UPDATE`,
//! `RST_STREAM` and whatever is not known (CVE-2019-9512, -9513, -9515).
//!
//! h2 answers each of them for as long as they come. Each is small, so a peer sends a hundred thousand of them for what
//! reading and answering costs us. So they are counted here, under h2, on both sides of the gateway: a peer begins with
//! an allowance, each such frame takes from it, and time and work give back: a request, an answer, a piece of a body.
//! Whoever has nothing left is told so, as far as it still listens, and its connection ends.
//!
//! What h2 bounds itself is not counted again: CONTINUATION by the size of the head, and DATA that is empty or tiny. But
//! DATA of a stream that was reset from here it takes and forgets, for as long as that comes: so this is counted too.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What a connection begins with, what comes back with time, and how much can be saved. A client may answer each 4 KiB of
/// four megabytes that are on their way with two frames after we have sent the last of them.
const AT_ONCE: u32 = 1_000;
const PER_SECOND: f64 = 100.0;
const MOST: u32 = 10_000;

/// What one frame costs. SETTINGS are looked up in every stream that is open.
const ONE: u32 = 1;
const OF_SETTINGS: u32 = 10;
/// What a request of a client gives back: who begins a stream may say what it is worth, and take it back.
const BY_A_REQUEST: u32 = 8;
/// What a request to an app gives back: as many steps on the way as are taken from it, and as much as for a client.
const BY_ASKING: u32 = 64 + BY_A_REQUEST;
/// What each frame of a body gives back that we send (Envoy allows as many).
const BY_DATA: u32 = 10;

/// How many streams that were reset from here are known, which is as many as h2 remembers: of older ones it takes nothing.
const RESETS_OF_CLIENTS: usize = 64;
const RESETS_OF_APPS: usize = 256;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;

/// What a connection begins with at the side of the client (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// GOAWAY with `ENHANCE_YOUR_CALM` (RFC 9113 §6.8). What of the streams was looked at is not said, so that nothing is done
/// twice.
const GOODBYE: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11];

/// At which side of the gateway a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerIs {
    Client,
    App,
}

/// The bytes of a connection of HTTP/2, with its frames counted on their way.
#[derive(Debug)]
pub struct FrameGuard<S> {
    stream: S,
    peer: PeerIs,
    incoming: Scan,
    outgoing: Scan,
    allowance: Allowance,
    resets: Resets,
}

impl<S> FrameGuard<S> {
    /// Of a connection of which nothing was read or written as HTTP/2.
    pub fn new(stream: S, peer: PeerIs) -> Self {
        let (incoming, outgoing, most_resets) = match peer {
            PeerIs::Client => (Scan::after(PREFACE), Scan::after(0), RESETS_OF_CLIENTS),
            PeerIs::App => (Scan::after(0), Scan::after(PREFACE), RESETS_OF_APPS),
        };
        let resets = Resets { streams: Vec::new(), most: most_resets, next: 0 };
        Self { stream, peer, incoming, outgoing, allowance: Allowance::new(), resets }
    }

    /// Whether the peer may send what it sent.
    fn came(&mut self, mut bytes: &[u8]) -> bool {
        while let Some(Head { kind, flags, stream }) = self.incoming.next(&mut bytes) {
            let cost = match (kind, self.peer) {
                (DATA, _) if self.resets.contain(stream) => ONE,
                (DATA | CONTINUATION, _) => continue,
                (HEADERS, PeerIs::Client) => {
                    self.allowance.earn(BY_A_REQUEST);
                    continue;
                }
                (SETTINGS, _) if flags & ACK == 0 => OF_SETTINGS,
                _ => ONE,
            };
            if !self.allowance.spend(cost, Instant::now) {
                return false;
            }
        }
        true
    }

    fn went(&mut self, mut bytes: &[u8]) {
        while let Some(Head { kind, stream, .. }) = self.outgoing.next(&mut bytes) {
            match (kind, self.peer) {
                (RST_STREAM, _) => self.resets.add(stream),
                (DATA, _) => self.allowance.earn(BY_DATA),
                (HEADERS, PeerIs::App) => self.allowance.earn(BY_ASKING),
                _ => {}
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> FrameGuard<S> {
    fn end(&mut self, cx: &mut Context<'_>) -> io::Error {
        match self.peer {
            PeerIs::Client => metrics::counter!("locum_connections_flooded_total").increment(1),
            PeerIs::App => metrics::counter!("locum_app_connections_flooded_total").increment(1),
        }
        if self.outgoing.is_between_frames() {
            // For one that floods by a defect of its own, and still listens. Of one that does not, nothing is expected.
            let told = Pin::new(&mut self.stream).poll_write(cx, &GOODBYE);
            if matches!(told, Poll::Ready(Ok(_))) {
                let _sent = Pin::new(&mut self.stream).poll_flush(cx);
            }
        }
        io::Error::new(io::ErrorKind::ConnectionAborted, "frames came without end that ask for nothing")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for FrameGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if !self.came(&buffer.filled()[before..]) {
            // With an error nothing was read.
            buffer.set_filled(before);
            return Poll::Ready(Err(self.end(cx)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FrameGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.went(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        let mut left = written;
        for slice in slices {
            let length = slice.len().min(left);
            self.went(&slice[..length]);
            left -= length;
            if left == 0 {
                break;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[derive(Debug)]
struct Allowance {
    left: u32,
    /// Until when time has given back.
    as_of: Instant,
}

impl Allowance {
    fn new() -> Self {
        Self { left: AT_ONCE, as_of: Instant::now() }
    }

    fn earn(&mut self, amount: u32) {
        self.left = (self.left + amount).min(MOST);
    }

    /// The clock is asked only when there is too little without it.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is at most AT_ONCE, and not negative"
    )]
    fn spend(&mut self, amount: u32, now: impl FnOnce() -> Instant) -> bool {
        if self.left < amount {
            let now = now();
            let back = now.duration_since(self.as_of).as_secs_f64() * PER_SECOND;
            self.left += back.min(f64::from(AT_ONCE)) as u32;
            self.as_of = now;
        }
        let left = self.left.checked_sub(amount);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

/// The streams that were reset from here last.
#[derive(Debug)]
struct Resets {
    streams: Vec<u32>,
    most: usize,
    next: usize,
}

impl Resets {
    fn add(&mut self, stream: u32) {
        if self.streams.len() < self.most {
            self.streams.push(stream);
        } else {
            self.streams[self.next] = stream;
            self.next = (self.next + 1) % self.most;
        }
    }

    fn contain(&self, stream: u32) -> bool {
        self.streams.contains(&stream)
    }
}

/// What of a frame's head is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Finds the heads of frames in bytes that come in pieces (RFC 9113 §4.1).
#[derive(Debug)]
struct Scan {
    head: [u8; 9],
    have: usize,
    /// How much of a payload is still to come.
    rest: usize,
}

impl Scan {
    const fn after(skipped: usize) -> Self {
        Self { head: [0; 9], have: 0, rest: skipped }
    }

    const fn is_between_frames(&self) -> bool {
        self.have == 0 && self.rest == 0
    }

    /// The next head that is whole; `None` when all of the bytes were looked at.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        let skipped = self.rest.min(bytes.len());
        self.rest -= skipped;
        let taken = (self.head.len() - self.have).min(bytes.len() - skipped);
        self.head[self.have..self.have + taken].copy_from_slice(&bytes[skipped..skipped + taken]);
        self.have += taken;
        *bytes = &bytes[skipped + taken..];
        if self.have < self.head.len() {
            return None;
        }
        let [high, middle, low, kind, flags, stream @ ..] = self.head;
        (self.have, self.rest) = (0, u32::from_be_bytes([0, high, middle, low]) as usize);
        // The first bit says nothing.
        Some(Head { kind, flags, stream: u32::from_be_bytes(stream) & (u32::MAX >> 1) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        [vec![0, 0, length, kind, flags, 0, 0, 0, 1], vec![0xff; length.into()]].concat()
    }

    proptest! {
        /// G12: heads are found wherever the bytes are cut.
        #[test]
        fn heads_are_found_in_pieces_of_any_size(
            frames in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..20),
            pieces in prop::collection::vec(1..40_usize, 1..50),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, flags, length)| frame(*kind, *flags, *length)).collect();
            let (mut scan, mut rest, mut found) = (Scan::after(0), &bytes[..], Vec::new());
            for size in pieces.iter().cycle() {
                let (mut piece, after) = rest.split_at((*size).min(rest.len()));
                rest = after;
                while let Some(Head { kind, flags, stream: 1 }) = scan.next(&mut piece) {
                    found.push((kind, flags));
                }
                if rest.is_empty() {
                    break;
                }
            }
            let sent: Vec<(u8, u8)> = frames.iter().map(|(kind, flags, _)| (*kind, *flags)).collect();
            prop_assert_eq!(found, sent);
            prop_assert!(scan.is_between_frames());
        }
    }

    /// G12: what is sent on streams that were reset is counted, on as many as anybody remembers.
    #[test]
    fn data_of_streams_that_were_reset_is_counted() {
        let mut guard = FrameGuard::new((), PeerIs::App);
        let data = |guard: &mut FrameGuard<()>| (0..5_000).take_while(|_| guard.came(&frame(DATA, 0, 8))).count();
        assert_eq!(data(&mut guard), 5_000);
        guard.went(&[0; PREFACE]);
        guard.went(&frame(RST_STREAM, 0, 4));
        assert_eq!(data(&mut guard), 1_000);
        for stream in 2..1_000 {
            guard.resets.add(stream);
        }
        assert_eq!(guard.resets.streams.len(), RESETS_OF_APPS);
        assert!(!guard.resets.contain(743) && guard.resets.contain(744) && guard.resets.contain(999));
    }

    /// G12: time and work give back what frames take, and nobody saves without end.
    #[test]
    fn an_allowance_comes_back_with_time_and_with_work() {
        let mut allowance = Allowance::new();
        let begun = allowance.as_of;
        let spent = |allowance: &mut Allowance, now| (0..100_000).take_while(|_| allowance.spend(ONE, || now)).count();
        assert_eq!(spent(&mut allowance, begun), 1_000);
        let later = begun + Duration::from_secs(2);
        assert_eq!(spent(&mut allowance, later), 200);
        allowance.earn(50);
        assert_eq!(spent(&mut allowance, later), 50);
        for _ in 0..10_000 {
            allowance.earn(BY_DATA);
        }
        assert_eq!(spent(&mut allowance, later), 10_000);
        assert_eq!(spent(&mut allowance, later + Duration::from_hours(1)), 1_000);
    }

    /// G12: whoever floods is told to be calm, and its connection ends; an app too.
    #[tokio::test]
    async fn who_floods_is_told_so() {
        for (peer, before) in [(PeerIs::Client, PREFACE), (PeerIs::App, 0)] {
            let (mut theirs, ours) = tokio::io::duplex(1 << 20);
            let mut guard = FrameGuard::new(ours, peer);
            let flood = [vec![b'x'; before], frame(PING, 0, 8).repeat(1_001)].concat();
            theirs.write_all(&flood).await.unwrap();
            let preface = if peer == PeerIs::App { PREFACE } else { 0 };
            guard.write_all(&vec![b'x'; preface]).await.unwrap();
            let mut read = Vec::new();
            let ended = guard.read_to_end(&mut read).await.unwrap_err();
            assert_eq!(ended.kind(), io::ErrorKind::ConnectionAborted);
            drop(guard);
            let mut told = Vec::new();
            theirs.read_to_end(&mut told).await.unwrap();
            assert_eq!(told[preface..], GOODBYE);
        }
    }
}
