//! Heads and bodies in turn: how many of the bytes that came may be handed on.

use super::HeadFault;
use super::framing::{self, Framing};
use super::head::{self, Head};

/// What bounds a head.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub head_bytes: usize,
    pub head_fields: usize,
}

/// Reads one connection's bytes as messages.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Head(Head),
    Body(Framing),
    /// Nothing that comes now can be told apart.
    Over,
}

/// What was found in some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    /// So many may be handed on. What is behind them is a head that is not whole yet: it is to be shown
    /// again, with more behind it.
    pub pass: usize,
    pub end: Option<End>,
    /// Whether the last head that passed asks for another protocol, and nothing has come behind it.
    pub upgrade: bool,
}

/// Why nothing more may be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The head behind what passed is refused.
    Head(HeadFault),
    /// What passed ends with a byte that no body may have at its place.
    Body,
}

impl Scanner {
    pub fn new(limits: Limits) -> Self {
        Self { limits, phase: Phase::Head(Head::default()) }
    }

    /// Reads on. `bytes` begin behind what has passed so far.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut scan = Scan { pass: 0, end: None, upgrade: false };
        loop {
            let rest = &bytes[scan.pass..];
            match &mut self.phase {
                Phase::Head(head) => match head.advance(rest, self.limits) {
                    Ok(head::Progress::Partial) => return scan,
                    Ok(head::Progress::Whole { length, framing, upgrade }) => {
                        scan.pass += length;
                        scan.upgrade = upgrade && scan.pass == bytes.len();
                        self.phase = Phase::Body(framing);
                    }
                    Err(fault) => {
                        self.phase = Phase::Over;
                        scan.end = Some(End::Head(fault));
                        return scan;
                    }
                },
                Phase::Body(framing) => {
                    let (taken, progress) = framing.advance(rest);
                    scan.pass += taken;
                    match progress {
                        framing::Progress::More => {
                            scan.upgrade = false;
                            return scan;
                        }
                        framing::Progress::Whole => self.phase = Phase::Head(Head::default()),
                        framing::Progress::Broken => {
                            self.phase = Phase::Over;
                            scan.end = Some(End::Body);
                            return scan;
                        }
                    }
                }
                Phase::Over => return scan,
            }
        }
    }

    /// Whether the client may still be in the middle of a message, or of what was refused.
    pub(super) const fn is_inside(&self) -> bool {
        !matches!(self.phase, Phase::Head(_))
    }
}
