//! The filter's edits on their way to the application and back.
//!
//! Order of the request's edits, each step after the one before:
//! 1. Hop-by-hop fields and what the *peer's* `Connection` names end here (RFC 9110 section 7.6.1). The edits are not
//!    there yet, so `Connection: X-Forwarded-User` cannot take an identity away. Where the server in front has done it,
//!    there is nothing left to do.
//! 2. The peer's word on how it arrived is removed (see [`crate::forwarded`]), and what the filter removes.
//! 3. The filter's additions, then our own `X-Forwarded-*`.
//!
//! The response's hop-by-hop fields end here as well, before the filter's headers are added.

use crate::forwarded::{self, Arrival};
use crate::headers::{Field, Fields, NotAField};

/// `Cache-Control` of a response that the filter adds a cookie to: a cache that stored it would hand out the session.
/// `Set-Cookie` alone does not keep a cache from storing (RFC 9111 section 7.3).
pub const NOT_FOR_CACHES: &str = "private, no-store";

/// What else caches go by, some of them rather than by `Cache-Control`; to be removed from such a response.
pub const CACHE_DIRECTIVES: [&str; 6] =
    ["age", "cdn-cache-control", "cloudflare-cdn-cache-control", "expires", "surrogate-control", "x-accel-expires"];

/// What the filter must not set: it belongs to the connection, not to the message.
const CONNECTION_OWNED: [&str; 9] =
    ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Between a peer and this host, and nobody else's (RFC 9110 section 7.6.1, and 11.7 for the last two).
const HOP_BY_HOP: [&str; 7] =
    ["keep-alive", "proxy-connection", "te", "trailer", "upgrade", "proxy-authenticate", "proxy-authentication-info"];

/// What a `Connection` cannot take away: without them the body has no end, or the request no address.
const FRAMING: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// Removes hop-by-hop fields and what `Connection` names, but not `Connection` itself nor the framing: those are the
/// server's to set. Not for an upgrade, which is about the connection.
pub fn end_hop(message: &mut impl Fields) {
    let lines = message.values("connection");
    let named: Vec<_> = lines
        .iter()
        .filter_map(|line| std::str::from_utf8(line).ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|name| !is_one_of(name, &FRAMING))
        .collect();
    message.remove_where(&|name| is_one_of(name, &HOP_BY_HOP) || named.iter().any(|given| given.eq_ignore_ascii_case(name)));
}

/// Makes of a request, without its hop-by-hop fields, what the application receives.
///
/// # Errors
/// For an edit that is not a field, or not the filter's to make: the request must not go on without it.
pub fn edit_request(request: &mut impl Fields, remove: &[&str], set: &[(&str, &[u8])], arrival: Arrival<'_>) -> Result<(), NotAField> {
    forwarded::remove(request);
    request.remove_where(&|name| remove.iter().any(|unwanted| unwanted.eq_ignore_ascii_case(name)));
    for (name, value) in set {
        append_edit(request, name, value)?;
    }
    if !set.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie")) {
        join_cookies(request)?;
    }
    forwarded::add(request, arrival)
}

/// Adds the decision's headers to the application's response, or to a page of the host's in its place. With a cookie
/// among them no cache may store it, whatever the application says.
///
/// # Errors
/// For an edit that is not a field, or not the filter's to make.
pub fn edit_response(response: &mut impl Fields, add: &[Field]) -> Result<(), NotAField> {
    if add.iter().any(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
        response.remove_where(&|name| is_one_of(name, &CACHE_DIRECTIVES) || name.eq_ignore_ascii_case("cache-control"));
        response.append("cache-control", NOT_FOR_CACHES.as_bytes())?;
    }
    add.iter().try_for_each(|(name, value)| append_edit(response, name, value))
}

/// The fields of the filter's own response, complete: with its length, and without what is the connection's.
///
/// `answers_head`: the body is left out, and its length is not known.
pub fn own_response(status: u16, fields: &[Field], body_bytes: usize, answers_head: bool) -> Vec<Field> {
    let mut response: Vec<_> = fields.iter().filter(|(name, _)| !is_one_of(name, &CONNECTION_OWNED)).cloned().collect();
    // RFC 9110 section 8.6: no length with 204; 304 and HEAD would have to tell the length of what is not sent.
    if !answers_head && !matches!(status, 204 | 304) {
        response.push(("content-length".to_owned(), body_bytes.to_string().into_bytes()));
    }
    response
}

/// Whether a field is about the connection: hosts that build a message anew may refuse it there, and it is left out. No
/// edit of the filter's is among them.
pub fn is_the_connections(name: &str) -> bool {
    is_one_of(name, &CONNECTION_OWNED) || is_one_of(name, &HOP_BY_HOP) || is_one_of(name, &["http2-settings", "proxy-authorization"])
}

fn append_edit(message: &mut impl Fields, name: &str, value: &[u8]) -> Result<(), NotAField> {
    if is_one_of(name, &CONNECTION_OWNED) {
        return Err(NotAField(name.to_owned()));
    }
    message.append(name, value)
}

