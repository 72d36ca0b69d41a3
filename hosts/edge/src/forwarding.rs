//! The filter's edits on their way to the application and back.
//!
//! Order, each step after the one before:
//! 1. Pingora removes hop-by-hop fields and what the *peer's* `Connection` names (RFC 9110 section 7.6.1). The edits
//!    are not there yet, so `Connection: X-Forwarded-User` cannot take an identity away.
//! 2. The filter's removals, then its additions.
//! 3. `X-Forwarded-*` and `Forwarded` (see [`crate::forwarded`]).

use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use vestibule_wasmtime::Forward;

use crate::forwarded::{self, Arrival};

/// What the filter must not set: it belongs to the connection, not to the request.
const CONNECTION_OWNED: [&str; 9] =
    ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Makes of the peer's request, without its hop-by-hop fields, what the application receives.
///
/// # Errors
/// Status 500 for an edit that is not a header: the request must not go on without it.
pub fn edit_request(request: &mut RequestHeader, forward: &Forward, arrival: Arrival<'_>) -> Result<()> {
    forwarded::remove_where(request, |name| forward.remove_headers.iter().any(|unwanted| unwanted.eq_ignore_ascii_case(name)));
    for (name, value) in &forward.set_headers {
        let (name, value) = header(name, value)?;
        if CONNECTION_OWNED.contains(&name.as_str()) {
            return Err(not_a_header(name.as_str()));
        }
        request.append_header(name, value)?;
    }
    join_cookies(request)?;
    forwarded::replace(request, arrival)
}

/// Adds the decision's headers to the application's response, or to our own page in its place.
///
/// # Errors
/// Status 500 for an edit that is not a header.
pub fn edit_response(response: &mut ResponseHeader, headers: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, value) in headers {
        let (name, value) = header(name, value)?;
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

/// One `Cookie` line: HTTP/2 peers split it, HTTP/1.1 has just one (RFC 9113 section 8.2.3).
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
