//! What is said to the browser when its WebSocket ends with its session: a Close frame with words in it (RFC 6455 section 5.5.1).
//!
//! 1. It stands between two frames of the application's. One that has begun when the session ends may end, if no more than
//!    64 KiB of it are to come: otherwise the connection ends at once, without a word. No other frame begins. Within a
//!    message of several frames is a place for the words (section 5.4).
//! 2. Where the application has closed already, or does not speak WebSocket, there is nothing to say.
//! 3. Nothing of the browser's goes on meanwhile ([`Link::end`]). It is read for the browser's own Close frame.

use std::sync::Arc;

use bytes::Bytes;
use tungstenite::Utf8Bytes;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::upgrade::frames::Frames;
use crate::upgrade::link::Link;

/// What may pass of a frame after the session has ended, in bytes: what a read of the proxy takes, so that a frame of usual size ends. A
/// longer one could go on for as long as the browser is waited for.
const MAX_REST_BYTES: u64 = 64 * 1024;

/// Follows an upgraded connection, and knows when and how it can be closed.
pub struct Farewell {
    link: Arc<Link>,
    of_application: Frames,
    of_browser: Frames,
    /// Nothing more of the application's passes.
    is_cut: bool,
}

impl Farewell {
    /// Of a connection that begins now.
    pub fn new(link: Arc<Link>) -> Self {
        Self { link, of_application: Frames::of_application(), of_browser: Frames::of_browser(), is_cut: false }
    }

    /// Whether the session has ended.
    pub fn is_due(&self) -> bool {
        self.link.has_ended()
    }

    /// A piece of what the application sends. When the session has ended, what is left of it is the end of the frame that has begun.
    pub fn pass_to_browser(&mut self, piece: &mut Option<Bytes>) {
        let Some(bytes) = piece else { return };
        if !self.is_due() {
            self.of_application.pass(bytes);
        } else {
            bytes.truncate(self.rest_of_frame(bytes));
        }
        // Before the end of the session as well: a frame that is too long is not waited for then.
        let may_end = !self.is_cut && self.of_application.left() <= MAX_REST_BYTES;
        self.link.note(self.of_application.is_within() && may_end);
    }

    /// How many bytes of a piece end the frame that has begun, or go on with it.
    fn rest_of_frame(&mut self, bytes: &[u8]) -> usize {
        if self.is_cut || !self.of_application.is_within() {
            return 0;
        }
        // The head may come only now, and with it the length.
        let before = self.of_application.left();
        let kept = self.of_application.pass_frame(bytes);
        let rest = before.max(self.of_application.left().saturating_add(kept as u64));
        // What turns out to be no frame has no end.
        self.is_cut = self.of_application.is_lost() || rest > MAX_REST_BYTES;
        if self.is_cut { 0 } else { kept }
    }

    /// A piece of what the browser sends.
    pub fn look(&mut self, piece: Option<&Bytes>) {
        if let Some(bytes) = piece {
            self.of_browser.pass(bytes);
        }
    }

    /// What ends the connection with `reason`, of 123 bytes at most; `None` where nothing can be said.
    pub fn close_frame(&self, reason: &'static str) -> Option<Bytes> {
        let (code, reason) = (CloseCode::Policy, Utf8Bytes::from_static(reason));
        let mut frame = Vec::new();
        let is_written = Frame::close(Some(CloseFrame { code, reason })).format(&mut frame).is_ok();
        (is_written && !self.is_cut && self.of_application.is_between()).then(|| frame.into())
    }

