//! What Streamlit first says on a connection: the id of the session that the page got.
//!
//! Its server sends one protocol buffer message in each WebSocket frame. The one that counts, `NewSession`, is among the
//! first, as soon as the app runs. Numbers and types of the fields are the same from 1.50 to 1.67.

use std::io::Cursor;

use prost::Message;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use vestibule::identity::streamlit::resumption::MAX_ID_BYTES;

/// A longer frame is another message. This one lists the pages of an app, and its theme: a few KiB.
const MAX_FRAME_BYTES: u64 = 256 * 1024;

/// Frames before it: a reader that goes on for ever would look at everything that an app shows.
const MAX_FRAMES: usize = 64;

/// The longest head of a frame (RFC 6455 section 5.2).
const MAX_HEAD_BYTES: usize = 14;

#[derive(Message)]
struct ForwardMsg {
    #[prost(message, optional, tag = "4")]
    new_session: Option<NewSession>,
}

#[derive(Message)]
struct NewSession {
    #[prost(message, optional, tag = "1")]
    initialize: Option<Initialize>,
}

#[derive(Message)]
struct Initialize {
    #[prost(string, tag = "6")]
    session_id: String,
}

/// Reads what the application sends on an upgraded connection, as it passes.
#[derive(Debug, Default)]
pub struct Reader {
    /// What has arrived of the frame that is being read.
    pending: Vec<u8>,
    /// Bytes to come of a frame that is not.
    skipped: u64,
    frames: usize,
}

/// Whether there is more to read.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    More,
    /// The id of the session.
    Id(String),
    /// It is not said, or not in a way that can be understood.
    Nothing,
}

impl Reader {
    /// Takes the next bytes. Keeps at most `MAX_FRAME_BYTES` and the frame's head.
    pub fn read(&mut self, mut bytes: &[u8]) -> Read {
        while !bytes.is_empty() {
            if self.skipped > 0 {
                let passed = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(bytes.len());
                self.skipped -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            }
            // No more than the frame needs, so that what is kept stays bounded however much arrives at once.
            let missing = match self.missing() {
                Some(missing) => missing,
                None => return Read::Nothing,
            };
            let taken = missing.min(bytes.len());
            self.pending.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            match self.take_frame() {
                Read::More => {}
                done => return done,
            }
        }
        Read::More
    }

    /// Bytes until the frame's head, or the whole of the frame, is there; `None` for what is no WebSocket.
    fn missing(&self) -> Option<usize> {
        match self.head()? {
            // One at a time: a head's length is known only from its content.
            None => (self.pending.len() < MAX_HEAD_BYTES).then_some(1),
            Some((_, payload, start)) => usize::try_from(payload).ok().map(|payload| (start + payload).saturating_sub(self.pending.len())),
        }
    }

    /// Head, length of the payload and its beginning; `Some(None)` when bytes are missing.
    #[expect(clippy::option_option, reason = "no frame, and no whole head yet")]
    fn head(&self) -> Option<Option<(FrameHeader, u64, usize)>> {
        let mut cursor = Cursor::new(&self.pending);
        let parsed = FrameHeader::parse(&mut cursor).ok()?;
        let start = usize::try_from(cursor.position()).ok()?;
        Some(parsed.map(|(head, payload)| (head, payload, start)))
    }

    fn take_frame(&mut self) -> Read {
        let Some(head) = self.head() else { return Read::Nothing };
        let Some((head, payload, start)) = head else { return Read::More };
        let is_message = head.is_final && !head.rsv1 && head.opcode == OpCode::Data(Data::Binary) && payload <= MAX_FRAME_BYTES;
        let arrived = (self.pending.len() - start) as u64;
        if is_message && arrived < payload {
            return Read::More;
        }
        let id = is_message.then(|| session_id(&self.pending[start..])).flatten();
        self.skipped = payload - arrived;
        self.pending.clear();
        self.frames += 1;
        match id {
            Some(id) => Read::Id(id),
            None if self.frames >= MAX_FRAMES => Read::Nothing,
            None => Read::More,
        }
    }
}

fn session_id(message: &[u8]) -> Option<String> {
    let id = ForwardMsg::decode(message).ok()?.new_session?.initialize?.session_id;
    (1..=MAX_ID_BYTES).contains(&id.len()).then_some(id)
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::Frame;

    use super::*;

    fn frame(message: Vec<u8>, data: Data, is_final: bool) -> Vec<u8> {
        let mut bytes = vec![];
        Frame::message(message, OpCode::Data(data), is_final).format(&mut bytes).expect("a frame");
        bytes
    }

    fn new_session(id: &str) -> Vec<u8> {
        let initialize = Some(Initialize { session_id: id.into() });
        ForwardMsg { new_session: Some(NewSession { initialize }) }.encode_to_vec()
    }

    fn binary(message: Vec<u8>) -> Vec<u8> {
        frame(message, Data::Binary, true)
    }

    fn read(bytes: &[u8], at_once: usize) -> Read {
        let mut reader = Reader::default();
        let mut reads = bytes.chunks(at_once).map(|chunk| reader.read(chunk));
        reads.find(|read| *read != Read::More).unwrap_or(Read::More)
    }

    /// (What a real Streamlit sends, `e2e/streamlit.test.mjs` sees.)
    #[test]
    fn the_id_is_found_behind_other_messages_however_it_arrives() {
        let other = ForwardMsg { new_session: None }.encode_to_vec();
        let script_finished = vec![6 << 3, 0];
        let stream = [
            frame(vec![b'x'; 70_000], Data::Text, true),
            binary(other),
            binary(script_finished),
            binary(vec![7; 300_000]),
            frame(new_session("in-a-fragment"), Data::Binary, false),
            binary(new_session("6f9619ff-8b86-d011-b42d-00c04fc964ff")),
        ]
        .concat();
        for at_once in [1, 2, 7, 125, 4_096, 1_000_000] {
            assert_eq!(read(&stream, at_once), Read::Id("6f9619ff-8b86-d011-b42d-00c04fc964ff".into()), "{at_once}");
        }
    }

    #[test]
    fn an_id_is_none_that_is_empty_or_too_long() {
        let stream = [binary(new_session("")), binary(new_session(&"a".repeat(MAX_ID_BYTES + 1)))].concat();
        assert_eq!(read(&stream, 1_000_000), Read::More);
    }

    #[test]
    fn what_is_no_websocket_ends_the_reading() {
        // An opcode that does not exist.
        assert_eq!(read(&[0x83, 1, 0], 1), Read::Nothing);
    }

    #[test]
    fn a_compressed_message_is_passed_over() {
        let mut compressed = binary(new_session("compressed"));
        compressed[0] |= 0x40;
        assert_eq!(read(&[compressed, binary(new_session("plain"))].concat(), 3), Read::Id("plain".into()));
    }

    #[test]
    fn reading_ends_after_a_number_of_frames() {
        let frames: Vec<u8> = std::iter::repeat_n(binary(vec![]), MAX_FRAMES).flatten().collect();
        assert_eq!(read(&frames, 1_000), Read::Nothing);
        assert_eq!(read(&frames[2..], 1_000), Read::More);
    }

    #[test]
    fn nothing_is_kept_of_a_long_frame() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(&binary(vec![7; 10_000_000])), Read::More);
        assert!(reader.pending.is_empty());
        assert!(reader.pending.capacity() <= MAX_HEAD_BYTES * 2);
    }
}
