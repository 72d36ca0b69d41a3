//! What a request is called in the log, in the audit and by the application: `X-Request-Id`.
//!
//! 1. Every request has one. Vestibule makes it of 128 random bits, as 32 hexadecimal digits: the form of nginx's
//!    `$request_id`, and of the `trace-id` of W3C Trace Context.
//! 2. A trusted proxy that is the peer can name the request: in one line, of 1 to 128 letters, digits, `.`, `_` and `-`. Such a
//!    text needs no quoting in a log, a shell or a URL. Anything else is replaced, and so is the word of any other peer.
//! 3. The filter, whose pages show it, and the application get this name and no other: every spelling of the header that a server could fold into it is removed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use pingora::Result;
use pingora::http::RequestHeader;
use vestibule::web::trusted_proxies::TrustedProxies;

use crate::random;

/// The header that carries it.
pub const NAME: &str = "X-Request-Id";

/// Longest name that a proxy can give, in bytes: room for two UUIDs and what is written around them.
const MAX_LENGTH: usize = 128;

/// The name of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A name that nobody can guess and no other request has.
    pub fn unique() -> Self {
        Self(random::request_id().into())
    }

    /// The name that a trusted proxy has given; `None` when there is none, or none that is fit.
    pub fn told(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &TrustedProxies) -> Option<Self> {
        peer.filter(|peer| trusted.contains(*peer))?;
        let mut lines = headers.get_all(NAME).iter();
        let told = lines.next().filter(|_| lines.next().is_none())?;
        let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let told = told.as_bytes();
        ((1..=MAX_LENGTH).contains(&told.len()) && told.iter().all(is_fit))
            .then(|| std::str::from_utf8(told).ok().map(|told| Self(told.into())))?
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names the request to the application, in place of whatever it was called before.
    ///
    /// # Errors
    /// None that can happen: both are checked texts.
    pub fn edit(&self, request: &mut RequestHeader) -> Result<()> {
        let others: Vec<_> = request.headers.keys().filter(|name| is_one(name.as_str())).cloned().collect();
        others.iter().for_each(|name| drop(request.remove_header(name)));
        request.insert_header(NAME, self.as_str())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a server could take `name` for the header: CGI turns `-` into `_`, others turn `.` into it.
pub fn is_one(name: &str) -> bool {
    let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() == NAME.len() && name.bytes().zip(NAME.bytes()).all(|(one, other)| fold(one) == fold(other))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn told(peer: &str, lines: &[&[u8]]) -> Option<String> {
        let trusted = TrustedProxies::parse(["10.0.0.0/8"]).expect("a network");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(NAME, HeaderValue::from_bytes(line).expect("a value"));
        }
        RequestId::told(&headers, peer.parse().ok(), &trusted).map(|id| id.to_string())
    }

    #[test]
    fn a_trusted_proxys_name_is_taken_and_no_other() {
        let longest = "x".repeat(128);
        for name in ["a", "7f8b2c", "1-67891233-abcdef012345678912345678", "req_1.2", &longest] {
            assert_eq!(told("10.0.0.1", &[name.as_bytes()]).as_deref(), Some(name));
            assert_eq!(told("192.0.2.1", &[name.as_bytes()]), None, "{name}");
            assert_eq!(told("nobody", &[name.as_bytes()]), None, "{name}");
        }
    }

    #[test]
    fn a_name_in_another_form_is_none() {
        let too_long = "x".repeat(129);
        for name in [&b""[..], b"a b", b"a,b", b"a;b", b"a=b", b"\"a\"", b"a\tb", b"caf\xc3\xa9", b"\xff", b"a/b", too_long.as_bytes()] {
            assert_eq!(told("10.0.0.1", &[name]), None, "{name:?}");
        }
        assert_eq!(told("10.0.0.1", &[b"a", b"a"]), None, "two lines");
        assert_eq!(told("10.0.0.1", &[]), None);
    }

    #[test]
    fn names_that_are_made_differ_and_are_in_the_form_of_a_trace_id() {
        let (one, other) = (RequestId::unique(), RequestId::unique());
        assert_ne!(one, other);
        assert!(one.as_str().len() == 32 && one.as_str().bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{one}");
    }

    #[test]
    fn the_application_gets_one_name() {
        let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
        for name in ["x-request-id", "X_Request_Id", "x.request.id", "x-request-ids", "x-request-i"] {
            request.append_header(name, "spoofed").expect("a header");
        }
        let id = RequestId::unique();
        id.edit(&mut request).expect("a header");
        assert_eq!(request.headers.get_all("x-request-id").iter().collect::<Vec<_>>(), [id.as_str()]);
        let mut left: Vec<_> = request.headers.keys().map(|name| name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["x-request-i", "x-request-id", "x-request-ids"]);
    }
}
