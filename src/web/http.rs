//! The request as the host received it, and the one canonical reading of it that every decision is made on.
//!
//! Normalisation is refusal: nothing is rewritten, so what was judged is byte for byte what the application receives.
//! [`Request::parse`] applies these rules in order, and answers 400 (431 for the first) when one is broken:
//!
//! 1. At most [`MAX_HEADER_COUNT`] header fields (`Cookie` counts as one, however many lines HTTP/2 makes of it) and
//!    [`MAX_HEADER_BYTES`] of them.
//! 2. The method is a token (RFC 9110 section 5.6.2) of at most [`MAX_METHOD_BYTES`]; `CONNECT` and `TRACE` are not for applications.
//! 3. The target is in origin form: it begins with `/`, has at most [`MAX_TARGET_BYTES`], only visible ASCII, no `#` and no `\`.
//! 4. Its path has no dot segment, plain, percent-encoded or behind an encoded separator, no encoded control character and no
//!    malformed escape: servers disagree about what these mean. Encoded slashes and backslashes are the rules' business
//!    ([`crate::policy`]).
//! 5. There is exactly one authority: `Host` once, equal to that of an HTTP/2 or absolute-form request when both are there.
//! 6. Header names are tokens; values have no control character other than tab.

use std::borrow::Cow;
use std::fmt;

use url::Url;

use super::construct::{Construct, Obstacle};
use super::field_lines::FieldLines;
use crate::limit::Counted;

/// More header fields than any browser sends.
pub const MAX_HEADER_COUNT: usize = 128;

/// Names and values together. Enough for two sessions at their budget.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The longest that is registered has 17 (IANA HTTP Method Registry).
pub const MAX_METHOD_BYTES: usize = 32;

/// Four times what RFC 9110 section 4.1 asks every server to take.
pub const MAX_TARGET_BYTES: usize = 32 * 1024;

/// One header field: name and value as received.
pub type Header = (String, Vec<u8>);

/// The head of a request as the host received it.
#[derive(Clone, Default)]
pub struct RequestHead {
    pub method: String,
    /// Path and query, byte for byte as the application would receive them.
    pub path_with_query: String,
    /// `:authority` of HTTP/2, or that of an absolute-form target.
    pub authority: Option<String>,
    pub headers: FieldLines,
    /// `Server` in the application's latest response; `None` when none was seen.
    pub application_server: Option<String>,
    /// The request was decided on before and has been forwarded: it is judged again, and its cookies may be old.
    pub was_forwarded: bool,
}

impl RequestHead {
    /// A `GET` request with a `Host` header.
    pub fn get(path_with_query: &str, host: &str) -> Self {
        let head = Self { method: "GET".into(), path_with_query: path_with_query.into(), ..Self::default() };
        head.with("host", host)
    }

    /// The head whose parts stand end to end: method, target, authority, the application's server, then name and value of
    /// each field. `ends` tells where each of them ends.
    ///
    /// # Errors
    /// [`Malformed`] when the parts are not there, or are no text where they must be.
    pub fn from_parts(parts: Vec<u8>, mut ends: Vec<u32>, given: Given) -> Result<Self, Malformed> {
        let &[method_end, target_end, authority_end, server_end, ..] = ends.as_slice() else { return Err(Malformed::Form) };
        if !ends[..4].is_sorted() {
            return Err(Malformed::Form);
        }
        let text = |from: u32, to: u32, otherwise| {
            let part = parts.get(from as usize..to as usize).ok_or(Malformed::Form)?;
            std::str::from_utf8(part).map(str::to_owned).map_err(|_| otherwise)
        };
        let method = text(0, method_end, Malformed::Method)?;
        let path_with_query = text(method_end, target_end, Malformed::Target)?;
        let authority = given.authority.then(|| text(target_end, authority_end, Malformed::Authority)).transpose()?;
        let server = given.application_server.then(|| text(authority_end, server_end, Malformed::Form)).transpose()?;
        ends.drain(..4);
        let headers = FieldLines::from_parts(parts, server_end as usize, ends);
        Ok(Self {
            method,
            path_with_query,
            authority,
            headers: headers.ok_or(Malformed::Form)?,
            application_server: server,
            was_forwarded: given.was_forwarded,
        })
    }

