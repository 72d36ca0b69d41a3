//! Conversions between the component's types and those of the `http` crate, for hosts that use the latter.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use vestibule_enforcement::edits;
use vestibule_enforcement::headers::{Fields, NotAField};

use crate::decision::{Forward, Response};
use crate::request_head::RequestHead;

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

/// The head as the component wants it: nothing is normalised. What the application calls itself is not in it: see [`RequestHead::new`].
///
/// # Errors
/// When the target has no path, as with CONNECT.
pub fn request_head(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<RequestHead, NoPath> {
    let path_with_query = uri.path_and_query().ok_or(NoPath)?.as_str();
    let mut head = RequestHead::new(method.as_str(), path_with_query, uri.authority().map(http::uri::Authority::as_str), None);
    headers.iter().for_each(|(name, value)| head.push(name.as_str(), value.as_bytes()));
    Ok(head)
}

/// Edits the request's headers: removes what the decision removes, then adds what it adds. A proxy removes what the
/// peer's `Connection` names *before* (RFC 9110 section 7.6.1), or that could take an identity away again.
///
/// # Errors
/// When a header is not valid; nothing is changed then, and the request must not be forwarded.
pub fn edit_request(forward: &Forward, headers: &mut HeaderMap) -> Result<(), InvalidDecision> {
    let added = parse_headers(forward.set_headers())?;
    for name in forward.remove_headers() {
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
    if forward.response_headers.is_empty() {
        return Ok(());
    }
    let mut edited = Lines(headers.clone());
    edits::edit_response(&mut edited, &forward.response_headers).map_err(|NotAField(name)| InvalidDecision::Header(name))?;
    *headers = edited.0;
    Ok(())
}

/// Fields as the crate `http` keeps them.
struct Lines(HeaderMap);

impl Fields for Lines {
    fn visit(&self, see: &mut dyn FnMut(&str, &[u8])) {
        self.0.iter().for_each(|(name, value)| see(name.as_str(), value.as_bytes()));
    }

    fn remove_where(&mut self, unwanted: &dyn Fn(&str) -> bool) {
        let names: Vec<_> = self.0.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
        names.iter().for_each(|name| drop(self.0.remove(name)));
    }

    fn append(&mut self, name: &str, value: &[u8]) -> Result<(), NotAField> {
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value).ok());
        let (name, value) = parsed.ok_or_else(|| NotAField(name.to_owned()))?;
        self.0.append(name, value);
        Ok(())
    }
}

/// The filter's own response.
///
/// # Errors
/// When the status or a header is not valid.
pub fn response(response: Response) -> Result<http::Response<Vec<u8>>, InvalidDecision> {
    let headers = parse_headers(response.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
    let mut answer = http::Response::new(response.body);
    *answer.status_mut() = StatusCode::from_u16(response.status).map_err(|_| InvalidDecision::Status(response.status))?;
    append(headers, answer.headers_mut());
    Ok(answer)
}

fn parse_headers<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidDecision> {
    fields
        .map(|(name, value)| {
            let invalid = || InvalidDecision::Header(name.to_owned());
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
    use http::header::{CACHE_CONTROL, COOKIE, HOST, SET_COOKIE};

    use super::*;

    fn forward(remove: &[&str], set: &[(&str, &str)]) -> Forward {
        Forward::new(remove, &set.iter().map(|(name, value)| (*name, value.as_bytes())).collect::<Vec<_>>())
    }

    fn answering(headers: &[(&str, &str)]) -> Forward {
        let mut forward = forward(&[], &[]);
        forward.response_headers = fields(headers);
        forward
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
        assert_eq!((head.method(), head.path_with_query()), ("GET", "/a%2Fb/../c?x=%00&y"));
        assert_eq!(head.authority(), Some("app.example"));
        let expected = [("host", &b"app.example"[..]), ("cookie", b"a=1"), ("cookie", b"b=2"), ("x-bytes", b"\xff")];
        assert_eq!(head.headers().collect::<Vec<_>>(), expected);
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
        let mut headers = HeaderMap::new();
        for (name, value) in [("cache-control", "public"), ("age", "3"), ("etag", "x")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let edits = answering(&[("set-cookie", "a=1")]);
        edit_response(&edits, &mut headers).unwrap();
        assert_eq!(headers.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), ["private, no-store"]);
        assert_eq!((&headers[SET_COOKIE], &headers["etag"]), (&HeaderValue::from_static("a=1"), &HeaderValue::from_static("x")));
        assert!(!headers.contains_key("age"));
    }

    #[test]
    fn an_invalid_edit_changes_nothing() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-user", HeaderValue::from_static("mallory"));
        let before = headers.clone();
        let edits = forward(&["x-forwarded-user"], &[("x-user", "a\r\nb")]);
        assert_eq!(edit_request(&edits, &mut headers), Err(InvalidDecision::Header("x-user".into())));
        assert_eq!(headers, before);
        let edits = answering(&[("set-cookie", "a=1"), ("x-user", "a\r\nb")]);
        assert_eq!(edit_response(&edits, &mut headers), Err(InvalidDecision::Header("x-user".into())));
        assert_eq!(headers, before);
    }

    #[test]
    fn responses_keep_repeated_headers_and_refuse_impossible_statuses() {
        let make = |status| Response {
            status,
            headers: fields(&[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
            body: b"hello".to_vec(),
            counts_as: None,
        };
        let answer = response(make(302)).unwrap();
        assert_eq!(answer.status(), 302);
        assert_eq!(answer.headers().get_all(SET_COOKIE).iter().count(), 2);
        assert_eq!(answer.body(), b"hello");
        assert_eq!(response(make(99)).unwrap_err(), InvalidDecision::Status(99));
    }
}
