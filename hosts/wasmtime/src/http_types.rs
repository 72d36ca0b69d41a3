//! Conversions between the component's types and those of the `http` crate, for hosts that use the latter.

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::bindings::{Forward, RequestHead, Response};

/// `Cache-Control` of a response that the filter adds a cookie to: a cache that stored it would hand out the session.
/// `Set-Cookie` alone does not keep a cache from storing (RFC 9111 section 7.3).
pub const NOT_FOR_CACHES: &str = "private, no-store";

/// What else caches go by, some of them rather than by `Cache-Control`; to be removed from such a response.
pub const CACHE_DIRECTIVES: [&str; 6] =
    ["age", "cdn-cache-control", "cloudflare-cdn-cache-control", "expires", "surrogate-control", "x-accel-expires"];

/// A request head that no decision can be asked for: answer it with status 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has no path (CONNECT); send it in origin form")]
pub struct NoPath;

/// The component gave something that HTTP does not allow: answer with status 500.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecision {
    /// Name or value of a header.
    #[error("the filter's header {0:?} is not valid HTTP; take host and component from the same release")]
    Header(String),
    /// Status of a response.
    #[error("the filter's status {0} is not valid HTTP; take host and component from the same release")]
    Status(u16),
}

/// The head as the component wants it: nothing is normalised. `application_server` is absent; a host that knows it sets it.
///
/// # Errors
/// When the target has no path, as with CONNECT.
pub fn request_head(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<RequestHead, NoPath> {
    Ok(RequestHead {
        method: method.as_str().to_owned(),
        path_with_query: uri.path_and_query().ok_or(NoPath)?.as_str().to_owned(),
        authority: uri.authority().map(|authority| authority.as_str().to_owned()),
        headers: headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect(),
        application_server: None,
    })
}

/// Edits the request's headers: removes what the decision removes, then adds what it adds. A proxy removes what the
/// peer's `Connection` names *before* (RFC 9110 section 7.6.1), or that could take an identity away again.
///
/// # Errors
/// When a header is not valid; nothing is changed then, and the request must not be forwarded.
pub fn edit_request(forward: &Forward, headers: &mut HeaderMap) -> Result<(), InvalidDecision> {
    let added = parse_headers(&forward.set_headers)?;
    for name in &forward.remove_headers {
        // A name that is not valid is not in the map either.
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.remove(name);
        }
    }
    append(added, headers);
    Ok(())
}

/// Adds the decision's headers to the application's response. With a cookie among them no cache may store it.
///
/// # Errors
/// When a header is not valid; nothing is changed then.
pub fn edit_response(forward: &Forward, headers: &mut HeaderMap) -> Result<(), InvalidDecision> {
    let added = parse_headers(&forward.response_headers)?;
    if added.iter().any(|(name, _)| name == SET_COOKIE) {
        CACHE_DIRECTIVES.iter().for_each(|name| drop(headers.remove(*name)));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(NOT_FOR_CACHES));
    }
    append(added, headers);
    Ok(())
}

/// The filter's own response.
///
/// # Errors
/// When the status or a header is not valid.
pub fn response(response: Response) -> Result<http::Response<Vec<u8>>, InvalidDecision> {
    let headers = parse_headers(&response.headers)?;
    let mut answer = http::Response::new(response.body);
    *answer.status_mut() = StatusCode::from_u16(response.status).map_err(|_| InvalidDecision::Status(response.status))?;
    append(headers, answer.headers_mut());
    Ok(answer)
}

fn parse_headers(fields: &[(String, Vec<u8>)]) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidDecision> {
    fields
        .iter()
        .map(|(name, value)| {
            let invalid = || InvalidDecision::Header(name.clone());
            Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, HeaderValue::from_bytes(value).map_err(|_| invalid())?))
        })
        .collect()
}

