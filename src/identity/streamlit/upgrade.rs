//! The upgrade to WebSocket on which Streamlit learns who the user is.
//!
//! What does not fit is left out in this order:
//!
//! 1. A cookie is compressed where that makes it shorter, and cut into chunks where it exceeds a line (Starlette).
//! 2. Cookies go into several lines (Starlette); Tornado reads one, as long as the whole head allows.
//! 3. Identity headers are left out: the cookies say the same.
//! 4. The claims of `drop_claims` are left out, one after the other.
//! 5. What is still too large is refused, with an error that names the largest claim. To go on without the login would
//!    show the application to somebody who is logged in as if nobody were.

use super::cookie_line::{self, MAX_FIELD_BYTES};
use super::{CookieForm, StreamlitApp, TOKENS_COOKIE, USER_COOKIE, payload, subprotocol};
use crate::error::Error;
use crate::identity::headers::Edits;
use crate::secret::Secret;
use crate::session::{CLOCK_DIFFERENCE, CookieJar, ExposeTokens, Session, Tokens};
use crate::time::UnixTime;
use crate::web::field_lines::FieldLines;
use crate::web::http::Request;
use crate::web::origin::PublicOrigin;

/// Under the base path.
pub(super) const STREAM: &str = "/_stcore/stream";

/// Of the browser's cookies the one that Streamlit wants beside ours, or it takes none: it goes into the first line,
/// the only one that Starlette reads before 0.49.
const XSRF_COOKIE: &[u8] = b"_streamlit_xsrf";

/// Both servers refuse a head of more than 64 KiB; the difference is for what the host adds (`X-Forwarded-For` and the
/// like).
const MAX_HEAD_BYTES: usize = 62 * 1024;

/// Whoever is logged in on an upgrade, in the terms of Streamlit.
pub(crate) struct User<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) tokens: Option<&'a Tokens>,
    pub(crate) exposed: ExposeTokens,
    pub(crate) form: CookieForm,
    /// What the application holds its cookies against.
    pub(crate) cookie_secret: &'a Secret,
}

/// What the application has to do without, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) headers: Vec<String>,
    pub(crate) claims: Vec<String>,
}

/// Whether this request is the one that Streamlit takes the user from: its path, an upgrade, and asked for by a page of
/// the public origin.
pub(crate) fn is_stream(request: &Request<'_>, public: &PublicOrigin) -> bool {
    let only = |name| {
        let mut lines = request.header(name);
        lines.next().filter(|_| lines.next().is_none())
    };
    request.method == "GET"
        && request.path.strip_prefix(public.base_path()) == Some(STREAM)
        && only("upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
        && only("origin").is_some_and(|origin| origin == public.origin().as_bytes())
}

/// Takes out what resumes another session of Streamlit's, from any request.
pub(crate) fn forbid_resumption(request: &Request<'_>, edits: &mut Edits) {
    subprotocol::edit(request, edits);
}

/// Puts the user into the cookies of an upgrade for which [`is_stream`] holds.
///
/// # Errors
/// [`Error::StreamlitTooLarge`] when it does not fit whatever is left out.
pub(crate) fn log_in(
    request: &Request<'_>,
    jar: &CookieJar,
    user: &User<'_>,
    app: &StreamlitApp,
    public: &PublicOrigin,
    now: UnixTime,
    edits: &mut Edits,
) -> Result<LeftOut, Error> {
    // itsdangerous refuses what was signed in the future, and the application's clock may be another one.
    let at = UnixTime::from_secs(now.as_secs().saturating_sub(CLOCK_DIFFERENCE.as_secs()));
    let cookies = |name, text: &str| cookie_line::pairs(user.form, user.cookie_secret, name, text, at);
    let tokens = cookies(TOKENS_COOKIE, &payload::tokens(user.tokens, user.exposed));
    let (xsrf, others): (Vec<_>, Vec<_>) = jar.others().map(<[u8]>::to_vec).partition(|pair| pair.starts_with(XSRF_COOKIE));
    let lines = |dropped: &[&str]| {
        let user_cookies = cookies(USER_COOKIE, &payload::user(user.session, dropped, &public.origin()));
        let lines = cookie_line::lines(user.form, [xsrf.clone(), user_cookies, others.clone(), tokens.clone()].concat());
        lines.into_iter().map(|line| ("cookie", line)).collect::<FieldLines>()
    };
    if !edits.remove.iter().any(|name| name == "cookie") {
        edits.remove.push("cookie".into());
    }
    edits.set.retain(|name, _| name != "cookie");
    let mut left_out = LeftOut { headers: leave_out_headers(edits, |field| field > MAX_FIELD_BYTES), claims: vec![] };

    let mut dropped: Vec<&str> = vec![];
    let mut droppable = app.drop_claims.iter().map(String::as_str).filter(|name| user.session.claims().whole().contains_key(*name));
    loop {
        let lines = lines(&dropped);
        let bytes = head_bytes(request, edits) + bytes_of(lines.iter());
        if bytes <= MAX_HEAD_BYTES {
            edits.set.extend(&lines);
            left_out.claims = dropped.into_iter().map(str::to_owned).collect();
            return Ok(left_out);
        }
        let headers = leave_out_headers(edits, |_| true);
        if !headers.is_empty() {
            left_out.headers.extend(headers);
        } else if let Some(name) = droppable.next() {
            dropped.push(name);
        } else {
            let what = user.session.claims().largest().to_owned();
            return Err(Error::StreamlitTooLarge { what, bytes, limit: MAX_HEAD_BYTES });
        }
    }
}

/// Takes out of the additions the identity headers whose line is `too_long`; returns their names.
fn leave_out_headers(edits: &mut Edits, too_long: impl Fn(usize) -> bool) -> Vec<String> {
    let is_identity = |name: &str| !name.eq_ignore_ascii_case("sec-websocket-protocol");
    let is_taken = |name: &str, value: &[u8]| is_identity(name) && too_long(field_bytes((name, value)));
    let taken = edits.set.iter().filter(|(name, value)| is_taken(name, value)).map(|(name, _)| name.to_owned()).collect();
    edits.set.retain(|name, value| !is_taken(name, value));
    taken
}

/// The head as the application will receive it, but for what the host adds.
fn head_bytes(request: &Request<'_>, edits: &Edits) -> usize {
    let is_removed = |name: &str| edits.remove.iter().any(|removed| removed.eq_ignore_ascii_case(name));
    let kept = request.headers.iter().filter(|(name, _)| !is_removed(name));
    let target = request.path.len() + request.query.map_or(0, |query| query.len() + 1);
    let request_line = request.method.len() + target + " HTTP/1.1\r\n\r\n".len() + 1;
    request_line + bytes_of(kept.chain(&edits.set))
}

fn bytes_of<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> usize {
    fields.map(field_bytes).sum()
}

/// A line of a header: name, colon, space, value and line end.
fn field_bytes((name, value): (&str, &[u8])) -> usize {
    name.len() + value.len() + ": \r\n".len()
}
