//! Where a body ends.

/// The framing of one body, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are left.
    Length(u64),
    Chunked(Chunked),
}

/// What comes next in a chunked body (RFC 9112 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    /// The first digit of a size.
    Start,
    /// More of the size that has been read so far.
    Size(u64),
    Extension(u64),
    /// The LF that ends the line of a size.
    SizeLf(u64),
    /// So many bytes of data are left, and never none.
    Data(u64),
    DataCr,
    DataLf,
    /// A trailer, or the end.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

/// How far a body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Whole,
    /// It is not framed as it has to be. The last byte that was taken is the first one that is wrong.
    Broken,
}

impl Framing {
    pub(super) const fn length(length: u64) -> Self {
        Self::Length(length)
    }

    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunked::Start)
    }

    /// Reads on: how many of the bytes belong to the body.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> (usize, Progress) {
        match self {
            Self::Length(left) => {
                let taken = skip(left, bytes.len());
                (taken, if *left == 0 { Progress::Whole } else { Progress::More })
            }
            Self::Chunked(state) => state.advance(bytes),
        }
    }
}

impl Chunked {
    fn advance(&mut self, bytes: &[u8]) -> (usize, Progress) {
        let mut at = 0;
        while at < bytes.len() {
            if let Self::Data(left) = self {
                at += skip(left, bytes.len() - at);
                if *left == 0 {
                    *self = Self::DataCr;
                }
                continue;
            }
            let byte = bytes[at];
            at += 1;
            *self = match self.after(byte) {
                Some(next) => next,
                None if *self == Self::EndLf && byte == b'\n' => return (at, Progress::Whole),
                None => return (at, Progress::Broken),
            };
        }
        (at, Progress::More)
    }

    /// What comes after this byte; `None` after the last one, and after one that is wrong.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Start, _) => Some(Self::Size(digit(byte)?)),
            (Self::Size(size) | Self::Extension(size), b'\r') => Some(Self::SizeLf(size)),
            (Self::Size(size), b';') => Some(Self::Extension(size)),
            (Self::Size(size), _) => Some(Self::Size(size.checked_mul(16)?.checked_add(digit(byte)?)?)),
            (Self::SizeLf(0) | Self::TrailerLf, b'\n') => Some(Self::TrailerStart),
            (Self::SizeLf(size), b'\n') => Some(Self::Data(size)),
            (Self::DataCr, b'\r') => Some(Self::DataLf),
            (Self::DataLf, b'\n') => Some(Self::Start),
            (Self::TrailerStart, b'\r') => Some(Self::EndLf),
            (Self::Trailer, b'\r') => Some(Self::TrailerLf),
            // A bare LF in them would be the end of a line for somebody.
            (Self::Extension(size), _) if byte != b'\n' => Some(Self::Extension(size)),
            (Self::TrailerStart | Self::Trailer, _) if byte != b'\n' => Some(Self::Trailer),
            _ => None,
        }
    }
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

/// Takes what is there of what is left.
fn skip(left: &mut u64, there: usize) -> usize {
    let taken = usize::try_from(*left).map_or(there, |left| left.min(there));
    *left -= taken as u64;
    taken
}
