//! Who may resume a session of Streamlit's: who opened it, and nobody else.
//!
//! The filter takes the entry that resumes one out of every request, because it cannot know who opened which. A host
//! that keeps the connections learns it: Streamlit tells each page its session's id, and the page asks with that id
//! when it connects again. Such a host remembers the [`Opener`] of each id, and puts the entry back for the same one.

use std::fmt;

use subtle::ConstantTimeEq as _;

use super::upgrade::STREAM;
use crate::session::cookie_pairs;

/// Streamlit's ids are UUIDs; longer texts are not remembered.
pub const MAX_ID_BYTES: usize = 64;

/// The path of the WebSocket that Streamlit's sessions are about: no other one's messages are Streamlit's.
pub fn stream_path(base_path: &str) -> String {
    format!("{base_path}{STREAM}")
}

/// Place of the session to resume in `Sec-WebSocket-Protocol`, from 0.
const RESUMED: usize = 2;

const XSRF_COOKIE: &[u8] = b"_streamlit_xsrf=";

/// Who a Streamlit session was opened for.
#[derive(Clone)]
pub enum Opener {
    /// Somebody who is logged in: the handle of the login session, as a decision names it.
    Session(String),
    /// A browser in which nobody is logged in: Streamlit's own token against cross-site requests, which the browser
    /// keeps in a cookie and which no other browser knows.
    Browser(Vec<u8>),
}

impl Opener {
    /// Who asks, by the login session of the decision and the `Cookie` lines of the request. `None` for somebody who
    /// could not be told from others: no login, and not exactly one token.
    pub fn of<'a>(session: Option<&str>, cookie_lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        if let Some(handle) = session {
            return Some(Self::Session(handle.to_owned()));
        }
        let mut tokens = cookie_lines.flat_map(cookie_pairs).filter_map(|pair| pair.strip_prefix(XSRF_COOKIE));
        let token = tokens.next().filter(|_| tokens.next().is_none())?;
        unmasked(std::str::from_utf8(token).ok()?).map(Self::Browser)
    }

    /// Whether both are the same. Takes as long for each wrong token.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(own), Self::Session(others)) => own == others,
            (Self::Browser(own), Self::Browser(others)) => own.ct_eq(others).into(),
            _ => false,
        }
    }
}

/// The token is as good as a password.
impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(handle) => f.debug_tuple("Session").field(handle).finish(),
            Self::Browser(_) => f.write_str("Browser(..)"),
        }
    }
}

/// The session that a request would resume, by its `Sec-WebSocket-Protocol` lines as the browser sent them.
pub fn resumed<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let list = lines.collect::<Vec<_>>().join(&b","[..]);
    let mut entries = list.split(|&byte| byte == b',');
    let id = entries.nth(RESUMED).filter(|_| entries.next().is_none())?.trim_ascii();
    let is_id = (1..=MAX_ID_BYTES).contains(&id.len()) && id.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    std::str::from_utf8(id).ok().filter(|_| is_id).map(str::to_owned)
}

/// The list as the filter left it (`kept`), with the session to resume behind it.
pub fn restored(kept: &[u8], id: &str) -> Vec<u8> {
    [kept, b", ", id.as_bytes()].concat()
}

