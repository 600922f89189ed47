//! One direction of a tunnel.
//!
//! What is read is written at once; only what the other side has not taken is kept, and nothing more is
//! read until it has. So a silent tunnel holds no buffer, and a busy one never more than one.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Boundaries;

/// How much is read at once.
const PIECE: usize = 16 * 1024;

/// Bytes from one side to the other.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What the other side has not taken yet, from `taken` on.
    kept: Vec<u8>,
    taken: usize,
    /// How many bytes the other side has taken in all.
    pub(super) moved: u64,
    /// Follows what the other side has taken, where anybody wants to know.
    pub(super) boundaries: Option<Boundaries>,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The one side has said its last; the other one is to be told.
    Ending,
    Ended,
}

/// Which side failed.
#[derive(Debug)]
pub(super) enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

impl Lane {
    /// A lane of which the other side's part is followed.
    pub(super) fn followed_by(boundaries: Option<Boundaries>) -> Self {
        Self { boundaries, ..Self::default() }
    }

    /// Whether the one side has said its last.
    pub(super) fn is_over(&self) -> bool {
        self.state != State::Open
    }

    /// Moves what can be moved; ready once the last byte was handed over, and that it was the last.
    pub(super) fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Broken>> {
        loop {
            while self.taken < self.kept.len() {
                let part = ready!(Pin::new(&mut *to).poll_write(cx, &self.kept[self.taken..]));
                let part = some(part).map_err(Broken::Writing)?;
                take(&mut self.moved, self.boundaries.as_mut(), &self.kept[self.taken..self.taken + part]);
                self.taken += part;
            }
            self.kept = Vec::new();
            self.taken = 0;
            match self.state {
                State::Open => {}
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Broken::Writing)?;
                    self.state = State::Ended;
                    return Poll::Ready(Ok(()));
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
            let mut piece = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut *from).poll_read(cx, &mut piece) {
                Poll::Pending => {
                    ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(Broken::Writing)?;
                    return Poll::Pending;
                }
                Poll::Ready(read) => read.map_err(Broken::Reading)?,
            }
            let fresh = piece.filled();
            if fresh.is_empty() {
                self.state = State::Ending;
                continue;
            }
            let part = match Pin::new(&mut *to).poll_write(cx, fresh) {
                Poll::Pending => 0,
                Poll::Ready(part) => some(part).map_err(Broken::Writing)?,
            };
            take(&mut self.moved, self.boundaries.as_mut(), &fresh[..part]);
            self.kept.extend_from_slice(&fresh[part..]);
        }
    }
}

fn take(moved: &mut u64, boundaries: Option<&mut Boundaries>, sent: &[u8]) {
    *moved += sent.len() as u64;
    if let Some(boundaries) = boundaries {
        boundaries.follow(sent);
    }
}

/// A side that takes nothing of something takes nothing ever.
fn some(part: io::Result<usize>) -> io::Result<usize> {
    match part? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        part => Ok(part),
    }
}
