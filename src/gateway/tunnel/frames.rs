//! Where frames of a WebSocket end (RFC 6455 §5.2), on their way to the client.
//!
//! Between two frames the gateway may say goodbye; in the middle of one its words would be read as the
//! app's. Nothing else is read here: neither payloads nor extensions.

/// The longest head of a frame: two bytes, eight of length, four of a mask.
const LONGEST_HEAD: usize = 14;
const CLOSE: u8 = 8;
const FINAL: u8 = 0x80;

/// How far the frames have come that the client was sent.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    head: [u8; LONGEST_HEAD],
    /// How much of the head is known; 0 between two frames.
    known: usize,
    /// How much of the payload is still to come.
    payload: u64,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    Open,
    /// The app has said goodbye, or is doing so.
    Closing,
    /// What came is no frame that can be followed.
    Lost,
}

impl Boundaries {
    /// Follows what was sent.
    pub(super) fn follow(&mut self, mut sent: &[u8]) {
        while let (Some((first, rest)), true) = (sent.split_first(), self.ending != Ending::Lost) {
            if self.payload > 0 {
                let part = usize::try_from(self.payload).map_or(sent.len(), |left| left.min(sent.len()));
                self.payload -= part as u64;
                sent = &sent[part..];
                continue;
            }
            self.head[self.known] = *first;
            self.known += 1;
            sent = rest;
            self.end_head_if_whole();
        }
    }

    fn end_head_if_whole(&mut self) {
        if self.known < 2 {
            return;
        }
        let length_bytes = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        if self.known < 2 + length_bytes + mask_bytes {
            return;
        }
        let extended = self.head[2..2 + length_bytes].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        self.payload = if length_bytes == 0 { u64::from(self.head[1] & 0x7f) } else { extended };
        self.known = 0;
        if self.payload > i64::MAX as u64 {
            self.ending = Ending::Lost;
        } else if self.head[0] & 0x0f == CLOSE {
            self.ending = Ending::Closing;
        }
    }

    /// The frame that ends the WebSocket with this code, where one can be put and none was before.
    pub(super) fn goodbye(&self, code: u16, reason: &str) -> Option<Vec<u8>> {
        let between_frames = self.known == 0 && self.payload == 0 && self.ending == Ending::Open;
        let length = u8::try_from(2 + reason.len()).ok().filter(|length| *length < 126)?;
        between_frames.then(|| {
            let head = [FINAL | CLOSE, length];
            [&head[..], &code.to_be_bytes(), reason.as_bytes()].concat()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with a payload of this length, the head in its shortest form.
    fn frame(first: u8, mask: bool, length: usize) -> Vec<u8> {
        let bit = if mask { 0x80 } else { 0 };
        let mut frame = match length {
            0..126 => vec![first, bit | u8::try_from(length).unwrap()],
            126..0x1_0000 => [&[first, bit | 0x7e][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
            _ => [&[first, bit | 0x7f][..], &(length as u64).to_be_bytes()].concat(),
        };
        frame.extend(if mask { &[1, 2, 3, 4][..] } else { &[] });
        // Payloads that look like heads of frames.
        frame.resize(frame.len() + length, 0x88);
        frame
    }

    fn is_between(boundaries: &Boundaries) -> bool {
        boundaries.goodbye(1008, "x").is_some()
    }

    /// R3: however the bytes come in pieces, the end of each frame is known, and nothing else is taken for one.
    #[test]
    fn the_ends_of_frames_are_known_in_whatever_pieces_they_come() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000];
        let frames: Vec<Vec<u8>> =
            lengths.iter().flat_map(|length| [frame(0x82, false, *length), frame(0x01, true, *length)]).collect();
        let mut ends = vec![0];
        ends.extend(frames.iter().scan(0, |at, frame| {
            *at += frame.len();
            Some(*at)
        }));
        let stream = frames.concat();
        for piece in [1, 2, 3, 7, 1000, 65_536, stream.len()] {
            let mut boundaries = Boundaries::default();
            let mut at = 0;
            for sent in stream.chunks(piece) {
                assert_eq!(is_between(&boundaries), ends.contains(&at), "at {at}, in pieces of {piece}");
                boundaries.follow(sent);
                at += sent.len();
            }
            assert!(is_between(&boundaries));
        }
    }

    /// R3: after the app's own goodbye there is no second one, and none where the frames were lost.
    #[test]
    fn nothing_is_said_after_a_goodbye_or_in_noise() {
        let mut boundaries = Boundaries::default();
        boundaries.follow(&frame(0x88, false, 2));
        assert!(!is_between(&boundaries));
        let mut boundaries = Boundaries::default();
        boundaries.follow(&[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]);
        boundaries.follow(&frame(0x82, false, 1));
        assert!(!is_between(&boundaries));
    }

    #[test]
    fn a_goodbye_has_a_code_and_a_reason() {
        let goodbye = Boundaries::default().goodbye(1012, "restart").unwrap();
        assert_eq!(goodbye, [&[0x88, 9, 0x03, 0xf4][..], b"restart"].concat());
        assert_eq!(Boundaries::default().goodbye(1012, &"x".repeat(124)), None);
    }
}