    /// The same request with one more header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.path_with_query.split('?').next().unwrap_or_default()
    }
}

/// Which of a head's parts that need not be there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub authority: bool,
    pub application_server: bool,
    /// See [`RequestHead::was_forwarded`].
    pub was_forwarded: bool,
}

/// Why a request cannot be read in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("too many or too long headers")]
    HeadersTooLarge,
    /// The host's fault.
    #[error("the parts of the head as the host gives them")]
    Form,
    #[error("the method")]
    Method,
    #[error("the request target")]
    Target,
    #[error("the path has {0}")]
    Path(Obstacle),
    /// Where a rule names methods.
    #[error("it has a header that names another method, such as X-HTTP-Method-Override")]
    MethodOverride,
    #[error("the host")]
    Authority,
    #[error("a header")]
    Header,
    /// See step 8 of [`crate::policy`].
    #[error("servers read it in different ways that come under different rules, or in too many ways to compare: it has {0}")]
    Ambiguous(Obstacle),
}

impl Malformed {
    /// What is to blame, of a closed set; `None` where the kind of error says it all.
    pub fn construct(self) -> Option<Construct> {
        match self {
            Self::Path(Obstacle { construct, .. }) | Self::Ambiguous(Obstacle { construct, .. }) => Some(construct),
            Self::MethodOverride => Some(Construct::MethodOverride),
            Self::Authority => Some(Construct::Host),
            Self::Target => Some(Construct::Target),
            Self::HeadersTooLarge | Self::Form | Self::Method | Self::Header => None,
        }
    }
}