    /// Whether the browser has sent its own.
    pub fn is_answered(&self) -> bool {
        self.of_browser.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = b"\x81\x05hello";
    const BEGUN: &[u8] = b"\x01\x05hello";

    fn passed(farewell: &mut Farewell, bytes: &'static [u8]) -> Vec<u8> {
        let mut piece = Some(Bytes::from_static(bytes));
        farewell.pass_to_browser(&mut piece);
        piece.expect("a piece").to_vec()
    }

    fn farewell() -> Farewell {
        Farewell::new(Arc::default())
    }

    #[test]
    fn between_two_frames_nothing_more_passes() {
        for before in [&[][..], HELLO, BEGUN] {
            let mut farewell = farewell();
            assert_eq!(passed(&mut farewell, before), before);
            farewell.link.end();
            assert_eq!(passed(&mut farewell, HELLO), b"");
            let frame = farewell.close_frame("Why").expect("a place for it");
            assert_eq!(&frame[..], b"\x88\x05\x03\xf0Why", "1008, and no mask");
        }
    }

    #[test]
    fn a_frame_that_has_begun_may_end_and_no_other_begins() {
        let mut farewell = farewell();
        passed(&mut farewell, b"\x81\x05hello\x81\x05he");
        farewell.link.end();
        assert_eq!(farewell.close_frame("Why"), None, "in the middle of a frame");
        assert_eq!(passed(&mut farewell, b"l"), b"l");
        assert_eq!(passed(&mut farewell, b"lo\x81\x05hello"), b"lo");
        assert!(farewell.close_frame("Why").is_some());
        assert_eq!(passed(&mut farewell, HELLO), b"");
    }

    /// A frame of this many bytes, without its head's last byte.
    fn head(length: u64) -> Vec<u8> {
        [&b"\x82\x7f"[..], &length.to_be_bytes()].concat()
    }

    #[test]
    fn of_a_frame_that_is_too_long_nothing_passes_after_the_end() {
        let some = vec![7; 1000];
        for (length, passes) in [(1001, true), (1000 + MAX_REST_BYTES, true), (1001 + MAX_REST_BYTES, false), (u64::MAX >> 1, false)] {
            let mut farewell = farewell();
            let begun = [head(length), some.clone()].concat();
            farewell.pass_to_browser(&mut Some(Bytes::from(begun)));
            farewell.link.end();
            let is_hung_up = || farewell.link.is_hung_up(&std::task::Context::from_waker(std::task::Waker::noop()));
            assert_eq!(is_hung_up(), !passes, "{length}: also if the application says nothing more");
            let mut rest = Some(Bytes::from(vec![7; 1]));
            farewell.pass_to_browser(&mut rest);
            assert_eq!(rest.expect("a piece").len(), usize::from(passes), "{length}");
            let is_over = length == 1001;
            assert_eq!(farewell.close_frame("Why").is_some(), is_over, "{length}");
            // A task that waits for the application learns of it at once.
            let is_hung_up = farewell.link.is_hung_up(&std::task::Context::from_waker(std::task::Waker::noop()));
            assert_eq!(is_hung_up, !passes || is_over, "{length}");
            let mut more = Some(Bytes::from(some.clone()));
            farewell.pass_to_browser(&mut more);
            assert_eq!(more.expect("a piece").len(), if passes && !is_over { some.len() } else { 0 }, "{length}");
        }
    }

    #[test]
    fn a_frame_whose_head_ends_after_the_session_is_held_to_the_same() {
        for (length, passes) in [(MAX_REST_BYTES - 9, true), (MAX_REST_BYTES + 1, false)] {
            let mut farewell = farewell();
            let head = head(length);
            farewell.pass_to_browser(&mut Some(Bytes::from(head[..1].to_vec())));
            farewell.link.end();
            let mut rest = Some(Bytes::from(head[1..].to_vec()));
            farewell.pass_to_browser(&mut rest);
            assert_eq!(!rest.expect("a piece").is_empty(), passes, "{length}");
        }
    }

    #[test]
    fn nothing_passes_of_a_frame_whose_head_turns_out_to_be_none() {
        let mut farewell = farewell();
        passed(&mut farewell, b"\x81");
        farewell.link.end();
        assert_eq!(passed(&mut farewell, b"\x85hello and more"), b"", "a server does not mask");
        assert_eq!(farewell.close_frame("Why"), None);
    }

    #[test]
    fn there_is_nothing_to_say_where_the_application_has_closed_or_speaks_something_else() {
        for before in [&b"\x88\x02\x03\xe8"[..], b"\x83\0", b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let mut farewell = farewell();
            passed(&mut farewell, before);
            farewell.link.end();
            assert_eq!(passed(&mut farewell, HELLO), b"", "it ends all the same");
            assert_eq!(farewell.close_frame("Why"), None);
        }
    }

    #[test]
    fn every_language_fits_into_the_frame() {
        for language in vestibule::language::Language::ALL {
            let frame = farewell().close_frame(language.session_ended()).expect("a frame");
            assert_eq!(usize::from(frame[1]), frame.len() - 2, "a length in one byte");
        }
    }

    #[test]
    fn the_browsers_answer_is_known() {
        let mut farewell = farewell();
        farewell.look(Some(&Bytes::from_static(b"\x81\x82\0\0\0\0hi")));
        assert!(!farewell.is_answered());
        farewell.look(Some(&Bytes::from_static(b"\x88\x82\0\0\0\0")));
        farewell.look(Some(&Bytes::from_static(b"\x03\xf0")));
        assert!(farewell.is_answered());
    }
}
