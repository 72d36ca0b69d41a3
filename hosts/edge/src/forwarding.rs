//! The filter's edits on their way to the application and back.
//!
//! Order of the request's edits, each step after the one before:
//! 1. Pingora removes hop-by-hop fields and what the *peer's* `Connection` names (RFC 9110 section 7.6.1). The edits
//!    are not there yet, so `Connection: X-Forwarded-User` cannot take an identity away.
//! 2. The peer's `X-Forwarded-*` and the like are removed (see [`crate::forwarded`]), and what the filter removes.
//! 3. The filter's additions, then our own `X-Forwarded-*`.
//!
//! The response's hop-by-hop fields end here as well, before the filter's headers are added.

use http::header::{CACHE_CONTROL, CONNECTION, COOKIE, SET_COOKIE};
use http::{HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use vestibule_wasmtime::Forward;
use vestibule_wasmtime::http_types::{CACHE_DIRECTIVES, NOT_FOR_CACHES};

use crate::forwarded::{self, Arrival};

/// What the filter must not set: it belongs to the connection, not to the request.
const CONNECTION_OWNED: [&str; 9] =
    ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Between the application and this host, and nobody else's (RFC 9110 section 7.6.1, and 11.7 for the last two).
/// `Connection` and the framing are Pingora's to set.
const HOP_BY_HOP: [&str; 7] =
    ["keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-connection", "te", "trailer", "upgrade"];
/// What the application's `Connection` cannot take away: without them the body has no end.
const FRAMING: [&str; 3] = ["connection", "content-length", "transfer-encoding"];

/// Makes of the peer's request, without its hop-by-hop fields, what the application receives.
///
/// # Errors
/// Status 500 for an edit that is not a header: the request must not go on without it.
pub fn edit_request(request: &mut RequestHeader, forward: &Forward, arrival: Arrival<'_>) -> Result<()> {
    forwarded::remove(request);
    forwarded::remove_where(request, |name| forward.remove_headers.iter().any(|unwanted| unwanted.eq_ignore_ascii_case(name)));
    for (name, value) in &forward.set_headers {
        let (name, value) = header(name, value)?;
        if CONNECTION_OWNED.contains(&name.as_str()) {
            return Err(not_a_header(name.as_str()));
        }
        request.append_header(name, value)?;
    }
    if !forward.set_headers.iter().any(|(name, _)| COOKIE.as_str().eq_ignore_ascii_case(name)) {
        join_cookies(request)?;
    }
    forwarded::add(request, arrival)
}

/// Removes the hop-by-hop fields of the application's response, and what its `Connection` names. Not for a `101`, which
/// is about the connection.
pub fn end_hop(response: &mut ResponseHeader) {
    let lines: Vec<_> = response.headers.get_all(CONNECTION).iter().cloned().collect();
    let named = lines.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim);
    for name in named.filter(|name| !FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(name))).chain(HOP_BY_HOP) {
        response.remove_header(name);
    }
}

/// Adds the decision's headers to the application's response, or to our own page in its place. With a cookie among
/// them no cache may store it, whatever the application says.
///
/// # Errors
/// Status 500 for an edit that is not a header, or that is not the filter's to make.
pub fn edit_response(response: &mut ResponseHeader, headers: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, value) in headers {
        let (name, value) = header(name, value)?;
        if CONNECTION_OWNED.contains(&name.as_str()) {
            return Err(not_a_header(name.as_str()));
        }
        if name == SET_COOKIE {
            CACHE_DIRECTIVES.iter().for_each(|name| drop(response.remove_header(*name)));
            response.insert_header(CACHE_CONTROL, NOT_FOR_CACHES)?;
        }
        response.append_header(name, value)?;
    }
    Ok(())
}

/// A filter's response, complete but for its length. Hop-by-hop fields and `Content-Length` are this host's to set.
///
/// # Errors
/// Status 500 for a status or header that HTTP does not have.
pub fn own_response(status: u16, headers: &[(String, Vec<u8>)], body_bytes: usize) -> Result<ResponseHeader> {
    if !(200..=599).contains(&status) {
        return Error::e_explain(ErrorType::HTTPStatus(500), format!("the filter answers with status {status}"));
    }
    let mut response = ResponseHeader::build(status, Some(headers.len() + 1))?;
    for (name, value) in headers {
        let (name, value) = header(name, value)?;
        if !CONNECTION_OWNED.contains(&name.as_str()) {
            response.append_header(name, value)?;
        }
    }
    // RFC 9110 section 8.6: no length with 204; 304 and HEAD would have to tell the length of what is not sent.
    if !matches!(status, 204 | 304) {
        response.insert_header(http::header::CONTENT_LENGTH, body_bytes)?;
    }
    Ok(response)
}

/// One `Cookie` line: HTTP/2 peers split it, HTTP/1.1 has just one (RFC 9113 section 8.2.3). Lines of the filter's stay
/// as they are: it knows what the application's server takes.
fn join_cookies(request: &mut RequestHeader) -> Result<()> {
    let lines: Vec<&[u8]> = request.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() < 2 {
        return Ok(());
    }
    let joined = lines.join(&b"; "[..]);
    let value = HeaderValue::from_bytes(&joined).map_err(|_| not_a_header(COOKIE.as_str()))?;
    request.insert_header(COOKIE, value)
}

fn header(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue)> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value).ok());
    parsed.ok_or_else(|| not_a_header(name))
}