/// A request that has one reading. Borrowed from the head it was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub authority: &'a str,
    pub headers: &'a FieldLines,
    pub application_server: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Reads a request by the rules of this module.
    pub fn parse(head: &'a RequestHead) -> Result<Self, Malformed> {
        let bytes = head.headers.bytes();
        let fields = head.headers.len() - head.headers.values("cookie").count();
        if fields > MAX_HEADER_COUNT || bytes > MAX_HEADER_BYTES {
            return Err(Malformed::HeadersTooLarge);
        }
        if !is_token(&head.method) || head.method.len() > MAX_METHOD_BYTES || head.method == "CONNECT" || head.method == "TRACE" {
            return Err(Malformed::Method);
        }
        let target = head.path_with_query.as_str();
        if !target.starts_with('/')
            || target.len() > MAX_TARGET_BYTES
            || !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\')
        {
            return Err(Malformed::Target);
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        check_path(path)?;
        for (name, value) in &head.headers {
            if !is_token(name) || has_control(value) {
                return Err(Malformed::Header);
            }
        }
        let authority = single_authority(head)?;
        let application_server = head.application_server.as_deref();
        Ok(Self { method: &head.method, path, query, authority, headers: &head.headers, application_server })
    }

    /// The values of every line of a header.
    pub fn header(&self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.values(name)
    }

    /// Whether a browser shows the answer as a page: only then is a redirect to the login of use. Not of a prefetch.
    ///
    /// `Sec-Fetch-Mode` says so where it is sent (Fetch Metadata, W3C); older clients are judged by `Accept`.
    pub fn is_navigation(&self) -> bool {
        self.is_for_a_page() && !self.is_prefetch()
    }

    /// Whether a browser says that it shows the answer in a tab or window: once each, `Sec-Fetch-Mode: navigate` and
    /// `Sec-Fetch-Dest: document` (Fetch Metadata, W3C), with `GET`. A frame, a service worker that requests the page itself, and
    /// clients that send neither field do not.
    pub fn is_document_navigation(&self) -> bool {
        let says = |name, value: &[u8]| {
            let mut lines = self.header(name);
            lines.next() == Some(value) && lines.next().is_none()
        };
        self.method == "GET" && self.is_navigation() && says("sec-fetch-mode", b"navigate") && says("sec-fetch-dest", b"document")
    }

    fn is_for_a_page(&self) -> bool {
        let has = |name| self.header(name).next().is_some();
        if has("upgrade") || has("x-requested-with") {
            return false;
        }
        if let Some(mode) = self.header("sec-fetch-mode").next() {
            return mode == b"navigate";
        }
        self.header("accept").filter_map(|value| std::str::from_utf8(value).ok()).flat_map(|value| value.split(',')).any(|range| {
            let media_type = range.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("text/html") || media_type.eq_ignore_ascii_case("application/xhtml+xml")
        })
    }

    /// Whether a browser fetches the answer before anybody wants to see it, if ever: `Sec-Purpose` (Fetch, sent for nothing
    /// else), and what older browsers and proxies send (`Purpose`, `X-Purpose`, `X-Moz`).
    pub fn is_prefetch(&self) -> bool {
        const AHEAD: [&str; 4] = ["prefetch", "prerender", "preview", "instant"];
        let says_so = |value: &[u8]| {
            let words = value.split(|b| !b.is_ascii_alphanumeric());
            words.into_iter().any(|word| AHEAD.iter().any(|ahead| word.eq_ignore_ascii_case(ahead.as_bytes())))
        };
        self.header("sec-purpose").next().is_some()
            || ["purpose", "x-purpose", "x-moz"].into_iter().any(|name| self.header(name).any(says_so))
    }

    /// Whether it only looks: then no cookie is set, no session begins, goes on for longer or ends, and no provider is asked
    /// (RFC 9110 section 9.3.2; a prefetch is nobody's visit).
    pub fn only_looks(&self) -> bool {
        self.method == "HEAD" || self.is_prefetch()
    }

    /// What the request wants to change its connection to (RFC 9110 section 7.8). `websocket`, alone and in one line, is the
    /// only protocol that may go on: every other is a way past the decision, inside of which there is none (`h2c`, RFC 7540
    /// section 3.2).
    pub fn upgrade(&self) -> Upgrade {
        let mut lines = self.header("upgrade");
        match (lines.next(), lines.next()) {
            (None, _) => Upgrade::None,
            (Some(protocol), None) if protocol.trim_ascii().eq_ignore_ascii_case(b"websocket") => Upgrade::WebSocket,
            _ => Upgrade::Other,
        }
    }

    /// Path and query as they were received.
    pub fn path_with_query(&self) -> String {
        match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_owned(),
        }
    }

    /// The decoded parameters of the query (WHATWG URL, `application/x-www-form-urlencoded`).
    pub fn query_pairs(&self) -> url::form_urlencoded::Parse<'a> {
        url::form_urlencoded::parse(self.query.unwrap_or_default().as_bytes())
    }

    /// Whether what comes behind the head is said to be a form (OAuth 2.0 Form Post Response Mode, section 2; OIDC Core
    /// section 13.2).
    pub fn is_form(&self) -> bool {
        let mut types = self.header("content-type");
        let form = types.next().filter(|_| types.next().is_none()).and_then(|value| std::str::from_utf8(value).ok());
        let kind = form.and_then(|value| value.split(';').next());
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    }
}

/// What a request wants to change its connection to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    None,
    WebSocket,
    /// Another protocol, or several, or the same more than once.
    Other,
}

/// An answer of the filter.
#[derive(Clone, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
    /// For the host's limits; `None`: for none.
    pub counts_as: Option<Counted>,
}

