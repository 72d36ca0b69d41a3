//! The filter's edits on their way to the application and back, in Pingora's types. The rules are
//! [`vestibule_enforcement::edits`]'s; of the request, Pingora itself has removed the hop-by-hop fields and what the peer's
//! `Connection` names before.

use http::header::HOST;
use http::{HeaderName, HeaderValue};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use vestibule_enforcement::edits;
use vestibule_enforcement::forwarded::{Arrival, Told};
use vestibule_enforcement::headers::{Field, Fields, NotAField};
use vestibule_wasmtime::Forward;

use crate::client::address::Client;

/// How a request arrived, but for what the request itself says of it.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Who has sent it, and through which proxies.
    pub client: &'a Client,
    /// The connection is TLS.
    pub tls: bool,
    /// Origin of `redirect_uri`.
    pub public_origin: &'a str,
}

/// Makes of the peer's request, without its hop-by-hop fields, what the application receives.
///
/// # Errors
/// Status 500 for an edit that is not a header: the request must not go on without it.
pub fn edit_request(request: &mut RequestHeader, forward: &Forward, received: Received<'_>) -> Result<()> {
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let Received { client, tls, public_origin } = received;
    let told = Told { https: client.https, host: client.host.as_deref() };
    let arrival = Arrival { route: &client.route, told, tls, host: host.as_deref(), public_origin };
    let (remove, set): (Vec<_>, Vec<_>) = (forward.remove_headers().collect(), forward.set_headers().collect());
    edits::edit_request(&mut Request(request), &remove, &set, arrival).map_err(not_a_field)
}

/// Removes the hop-by-hop fields of the application's response, and what its `Connection` names. Not for a `101`, which
/// is about the connection.
pub fn end_hop(response: &mut ResponseHeader) {
    edits::end_hop(&mut Response(response));
}

/// Adds the decision's headers to the application's response, or to our own page in its place. With a cookie among
/// them no cache may store it, whatever the application says.
///
/// # Errors
/// Status 500 for an edit that is not a header, or that is not the filter's to make.
pub fn edit_response(response: &mut ResponseHeader, headers: &[Field]) -> Result<()> {
    edits::edit_response(&mut Response(response), headers).map_err(not_a_field)
}

/// A filter's response, complete but for its length. Hop-by-hop fields and `Content-Length` are this host's to set.
///
/// # Errors
/// Status 500 for a status or header that HTTP does not have.
pub fn own_response(status: u16, headers: &[Field], body_bytes: usize) -> Result<ResponseHeader> {
    if !(200..=599).contains(&status) {
        return Error::e_explain(ErrorType::HTTPStatus(500), format!("the filter answers with status {status}"));
    }
    let mut response = ResponseHeader::build(status, Some(headers.len() + 1))?;
    for (name, value) in edits::own_response(status, headers, body_bytes, false) {
        Response(&mut response).append(&name, &value).map_err(not_a_field)?;
    }
    Ok(response)
}

struct Request<'a>(&'a mut RequestHeader);
struct Response<'a>(&'a mut ResponseHeader);

/// Both keep their fields alike, without a type in common.
macro_rules! fields_of_pingora {
    ($type:ty) => {
        impl Fields for $type {
            fn visit(&self, see: &mut dyn FnMut(&str, &[u8])) {
                self.0.headers.iter().for_each(|(name, value)| see(name.as_str(), value.as_bytes()));
            }

            fn remove_where(&mut self, unwanted: &dyn Fn(&str) -> bool) {
                let names: Vec<_> = self.0.headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
                names.iter().for_each(|name| drop(self.0.remove_header(name)));
            }

            fn append(&mut self, name: &str, value: &[u8]) -> Result<(), NotAField> {
                let refused = || NotAField(name.to_owned());
                let value = HeaderValue::from_bytes(value).map_err(|_| refused())?;
                // From text, Pingora keeps the name's case; from a parsed name it does not.
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
                self.0.append_header(name.to_owned(), value).map(drop).map_err(|_| refused())
            }
        }
    };
}
fields_of_pingora!(Request<'_>);
fields_of_pingora!(Response<'_>);

fn not_a_field(refused: NotAField) -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(500), refused.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Client = Client { route: Vec::new(), https: None, host: None };
    const RECEIVED: Received<'_> = Received { client: &NOBODY, tls: false, public_origin: "http://localhost:8501" };

    fn forward(remove: &[&str], set: &[(&str, &[u8])]) -> Forward {
        Forward::new(remove, set)
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
        edit_request(&mut request, &edits, RECEIVED).expect("edits");
        assert_eq!(values(&request, "x-user"), ["zoë".as_bytes()]);
        assert_eq!(values(&request, "x-keep"), [b"1"]);
    }

    #[test]
    fn an_edit_that_cannot_be_sent_stops_the_request() {
        for (name, value) in [("x user", &b"a"[..]), ("x-user", b"a\r\nb"), ("connection", b"x-user"), ("Content-Length", b"0")] {
            let error = edit_request(&mut request(&[]), &forward(&[], &[(name, value)]), RECEIVED).expect_err(name);
            assert_eq!(error.etype(), &ErrorType::HTTPStatus(500), "{name}");
        }
    }

    #[test]
    fn the_application_is_told_how_the_request_arrived() {
        let mut request = request(&[("host", "app.example:8443"), ("x-forwarded-for", "10.0.0.1")]);
        let client = Client { route: vec!["192.0.2.7".parse().expect("an address")], ..NOBODY };
        let received = Received { client: &client, tls: true, ..RECEIVED };
        edit_request(&mut request, &forward(&[], &[]), received).expect("edits");
        assert_eq!(values(&request, "x-forwarded-for"), [b"192.0.2.7"]);
        assert_eq!(values(&request, "x-forwarded-host"), [b"app.example:8443"]);
        assert_eq!(values(&request, "x-forwarded-proto"), [b"https"]);
    }

    #[test]
    fn what_is_written_here_is_what_the_core_leaves_to_hosts() {
        assert_eq!(vestibule_enforcement::forwarded::WRITTEN, vestibule::web::proxy_headers::ARRIVAL);
    }

    #[test]
    fn cookies_become_one_line() {
        let mut request = request(&[("cookie", "a=1"), ("cookie", "b=2")]);
        edit_request(&mut request, &forward(&[], &[]), RECEIVED).expect("edits");
        assert_eq!(values(&request, "cookie"), [b"a=1; b=2"]);
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
        let mut response = response(&[("cache-control", "public"), ("expires", "Thu, 01 Jan 2099 00:00:00 GMT")]);
        edit_response(&mut response, &[("Set-Cookie".into(), b"a=1".to_vec())]).expect("edits");
        let mut left: Vec<_> = response.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
        left.sort_unstable();
        assert_eq!(left, [("cache-control", "private, no-store"), ("set-cookie", "a=1")]);
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