/// One `Cookie` line: HTTP/2 peers split it, HTTP/1.1 has just one (RFC 9113 section 8.2.3). Lines of the filter's stay
/// as they are: it knows what the application's server takes.
fn join_cookies(request: &mut impl Fields) -> Result<(), NotAField> {
    let lines = request.values("cookie");
    if lines.len() < 2 {
        return Ok(());
    }
    request.remove("cookie");
    request.append("cookie", &lines.join(&b"; "[..]))
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarded::Told;

    const ARRIVAL: Arrival<'_> =
        Arrival { route: &[], told: Told { https: None, host: None }, tls: false, host: None, public_origin: "http://localhost:8501" };

    fn fields(fields: &[(&str, &str)]) -> Vec<Field> {
        fields.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
    }

    fn names(message: &[Field]) -> Vec<&str> {
        message.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn removal_takes_every_line_and_comes_before_addition() {
        let mut request = fields(&[("X-User", "mallory"), ("x-user", "eve"), ("x-keep", "1")]);
        edit_request(&mut request, &["X-USER"], &[("X-User", "zoë".as_bytes())], ARRIVAL).unwrap();
        assert_eq!(request.values("x-user"), ["zoë".as_bytes()]);
        assert_eq!(request.values("x-keep"), [b"1"]);
    }

    #[test]
    fn a_name_given_twice_means_two_lines() {
        let mut request = Vec::new();
        edit_request(&mut request, &[], &[("x-group", b"a"), ("x-group", b"b")], ARRIVAL).unwrap();
        assert_eq!(request.values("x-group"), [b"a", b"b"]);
    }

    #[test]
    fn an_edit_that_cannot_be_sent_stops_the_message() {
        assert_eq!(edit_request(&mut Vec::new(), &[], &[("x-user", b"a\tb")], ARRIVAL), Ok(()));
        for (name, value) in
            [("x user", "a"), ("x-user", "a\r\nb"), ("x-user", "a\x7f"), ("connection", "x-user"), ("Content-Length", "0"), ("", "a")]
        {
            let refused = Err(NotAField(name.to_owned()));
            assert_eq!(edit_request(&mut Vec::new(), &[], &[(name, value.as_bytes())], ARRIVAL), refused);
            assert_eq!(edit_response(&mut Vec::new(), &fields(&[(name, value)])), refused);
        }
    }

    #[test]
    fn cookies_become_one_line() {
        let mut request = fields(&[("cookie", "a=1"), ("Cookie", "b=2")]);
        edit_request(&mut request, &[], &[], ARRIVAL).unwrap();
        assert_eq!(request.values("cookie"), [b"a=1; b=2"]);
        let mut request = fields(&[("cookie", "a=1"), ("Cookie", "b=2"), ("COOKIE", "c=3")]);
        edit_request(&mut request, &[], &[], ARRIVAL).unwrap();
        assert_eq!(request.values("cookie"), [b"a=1; b=2; c=3"]);
    }

    #[test]
    fn fields_of_the_connection_are_known_in_any_case_and_no_others() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "KEEP-ALIVE",
            "TE",
            "Upgrade",
            "HTTP2-Settings",
            "proxy-authorization",
            "Proxy-Authenticate",
        ] {
            assert!(is_the_connections(name), "{name}");
        }
        for name in ["", "Cookie", "Set-Cookie", "X-Forwarded-User", "Content-Type", "Authorization", "Location"] {
            assert!(!is_the_connections(name), "{name}");
        }
    }

    #[test]
    fn cookie_lines_of_the_filters_stay_apart() {
        let mut request = fields(&[("cookie", "a=1"), ("cookie", "b=2")]);
        edit_request(&mut request, &["Cookie"], &[("Cookie", b"c=3"), ("cookie", b"d=4")], ARRIVAL).unwrap();
        assert_eq!(request.values("cookie"), [b"c=3", b"d=4"]);
    }

    #[test]
    fn hop_by_hop_fields_end_here_and_the_framing_does_not() {
        let mut message = fields(&[
            ("connection", "X-Hop, content-length, host"),
            ("connection", "close, X-Other-Hop"),
            ("x-hop", "1"),
            ("x-other-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2,h2c"),
            ("proxy-authenticate", "Basic"),
            ("trailer", "x-sum"),
            ("content-length", "3"),
            ("host", "h"),
            ("etag", "x"),
        ]);
        end_hop(&mut message);
        assert_eq!(names(&message), ["connection", "connection", "content-length", "host", "etag"]);
    }

    #[test]
    fn what_connection_names_takes_no_identity_away() {
        let mut request = fields(&[("connection", "x-forwarded-user"), ("x-forwarded-user", "mallory")]);
        end_hop(&mut request);
        edit_request(&mut request, &[], &[("X-Forwarded-User", b"alice")], ARRIVAL).unwrap();
        assert_eq!(request.values("x-forwarded-user"), [b"alice"]);
    }

    #[test]
    fn no_cache_stores_a_response_with_a_cookie_of_the_filters() {
        let of_application = [
            ("Cache-Control", "public, max-age=31536000, immutable"),
            ("age", "3"),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
            ("etag", "\"x\""),
        ];
        for (added, kept) in [("Set-Cookie", false), ("x-other", true)] {
            let mut response = fields(&of_application);
            edit_response(&mut response, &fields(&[(added, "a=1")])).unwrap();
            assert!(response.contain(added) && response.contain("etag"));
            assert_eq!(response.values("cache-control").len(), 1);
            assert_eq!(response.values("cache-control")[0] == NOT_FOR_CACHES.as_bytes(), !kept);
            for (name, _) in &of_application[1..5] {
                assert_eq!(response.contain(name), kept, "{name}");
            }
        }
    }

    #[test]
    fn own_responses_carry_their_length_and_no_field_of_the_connection() {
        let given = fields(&[("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("Connection", "close"), ("content-length", "9")]);
        let response = own_response(302, &given, 3, false);
        assert_eq!(names(&response), ["Set-Cookie", "set-cookie", "content-length"]);
        assert_eq!(response.values("content-length"), [b"3"]);
        assert!(!own_response(204, &given, 0, false).contain("content-length"));
        assert!(!own_response(200, &given, 0, true).contain("content-length"));
    }
}