impl Response {
    /// A redirect that is never stored. 303, so that every method becomes `GET` (RFC 9110 section 15.4.4), for
    /// anything but `GET` and `HEAD`; 302 for those, as browsers and tools expect of a login.
    pub fn redirect(location: &str, method: &str) -> Self {
        let status = if method == "GET" || method == "HEAD" { 302 } else { 303 };
        Self { status, ..Self::default() }.with("location", location).with("cache-control", "no-store")
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The value of the first line of a header, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// A request to a provider. The shell sends it, follows no redirect and keeps to the limits.
#[derive(Clone)]
pub struct OutboundRequest {
    pub method: &'static str,
    pub url: Url,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
    /// The largest answer that is of use.
    pub max_response_bytes: u32,
    /// For the whole exchange.
    pub timeout_ms: u32,
    /// Equal requests that a host sends while the first is under way, and for this time after its answer, get that answer. `None`:
    /// each has its own. A host that cannot share answers sends each of them.
    pub shared_for_ms: Option<u32>,
}

/// A provider's answer, within the limits of its request.
#[derive(Clone)]
pub struct OutboundResponse {
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
}

/// Why there is no answer. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    #[error("the host does not allow this address")]
    NotAllowed,
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("did not answer in time")]
    TimedOut,
    #[error("the answer is too large")]
    TooLarge,
    #[error("not HTTP: {0}")]
    Protocol(String),
}

impl RequestHead {
    /// As [`Request::is_navigation`], of a head that need not be one that can be decided on.
    pub fn is_navigation(&self) -> bool {
        let request = Request { method: "GET", path: "/", query: None, authority: "", headers: &self.headers, application_server: None };
        request.is_navigation()
    }
}

/// The target may hold a code, and a header a cookie.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, authority, headers, .. } = self;
        f.debug_struct("RequestHead")
            .field("method", method)
            .field("authority", authority)
            .field("headers", headers)
            .finish_non_exhaustive()
    }
}

/// Header values and bodies hold cookies, codes and tokens: names and sizes are all that is shown of them.
macro_rules! redacted_debug {
    ($type:ty: $($field:ident),+ $(; $body:ident)?) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
                let mut shown = f.debug_struct(stringify!($type));
                $(shown.field(stringify!($field), &self.$field);)+
                shown.field("headers", &names);
                $(shown.field("body_bytes", &self.$body.len());)?
                shown.finish()
            }
        }
    };
}
redacted_debug!(Response: status, counts_as; body);
redacted_debug!(OutboundRequest: method; body);
redacted_debug!(OutboundResponse: status; body);

/// Whether a control character other than tab is among them. Without an early end, so that the compiler looks at many
/// bytes at a time: nearly every value is looked at to its end anyway.
fn has_control(value: &[u8]) -> bool {
    value.iter().fold(false, |found, &b| found | ((b < b' ') & (b != b'\t')) | (b == 0x7f))
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let token_char = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'.' | b'^' | b'`' | b'|' | b'~')
    };
    !text.is_empty() && text.bytes().all(token_char)
}

fn check_path(path: &str) -> Result<(), Malformed> {
    if !path.contains(['%', '.', ';']) {
        return Ok(());
    }
    // What is before the first `/` is no segment.
    for (index, written) in path.split('/').skip(1).enumerate() {
        check_segment(written).map_err(|construct| Malformed::Path(Obstacle::at(construct, index)))?;
    }
    Ok(())
}

fn check_segment(written: &str) -> Result<(), Construct> {
    let mut bytes = written.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(Construct::BrokenEscape);
        let decoded = digit()? * 16 + digit()?;
        if decoded < 0x20 || decoded == 0x7f {
            return Err(Construct::ControlCharacter);
        }
    }
    // Some servers split at an encoded separator as well.
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode_str(written).into();
    for part in decoded.split(|&b| b == b'/' || b == b'\\') {
        // `..;x` is a dot segment with a path parameter to servlet containers.
        let name = part.split(|&b| b == b';').next().unwrap_or_default();
        if name == b"." || name == b".." {
            return Err(Construct::DotSegment);
        }
    }
    Ok(())
}

