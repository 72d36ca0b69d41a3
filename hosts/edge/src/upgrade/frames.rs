//! Where the frames of a WebSocket end (RFC 6455 section 5.2), as the bytes pass.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, OpCode};

/// Follows what one side sends. Of all that it keeps the head of one frame.
#[derive(Debug)]
pub struct Frames {
    /// Whether this side masks what it sends (section 5.1).
    masks: bool,
    /// What has arrived of a frame's head.
    head: Vec<u8>,
    /// Bytes to come of the frame.
    left: u64,
    is_close: bool,
    course: Course,
}

#[derive(Debug, PartialEq, Eq)]
enum Course {
    Open,
    /// The side has sent its Close frame, and sends nothing more (section 5.5.1).
    Closed,
    /// This is no WebSocket.
    Lost,
}

impl Frames {
    pub fn of_browser() -> Self {
        Self::new(true)
    }

    pub fn of_application() -> Self {
        Self::new(false)
    }

    fn new(masks: bool) -> Self {
        Self { masks, head: Vec::new(), left: 0, is_close: false, course: Course::Open }
    }

    /// Whether the next byte is the first of a frame.
    pub fn is_between(&self) -> bool {
        self.course == Course::Open && self.head.is_empty() && self.left == 0
    }

    /// Whether a frame has begun, and more of it is to come.
    pub fn is_within(&self) -> bool {
        self.course == Course::Open && !self.is_between()
    }

    /// Bytes to come of the frame that has begun; 0 where its head has not said so yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether this has turned out to be no WebSocket.
    pub fn is_lost(&self) -> bool {
        self.course == Course::Lost
    }

    /// Whether the side has said that it closes.
    pub fn is_closed(&self) -> bool {
        self.course == Course::Closed
    }

    /// All of these bytes pass.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.pass_frame(bytes);
            bytes = &bytes[taken..];
        }
    }

    /// The bytes up to the end of a frame pass, or all of them. Returns how many: at least one, if there is one.
    pub fn pass_frame(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            if self.course != Course::Open {
                return bytes.len();
            }
            if self.left > 0 {
                let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - taken);
                (self.left, taken) = (self.left - passed as u64, taken + passed);
            } else {
                // One at a time: a head's length is known only from its content.
                self.head.push(bytes[taken]);
                taken += 1;
                self.read_head();
            }
            if self.head.is_empty() && self.left == 0 {
                if self.is_close && self.course == Course::Open {
                    self.course = Course::Closed;
                }
                return taken;
            }
        }
        taken
    }

    fn read_head(&mut self) {
        match FrameHeader::parse(&mut Cursor::new(&self.head)) {
            Ok(None) => return,
            Ok(Some((head, payload))) if head.mask.is_some() == self.masks && may_have(&head, payload) => {
                (self.left, self.is_close) = (payload, head.opcode == OpCode::Control(Control::Close));
            }
            Ok(Some(_)) | Err(_) => self.course = Course::Lost,
        }
        self.head.clear();
    }
}

/// Control frames are short and whole (section 5.5).
fn may_have(head: &FrameHeader, payload: u64) -> bool {
    matches!(head.opcode, OpCode::Data(_)) || (head.is_final && payload <= 125)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::Data;

    use super::*;

    fn bytes(frame: Frame) -> Vec<u8> {
        let mut bytes = vec![];
        frame.format(&mut bytes).expect("a frame");
        bytes
    }

    fn message(length: usize, is_final: bool) -> Vec<u8> {
        bytes(Frame::message(vec![7; length], OpCode::Data(Data::Binary), is_final))
    }

    #[test]
    fn a_close_frame_is_the_last() {
        let mut frames = Frames::of_application();
        frames.pass(&message(3, true));
        assert!(frames.is_between() && !frames.is_closed());
        let close = bytes(Frame::close(None));
        frames.pass(&close[..1]);
        assert!(frames.is_within() && !frames.is_closed());
        frames.pass(&close[1..]);
        assert!(frames.is_closed() && !frames.is_between() && !frames.is_within());
        let behind = message(3, true);
        assert_eq!(frames.pass_frame(&behind), behind.len());
        assert!(frames.is_closed());
    }

    #[test]
    fn what_is_no_websocket_is_lost_and_has_no_frames() {
        for (mut frames, no_frame) in [
            (Frames::of_application(), &b"\x83\0"[..]),
            (Frames::of_application(), b"HTTP/1.1 400 Bad Request\r\n"),
            (Frames::of_application(), b"\x82\x81\0\0\0\0x"),
            (Frames::of_browser(), b"\x82\x01x"),
        ] {
            frames.pass(no_frame);
            frames.pass(&message(1, true));
            assert!(!frames.is_between() && !frames.is_within() && !frames.is_closed(), "{no_frame:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However the bytes arrive: between two frames is where the frames end, and nowhere else.
        #[test]
        fn frames_end_where_they_end(
            lengths in proptest::collection::vec(prop_oneof![Just(0_usize), 1..130_usize, Just(65_535), Just(65_536)], 1..6),
            pieces in proptest::collection::vec(1..40_000_usize, 1..20),
        ) {
            let all: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(number, length)| message(*length, number % 2 == 0)).collect();
            let ends: Vec<usize> = all.iter().scan(0, |end, frame| { *end += frame.len(); Some(*end) }).collect();
            let bytes = all.concat();
            let (mut whole, mut at) = (Frames::of_application(), 0);
            for size in pieces.iter().cycle() {
                let piece = &bytes[at..bytes.len().min(at + size)];
                whole.pass(piece);
                at += piece.len();
                prop_assert_eq!(whole.is_between(), ends.contains(&at), "{}", at);
                prop_assert_eq!(whole.is_within(), !ends.contains(&at));
                if at == bytes.len() {
                    break;
                }
            }
            let (mut one_by_one, mut at, mut found) = (Frames::of_application(), 0, vec![]);
            while at < bytes.len() {
                at += one_by_one.pass_frame(&bytes[at..]);
                found.push(at);
            }
            prop_assert_eq!(found, ends);
        }
    }
}
