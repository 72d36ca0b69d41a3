//! From Pingora's request to the filter's: the same bytes that the upstream will receive.

use http::HeaderValue;
use http::header::{CONTENT_LENGTH, COOKIE, TRANSFER_ENCODING};
use pingora::http::RequestHeader;
use pingora::http::authority::{RawTargetAuthority, raw_target_authority};
use pingora::{Error, ErrorType, Result};
use vestibule::web::http::{MAX_HEADER_BYTES, MAX_HEADER_COUNT};
use vestibule_wasmtime::RequestHead;

use crate::client::request_id::{self, RequestId};

/// Brings the request target into origin form, in `request` itself, so that the decision and the forwarding rest on
/// the same bytes. Returns the authority of an absolute-form or HTTP/2 request.
///
/// # Errors
/// Status 400 for a target with no single reading.
pub fn into_origin_form(request: &mut RequestHeader) -> Result<Option<String>> {
    let (authority, target) = match raw_target_authority(request.raw_path()) {
        RawTargetAuthority::None => {
            return Ok(request.uri.authority().map(|authority| authority.as_str().to_owned()));
        }
        RawTargetAuthority::AmbiguousAuthority => return Err(bad_request("ambiguous request target")),
        RawTargetAuthority::Absolute { authority, path_and_query, .. } => (text(authority)?, origin_form(path_and_query)),
    };
    request.set_raw_path(&target)?;
    if !request.headers.contains_key(http::header::HOST) {
        // RFC 9112 section 3.2.2: the authority of the target stands for `Host`.
        request.insert_header(http::header::HOST, authority.as_str())?;
    }
    Ok(Some(authority))
}

/// Whether the body has one length at most, as HTTP/1.1 has it by [`crate::listen::framing`]: HTTP/2 frames bodies in another way,
/// but what is said of the length goes on to the application.
///
/// # Errors
/// Status 400.
pub fn check_length(request: &RequestHeader) -> Result<()> {
    let mut lengths = request.headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |length: &HeaderValue| !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    if lengths.next().is_none_or(is_number) && lengths.next().is_none() { Ok(()) } else { Err(bad_request("ambiguous length")) }
}

/// The head as the filter wants it; `application_server` is what the application says in `Server`. Call [`into_origin_form`] first.
/// `request_id` is in the filter's answers, and no other name is; `None` for a request that the filter answers nobody. A client that
/// sends as many headers as the filter takes leaves no room for a name.
///
/// # Errors
/// Status 431 for more headers than the filter takes: they are not even copied. Status 400 for a request target that is
/// not UTF-8: RFC 3986 has such bytes percent-encoded.
pub fn request_head(
    request: &RequestHeader,
    authority: Option<&str>,
    application_server: Option<&str>,
    request_id: Option<&RequestId>,
) -> Result<RequestHead> {
    let bytes = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    // HTTP/2 peers split `Cookie` into many lines (RFC 9113 section 8.2.3).
    let fields = request.headers.len() - request.headers.get_all(COOKIE).iter().count();
    if bytes > MAX_HEADER_BYTES || fields > MAX_HEADER_COUNT {
        return Err(refused(431, "more headers than the filter takes"));
    }
    let path_with_query = std::str::from_utf8(request.raw_path()).map_err(|_| not_utf8())?;
    let mut head = RequestHead::new(request.method.as_str(), path_with_query, authority, application_server);
    let headers = request.headers.iter().filter(|(name, _)| !request_id::is_one(name.as_str()));
    headers.for_each(|(name, value)| head.push(name.as_str(), value.as_bytes()));
    if let Some(id) = request_id.map(RequestId::as_str)
        && bytes + request_id::NAME.len() + id.len() <= MAX_HEADER_BYTES
        && fields < MAX_HEADER_COUNT
    {
        head.push(request_id::NAME, id.as_bytes());
    }
    Ok(head)
}

/// Tells the filter of a body that the head says nothing of: HTTP/2 frames one without a length (RFC 9113 section 8.1). The
/// application receives it under this name, and what is decided on is what is sent.
pub fn tell_of_body(head: &mut RequestHead, request: &RequestHeader, has_body: bool) {
    let is_told = request.headers.contains_key(CONTENT_LENGTH) || request.headers.contains_key(TRANSFER_ENCODING);
    if has_body && !is_told {
        head.push(TRANSFER_ENCODING.as_str(), b"chunked");
    }
}

/// An absolute-form target without a path means `/` (RFC 9112 section 3.2.2).
fn origin_form(path_and_query: &[u8]) -> Vec<u8> {
    if path_and_query.starts_with(b"/") { path_and_query.to_vec() } else { [b"/", path_and_query].concat() }
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| not_utf8())
}

fn not_utf8() -> Box<Error> {
    bad_request("request target is not UTF-8")
}

fn bad_request(reason: &'static str) -> Box<Error> {
    refused(400, reason)
}

/// The peer's fault: anybody can cause it, so that it is no warning in the log.
fn refused(status: u16, reason: &'static str) -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(status), reason).into_down()
}

#[cfg(test)]
mod tests {
    use pingora::ErrorSource;

    use super::*;