fn single_authority(head: &RequestHead) -> Result<&str, Malformed> {
    let mut authority = head.authority.as_deref();
    let mut hosts = head.headers.values("host");
    if let Some(host) = hosts.next() {
        let host = std::str::from_utf8(host).map_err(|_| Malformed::Authority)?;
        if hosts.next().is_some() || authority.is_some_and(|given| !given.eq_ignore_ascii_case(host)) {
            return Err(Malformed::Authority);
        }
        authority = Some(host);
    }
    let plausible = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]%".contains(&b));
    authority.filter(plausible).ok_or(Malformed::Authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(target: &str) -> Result<(), Malformed> {
        Request::parse(&RequestHead::get(target, "app.example")).map(|_| ())
    }

    #[test]
    fn reads_ordinary_targets() {
        for target in ["/", "/a/b.c", "/a?x=/../y&z=%2e%2e", "/a;v=1", "/caf%C3%A9", "//app", "/...", "/.well-known/x", "/a%20b", "/?"] {
            assert_eq!(parse(target), Ok(()), "{target}");
        }
        for target in ["/a%2fb", "/a%5Cb", "/api/queues/%2F/q", "/%2F", "/@s%2Fname", "/a%2F...%5c", "/a;%2fb"] {
            assert_eq!(parse(target), Ok(()), "{target}: where rules decide, all readings of it come to the same");
        }
    }

    #[test]
    fn refuses_what_two_parsers_read_differently() {
        for target in [
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/a",
            "/.%2E/a",
            "/public/..;/app",
            "/public/%2e%2e;x=1/app",
            "/a%2f..%2fb",
            "/a%5C.%5cb",
            "/a%2f%2e%2e",
            "/%2e%2f",
            "/..%5C..",
            "/a%2F..;x%2fb",
            "/a;x%2f../b",
            "/a%00",
            "/a%0a",
            "/a%7f",
            "/a%zz",
            "/a%",
            "/a%2",
            "/public/..%2fapp",
        ] {
            assert!(matches!(parse(target), Err(Malformed::Path(_))), "{target}");
        }
        for target in ["", "a", "*", "http://evil/", "/a b", "/a\\b", "/a#b", "/a\tb", "/é", "/a\r\nb"] {
            assert_eq!(parse(target), Err(Malformed::Target), "{target}");
        }
    }

    #[test]
    fn what_is_refused_in_a_path_is_named_with_its_place() {
        for (target, construct, segment) in [
            ("/a/../b", Construct::DotSegment, 2),
            ("/%2e", Construct::DotSegment, 1),
            ("/a/b/x%2f..%2fy", Construct::DotSegment, 3),
            ("/public/..;/app", Construct::DotSegment, 2),
            ("/a%zz", Construct::BrokenEscape, 1),
            ("/a/%/b", Construct::BrokenEscape, 2),
            ("//%2", Construct::BrokenEscape, 2),
            ("/a%00", Construct::ControlCharacter, 1),
        ] {
            assert_eq!(parse(target), Err(Malformed::Path(Obstacle { construct, segment: Some(segment) })), "{target}");
        }
    }

    #[test]
    fn wants_one_authority() {
        let refused = |head: RequestHead| assert_eq!(Request::parse(&head).map(|_| ()), Err(Malformed::Authority), "{head:?}");
        refused(RequestHead::get("/", "a").with("Host", "b"));
        refused(RequestHead::get("/", "a").with("HOST", "a"));
        refused(RequestHead { authority: Some("b".into()), ..RequestHead::get("/", "a") });
        refused(RequestHead::get("/", ""));
        refused(RequestHead::get("/", "user@evil"));
        refused(RequestHead { headers: FieldLines::default(), ..RequestHead::get("/", "a") });
        let both = RequestHead { authority: Some("A".into()), ..RequestHead::get("/", "a") };
        assert_eq!(Request::parse(&both).unwrap().authority, "a");
    }

    #[test]
    fn bounds_headers_and_methods() {
        let mut head = RequestHead::get("/", "a");
        head.headers.extend((0..MAX_HEADER_COUNT).map(|i| (format!("h{i}"), "")));
        assert_eq!(Request::parse(&head).unwrap_err(), Malformed::HeadersTooLarge);
        let big = RequestHead::get("/", "a").with("h", &"x".repeat(MAX_HEADER_BYTES));
        assert_eq!(Request::parse(&big).unwrap_err(), Malformed::HeadersTooLarge);
        for method in ["", "GET ", "CONNECT", "TRACE", "G\u{e9}T"] {
            let head = RequestHead { method: method.into(), ..RequestHead::get("/", "a") };
            assert_eq!(Request::parse(&head).unwrap_err(), Malformed::Method);
        }
        for (name, value) in [("a b", "x"), ("", "x"), ("a", "x\ny"), ("a", "x\0")] {
            assert_eq!(Request::parse(&RequestHead::get("/", "a").with(name, value)).unwrap_err(), Malformed::Header);
        }
    }

    #[test]
    fn only_websocket_alone_is_an_upgrade_to_it() {
        let upgrade = |lines: &[&str]| {
            let head = lines.iter().fold(RequestHead::get("/", "a"), |head, line| head.with("Upgrade", line));
            Request::parse(&head).unwrap().upgrade()
        };
        assert_eq!(upgrade(&[]), Upgrade::None);
        for line in ["websocket", "WebSocket", " WEBSOCKET\t"] {
            assert_eq!(upgrade(&[line]), Upgrade::WebSocket, "{line:?}");
        }
        for lines in [
            &["h2c"][..],
            &["H2C"],
            &[""],
            &["TLS/1.0"],
            &["websocket, h2c"],
            &["h2c,websocket"],
            &["websocket,"],
            &["websocket/13"],
            &["websocket", "h2c"],
            &["h2c", "websocket"],
            &["websocket", "websocket"],
        ] {
            assert_eq!(upgrade(lines), Upgrade::Other, "{lines:?}");
        }
    }

    #[test]
    fn tells_navigations_from_the_rest() {
        let navigation = |headers: &[(&str, &str)]| {
            let head = headers.iter().fold(RequestHead::get("/", "a"), |head, (name, value)| head.with(name, value));
            Request::parse(&head).unwrap().is_navigation()
        };
        assert!(navigation(&[("accept", "text/html,*/*;q=0.8")]));
        assert!(navigation(&[("sec-fetch-mode", "navigate"), ("accept", "*/*")]));
        assert!(!navigation(&[]));
        assert!(!navigation(&[("accept", "*/*")]));
        assert!(!navigation(&[("accept", "application/json")]));
        assert!(!navigation(&[("accept", "text/event-stream")]));
        assert!(!navigation(&[("accept", "text/html"), ("sec-fetch-mode", "cors")]));
        assert!(!navigation(&[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")]));
        assert!(!navigation(&[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")]));
        assert!(!navigation(&[("accept", "text/html"), ("upgrade", "websocket")]));
        for (name, value) in PREFETCHES {
            assert!(!navigation(&[("accept", "text/html"), ("sec-fetch-mode", "navigate"), (name, value)]), "{name}: {value}");
        }
        assert!(navigation(&[("accept", "text/html"), ("purpose", "navigation"), ("x-moz", "1")]));
    }

    #[test]
    fn tells_navigations_of_tabs_from_the_rest() {
        let navigation = |method: &str, headers: &[(&str, &str)]| {
            let head = RequestHead { method: method.into(), ..RequestHead::get("/", "a") };
            let head = headers.iter().fold(head, |head, (name, value)| head.with(name, value));
            Request::parse(&head).unwrap().is_document_navigation()
        };
        let (mode, dest) = (("sec-fetch-mode", "navigate"), ("Sec-Fetch-Dest", "document"));
        assert!(navigation("GET", &[mode, dest]));
        for method in ["HEAD", "POST", "get"] {
            assert!(!navigation(method, &[mode, dest]), "{method}");
        }
        assert!(!navigation("GET", &[("accept", "text/html")]) && !navigation("GET", &[mode]) && !navigation("GET", &[dest]));
        assert!(!navigation("GET", &[mode, dest, dest]) && !navigation("GET", &[mode, mode, dest]));
        for other in ["iframe", "frame", "fencedframe", "embed", "object", "empty", "Document", ""] {
            assert!(!navigation("GET", &[mode, ("sec-fetch-dest", other)]), "{other}");
        }
        assert!(!navigation("GET", &[("sec-fetch-mode", "cors"), dest]));
        for other in [("upgrade", "websocket"), ("x-requested-with", "XMLHttpRequest")].into_iter().chain(PREFETCHES) {
            assert!(!navigation("GET", &[mode, dest, other]), "{other:?}");
        }
    }

    const PREFETCHES: [(&str, &str); 12] = [
        ("sec-purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("sec-purpose", ""),
        ("purpose", "prefetch"),
        ("Purpose", "Prefetch"),
        ("purpose", "preview"),
        ("purpose", "other, prefetch;x=1"),
        ("x-moz", "prefetch"),
        ("X-MOZ", " PREFETCH"),
        ("x-purpose", "preview"),
        ("x-purpose", "instant"),
    ];

    #[test]
    fn a_head_in_parts_is_read_where_its_ends_say() {
        let given = Given { authority: true, ..Given::default() };
        let read = |parts: &[u8], ends: &[u32]| RequestHead::from_parts(parts.to_vec(), ends.to_vec(), given);
        let head = read(b"GET/a?bapp.examplehosthnx", &[3, 7, 18, 18, 22, 23, 24, 25]).unwrap();
        assert_eq!((head.method.as_str(), head.path_with_query.as_str()), ("GET", "/a?b"));
        assert_eq!((head.authority.as_deref(), head.application_server), (Some("app.example"), None));
        assert_eq!(head.headers.iter().collect::<Vec<_>>(), [("host", &b"h"[..]), ("n", b"x")]);
        for ends in [&[][..], &[3, 7, 18], &[3, 7, 18, 18, 22], &[7, 3, 18, 18], &[3, 7, 18, 17], &[3, 7, 18, 26], &[3, 7, 18, 18, 26, 26]]
        {
            assert_eq!(read(b"GET/a?bapp.examplehosthnx", ends).err(), Some(Malformed::Form), "{ends:?}");
        }
        assert_eq!(read(b"\xff/", &[1, 2, 2, 2]).err(), Some(Malformed::Method));
        assert_eq!(read(b"GET/\xff", &[3, 5, 5, 5]).err(), Some(Malformed::Target));
        assert_eq!(read(b"GET/\xff", &[3, 4, 5, 5]).err(), Some(Malformed::Authority));
        // A name that is no text has no reading; a value may be any bytes.
        let named = read(b"GET/ah\xff\xff", &[3, 4, 5, 5, 7, 8]).unwrap();
        assert_eq!(Request::parse(&named).err(), Some(Malformed::Header));
    }

    #[test]
    fn tells_what_only_looks() {
        let looks = |method: &str, headers: &[(&str, &str)]| {
            let head = RequestHead { method: method.into(), ..RequestHead::get("/", "a") };
            let head = headers.iter().fold(head, |head, (name, value)| head.with(name, value));
            Request::parse(&head).unwrap().only_looks()
        };
        assert!(looks("HEAD", &[]) && !looks("GET", &[]) && !looks("POST", &[]) && !looks("head", &[]));
        for (name, value) in PREFETCHES {
            assert!(looks("GET", &[(name, value)]) && looks("POST", &[("a", "b"), (name, value)]), "{name}: {value}");
        }
        for (name, value) in [("purpose", ""), ("purpose", "prefetching"), ("x-moz", "1"), ("x-purpose", "view"), ("accept", "prefetch")] {
            assert!(!looks("GET", &[(name, value)]), "{name}: {value}");
        }
    }
}