/// Tornado's token, version 2, and Starlette's like it: `2|<mask>|<token under the mask>|<time>`. The mask is another
/// one in every answer, the token stays.
fn unmasked(cookie: &str) -> Option<Vec<u8>> {
    let mut fields = cookie.strip_prefix("2|")?.split('|');
    let (mask, masked, _time) = (hexadecimal(fields.next()?)?, hexadecimal(fields.next()?)?, fields.next()?);
    let is_whole = fields.next().is_none() && mask.len() == MASK_BYTES && masked.len() == TOKEN_BYTES;
    is_whole.then(|| masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
}

/// Both servers make tokens of 16 random bytes: a shorter one could be guessed, and a longer one is somebody's own.
const TOKEN_BYTES: usize = 16;
const MASK_BYTES: usize = 4;

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One token, under two masks.
    const COOKIE: &str = "_streamlit_xsrf=2|00000000|000102030405060708090a0b0c0d0e0f|1700000000";
    const MASKED_ANEW: &str = "a=1; _streamlit_xsrf=2|ff00ff00|ff01fd03fb05f907f709f50bf30df10f|1700000009; b=2";
    const ANOTHER: &str = "_streamlit_xsrf=2|00000000|000102030405060708090a0b0c0d0e00|1700000000";

    fn opener(session: Option<&str>, cookies: &[&str]) -> Option<Opener> {
        Opener::of(session, cookies.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn whoever_is_logged_in_is_known_by_the_session_alone() {
        let alice = opener(Some("alice"), &[COOKIE]).unwrap();
        assert!(alice.is(&opener(Some("alice"), &[]).unwrap()));
        for other in [opener(Some("bob"), &[COOKIE]), opener(None, &[COOKIE])] {
            assert!(!alice.is(&other.unwrap()));
        }
    }

    #[test]
    fn a_browser_is_known_by_its_token_under_every_mask() {
        let browser = opener(None, &[COOKIE]).unwrap();
        assert!(browser.is(&opener(None, &[MASKED_ANEW]).unwrap()));
        assert!(!browser.is(&opener(None, &[ANOTHER]).unwrap()));
        assert!(!browser.is(&opener(Some("alice"), &[COOKIE]).unwrap()));
        assert!(!format!("{browser:?}").contains('1'), "{browser:?}");
    }

    #[test]
    fn who_cannot_be_told_from_others_is_nobody() {
        for cookies in [
            &[][..],
            &["a=1"],
            &[COOKIE, ANOTHER],
            &["_streamlit_xsrf=; a=1"],
            &["_streamlit_xsrf=000102030405060708090a0b0c0d0e0f"],
            &["_streamlit_xsrf=2||000102030405060708090a0b0c0d0e0f|1700000000"],
            &["_streamlit_xsrf=2|00000000|0001|1700000000"],
            &["_streamlit_xsrf=2|00000000|000102030405060708090a0b0c0d0e0f00|1700000000"],
            &["_streamlit_xsrf=2|0000000000|000102030405060708090a0b0c0d0e0f|1700000000"],
            &["_streamlit_xsrf=2|00000000|00010203040506070809zz0b0c0d0e0f|1700000000"],
            &["_streamlit_xsrf=2|00000000|000102030405060708090a0b0c0d0e0f0|1700000000"],
            &["_streamlit_xsrf=2|00000000|000102030405060708090a0b0c0d0e0f"],
            &["_streamlit_xsrf=2|00000000|000102030405060708090a0b0c0d0e0f|1|2"],
        ] {
            assert!(opener(None, cookies).is_none(), "{cookies:?}");
        }
    }

    #[test]
    fn the_third_entry_is_the_session_to_resume() {
        for (lines, id) in [
            (&["streamlit, 2|ab|cd|17, 6f9619ff-8b86"][..], Some("6f9619ff-8b86")),
            (&["streamlit", "x,6f9619ff "], Some("6f9619ff")),
            (&["streamlit, x"], None),
            (&["streamlit, x, "], None),
            (&["streamlit, x, a b"], None),
            (&["streamlit, x, 6f9619ff, y"], None),
            (&[], None),
        ] {
            assert_eq!(resumed(lines.iter().map(|line| line.as_bytes())).as_deref(), id, "{lines:?}");
        }
        let long = format!("streamlit, x, {}", "a".repeat(MAX_ID_BYTES + 1));
        assert_eq!(resumed(std::iter::once(long.as_bytes())), None);
    }

    #[test]
    fn what_was_taken_out_is_put_back_behind_the_others() {
        assert_eq!(restored(b"streamlit, 2|ab|cd|17", "6f9619ff"), b"streamlit, 2|ab|cd|17, 6f9619ff");
    }
}