fn append(fields: Vec<(HeaderName, HeaderValue)>, headers: &mut HeaderMap) {
    for (name, value) in fields {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HOST};

    use super::*;

    fn forward(remove: &[&str], set: &[(&str, &str)]) -> Forward {
        Forward {
            remove_headers: remove.iter().map(|&name| name.to_owned()).collect(),
            set_headers: fields(set),
            response_headers: Vec::new(),
            expires_at: None,
            session: None,
        }
    }

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        fields.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_head_keeps_its_bytes() {
        let request = http::Request::get("https://app.example/a%2Fb/../c?x=%00&y")
            .header(HOST, "app.example")
            .header(COOKIE, "a=1")
            .header(COOKIE, "b=2")
            .header("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap())
            .body(())
            .unwrap();
        let head = request_head(request.method(), request.uri(), request.headers()).unwrap();
        assert_eq!(head.method, "GET");
        assert_eq!(head.path_with_query, "/a%2Fb/../c?x=%00&y");
        assert_eq!(head.authority.as_deref(), Some("app.example"));
        let mut expected = fields(&[("host", "app.example"), ("cookie", "a=1"), ("cookie", "b=2")]);
        expected.push(("x-bytes".into(), vec![0xff]));
        assert_eq!(head.headers, expected);
    }

    #[test]
    fn a_request_in_authority_form_has_no_head() {
        let uri = Uri::from_static("app.example:443");
        assert_eq!(request_head(&Method::CONNECT, &uri, &HeaderMap::new()).unwrap_err(), NoPath);
    }

    #[test]
    fn edits_remove_every_line_in_any_case_before_they_add() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-user", HeaderValue::from_static("mallory"));
        headers.append("x-forwarded-user", HeaderValue::from_static("eve"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        let edits = forward(&["X-Forwarded-User", "not a name"], &[("X-Forwarded-User", "alice"), ("x-group", "a"), ("x-group", "b")]);
        edit_request(&edits, &mut headers).unwrap();
        let users: Vec<_> = headers.get_all("x-forwarded-user").iter().collect();
        assert_eq!(users, ["alice"]);
        assert_eq!(headers.get_all("x-group").iter().count(), 2);
        assert_eq!(headers["accept"], "*/*");
    }

    #[test]
    fn no_cache_stores_a_response_with_a_cookie_of_the_filters() {
        let of_application = [
            ("cache-control", "public, max-age=31536000, immutable"),
            ("age", "3"),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
            ("etag", "\"x\""),
        ];
        for (added, kept) in [("set-cookie", false), ("x-other", true)] {
            let mut headers = HeaderMap::new();
            append(parse_headers(&fields(&of_application)).unwrap(), &mut headers);
            let edits = Forward { response_headers: fields(&[(added, "a=1")]), ..forward(&[], &[]) };
            edit_response(&edits, &mut headers).unwrap();
            assert_eq!(headers[added], "a=1");
            assert_eq!(headers["etag"], "\"x\"");
            assert_eq!(headers.get_all(CACHE_CONTROL).iter().count(), 1);
            assert_eq!(headers[CACHE_CONTROL] == NOT_FOR_CACHES, !kept);
            for (name, _) in &of_application[1..5] {
                assert_eq!(headers.contains_key(*name), kept, "{name}");
            }
        }
    }

    #[test]
    fn an_invalid_edit_changes_nothing() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-user", HeaderValue::from_static("mallory"));
        let before = headers.clone();
        let edits = forward(&["x-forwarded-user"], &[("x-user", "a\r\nb")]);
        assert_eq!(edit_request(&edits, &mut headers), Err(InvalidDecision::Header("x-user".into())));
        assert_eq!(headers, before);
    }

    #[test]
    fn responses_keep_repeated_headers_and_refuse_impossible_statuses() {
        let make = |status| Response { status, headers: fields(&[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]), body: b"hello".to_vec() };
        let answer = response(make(302)).unwrap();
        assert_eq!(answer.status(), 302);
        assert_eq!(answer.headers().get_all(SET_COOKIE).iter().count(), 2);
        assert_eq!(answer.body(), b"hello");
        assert_eq!(response(make(99)).unwrap_err(), InvalidDecision::Status(99));
    }
}