fn not_a_header(name: &str) -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(500), format!("the filter sets a header that cannot be sent: {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVAL: Arrival<'_> = Arrival { peer: None, tls: false, public_origin: "http://localhost:8501" };

    fn forward(remove: &[&str], set: &[(&str, &[u8])]) -> Forward {
        Forward {
            remove_headers: remove.iter().map(|name| (*name).to_owned()).collect(),
            set_headers: set.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
            response_headers: Vec::new(),
            expires_at: None,
            session: None,
        }
    }

    fn request(headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
        for (name, value) in headers {
            request.append_header(*name, *value).expect("a header");
        }
        request
    }

    fn values<'a>(request: &'a RequestHeader, name: &str) -> Vec<&'a [u8]> {
        request.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
    }

    #[test]
    fn removal_takes_every_line_and_comes_before_addition() {
        let mut request = request(&[("X-User", "mallory"), ("x-user", "eve"), ("x-keep", "1")]);
        let edits = forward(&["X-USER"], &[("X-User", "zoë".as_bytes())]);
        edit_request(&mut request, &edits, ARRIVAL).expect("edits");
        assert_eq!(values(&request, "x-user"), ["zoë".as_bytes()]);
        assert_eq!(values(&request, "x-keep"), [b"1"]);
    }

    #[test]
    fn a_name_given_twice_means_two_lines() {
        let mut request = request(&[]);
        edit_request(&mut request, &forward(&[], &[("x-group", b"a"), ("x-group", b"b")]), ARRIVAL).expect("edits");
        assert_eq!(values(&request, "x-group"), [b"a", b"b"]);
    }

    #[test]
    fn an_edit_that_cannot_be_sent_stops_the_request() {
        for (name, value) in [("x user", &b"a"[..]), ("x-user", b"a\r\nb"), ("connection", b"x-user"), ("Content-Length", b"0")] {
            let error = edit_request(&mut request(&[]), &forward(&[], &[(name, value)]), ARRIVAL).expect_err(name);
            assert_eq!(error.etype(), &ErrorType::HTTPStatus(500), "{name}");
        }
    }

    #[test]
    fn cookies_become_one_line() {
        let mut request = request(&[("cookie", "a=1"), ("cookie", "b=2")]);
        edit_request(&mut request, &forward(&[], &[]), ARRIVAL).expect("edits");
        assert_eq!(values(&request, "cookie"), [b"a=1; b=2"]);
    }

    #[test]
    fn cookie_lines_of_the_filters_stay_apart() {
        let mut request = request(&[("cookie", "a=1"), ("cookie", "b=2")]);
        edit_request(&mut request, &forward(&["Cookie"], &[("Cookie", b"c=3"), ("cookie", b"d=4")]), ARRIVAL).expect("edits");
        assert_eq!(values(&request, "cookie"), [b"c=3", b"d=4"]);
    }

    fn response(headers: &[(&'static str, &str)]) -> ResponseHeader {
        let mut response = ResponseHeader::build(200, None).expect("a response");
        for (name, value) in headers {
            response.append_header(*name, *value).expect("a header");
        }
        response
    }

    #[test]
    fn a_response_with_a_cookie_of_the_filters_is_not_for_caches() {
        let of_application = [
            ("cache-control", "public, max-age=31536000, immutable"),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
        ];
        for (added, stored) in [("Set-Cookie", false), ("x-other", true)] {
            let mut response = response(&of_application);
            edit_response(&mut response, &[(added.into(), b"a=1".to_vec())]).expect("edits");
            assert_eq!(response.headers.get_all(CACHE_CONTROL).iter().count(), 1);
            assert_eq!(response.headers[CACHE_CONTROL] == NOT_FOR_CACHES, !stored);
            for (name, _) in &of_application[1..] {
                assert_eq!(response.headers.contains_key(*name), stored, "{name} with {added}");
            }
        }
    }

    #[test]
    fn an_edit_of_the_responses_framing_is_refused() {
        for name in ["content-length", "Transfer-Encoding", "connection"] {
            let error = edit_response(&mut response(&[]), &[(name.into(), b"0".to_vec())]).expect_err(name);
            assert_eq!(error.etype(), &ErrorType::HTTPStatus(500), "{name}");
        }
    }

    #[test]
    fn hop_by_hop_fields_of_a_response_end_here_and_its_framing_does_not() {
        let headers = [
            ("connection", "X-Hop, content-length"),
            ("connection", "close, X-Other-Hop"),
            ("x-hop", "1"),
            ("x-other-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2,h2c"),
            ("proxy-authenticate", "Basic"),
            ("trailer", "x-sum"),
            ("content-length", "3"),
            ("etag", "x"),
        ];
        let mut response = response(&headers);
        end_hop(&mut response);
        let mut left: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "content-length", "etag"]);
    }

    #[test]
    fn own_responses_carry_their_length_and_no_hop_by_hop_field() {
        let headers = [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("Connection", "close"), ("content-length", "9")];
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into();
        let response = own_response(302, &headers, 3).expect("a response");
        assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(response.headers["content-length"], "3");
        assert!(!response.headers.contains_key("connection"));
        assert!(!own_response(204, &headers, 0).expect("a response").headers.contains_key("content-length"));
    }

    #[test]
    fn an_impossible_status_is_a_failure_of_the_filter() {
        for status in [0, 100, 101, 600, 1000] {
            let error = own_response(status, &[], 0).expect_err("not a final status");
            assert_eq!(error.etype(), &ErrorType::HTTPStatus(500), "{status}");
        }
    }
}