    fn check(target: &str, path_with_query: &str, authority: Option<&str>) {
        let mut request = RequestHeader::build("GET", target.as_bytes(), None).expect("a request");
        let found = into_origin_form(&mut request).expect("one reading");
        assert_eq!(found.as_deref(), authority, "{target}");
        assert_eq!(request_head(&request, found.as_deref(), None, None).expect("a head").path_with_query(), path_with_query, "{target}");
        assert_eq!(request.raw_path(), path_with_query.as_bytes(), "what is decided on is what is sent");
    }

    #[test]
    fn targets_arrive_in_origin_form() {
        check("/a?b=c", "/a?b=c", None);
        check("/a/../b%2fc//d?x=%41&&", "/a/../b%2fc//d?x=%41&&", None);
        check("http://host:1/a?b", "/a?b", Some("host:1"));
        check("http://host", "/", Some("host"));
        check("http://host?b", "/?b", Some("host"));
    }

    #[test]
    fn host_is_filled_in_from_an_absolute_target() {
        let mut request = RequestHeader::build("GET", b"http://host:1/a", None).expect("a request");
        into_origin_form(&mut request).expect("one reading");
        assert_eq!(request.headers["host"], "host:1");
    }

    #[test]
    fn header_lines_keep_their_bytes_and_their_number() {
        let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
        for value in [&b"a=1"[..], b"b=\xff"] {
            let value = http::HeaderValue::from_bytes(value).expect("a value");
            request.append_header("cookie", value).expect("a header");
        }
        let head = request_head(&request, None, None, None).expect("a head");
        assert_eq!(head.headers().collect::<Vec<_>>(), [("cookie", &b"a=1"[..]), ("cookie", b"b=\xff")]);
    }

    #[test]
    fn a_length_is_one_number() {
        let check = |lengths: &[&str]| {
            let mut request = RequestHeader::build("POST", b"/", None).expect("a request");
            for length in lengths {
                request.append_header("content-length", *length).expect("a header");
            }
            check_length(&request).map_err(|error| error.etype().clone())
        };
        for lengths in [&[][..], &["0"], &["5"]] {
            assert_eq!(check(lengths), Ok(()), "{lengths:?}");
        }
        for lengths in [&["5", "5"][..], &["5, 5"], &["+5"], &[""], &["5 "], &["x", "5"]] {
            assert_eq!(check(lengths), Err(ErrorType::HTTPStatus(400)), "{lengths:?}");
        }
    }

    #[test]
    fn a_target_that_is_not_utf8_is_refused() {
        let mut request = RequestHeader::build("GET", b"/\xff", None).expect("a request");
        let authority = into_origin_form(&mut request).expect("one reading");
        let error = request_head(&request, authority.as_deref(), None, None).expect_err("not UTF-8");
        assert_eq!((error.etype(), error.esource()), (&ErrorType::HTTPStatus(400), &ErrorSource::Downstream));
    }

    #[test]
    fn more_headers_than_the_filter_takes_are_refused() {
        let with = |fields: &[(&'static str, usize, usize)]| {
            let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
            for (name, lines, bytes) in fields {
                for _ in 0..*lines {
                    request.append_header(*name, "x".repeat(*bytes)).expect("a header");
                }
            }
            request_head(&request, None, None, None).map(|_| ()).map_err(|error| error.etype().clone())
        };
        assert_eq!(with(&[("x", MAX_HEADER_COUNT, 1)]), Ok(()));
        assert_eq!(with(&[("x", MAX_HEADER_COUNT, 1), ("cookie", 100, 1)]), Ok(()));
        assert_eq!(with(&[("x", MAX_HEADER_COUNT + 1, 1)]), Err(ErrorType::HTTPStatus(431)));
        assert_eq!(with(&[("x", 1, MAX_HEADER_BYTES - 1)]), Ok(()));
        assert_eq!(with(&[("x", 1, MAX_HEADER_BYTES)]), Err(ErrorType::HTTPStatus(431)));
    }

    #[test]
    fn the_filter_is_told_one_name_and_not_the_clients() {
        let id = RequestId::unique();
        let told = |lines: &[(&'static str, &str)], id: Option<&RequestId>| {
            let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
            lines.iter().for_each(|(name, value)| request.append_header(*name, *value).map(|_| ()).expect("a header"));
            let head = request_head(&request, None, None, id).expect("a head");
            head.headers().map(|(name, value)| format!("{}={}", name.to_lowercase(), String::from_utf8_lossy(value))).collect::<Vec<_>>()
        };
        let ours = format!("x-request-id={id}");
        for lines in [
            &[("a", "1")][..],
            &[("a", "1"), ("x-request-id", "theirs")],
            &[("x-request-id", "theirs"), ("a", "1"), ("x-request-id", "theirs")],
            &[("x_request_id", "theirs"), ("x.request.id", "theirs"), ("a", "1")],
        ] {
            assert_eq!(told(lines, Some(&id)), ["a=1", &ours], "{lines:?}");
            assert_eq!(told(lines, None), ["a=1"], "{lines:?}");
        }
        let most = vec![("a", "1"); MAX_HEADER_COUNT];
        assert_eq!(told(&most, Some(&id)), vec!["a=1"; MAX_HEADER_COUNT], "no room");
        assert_eq!(told(&most[1..], Some(&id)).last(), Some(&ours));
        let longest = "x".repeat(MAX_HEADER_BYTES - 1 - ours.len() + 1);
        assert_eq!(told(&[("a", &longest)], Some(&id)).len(), 2);
        assert_eq!(told(&[("a", &format!("{longest}x"))], Some(&id)).len(), 1);
    }
}
