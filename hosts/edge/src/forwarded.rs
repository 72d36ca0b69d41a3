//! The headers that tell the application how a request arrived: `X-Forwarded-*` and `Forwarded` (RFC 7239).
//!
//! 1. Nobody in front is trusted: every copy that the peer sent is dropped, in any spelling that a server could fold
//!    into the same name (`X_Forwarded_For`).
//! 2. What replaces them comes from the connection, from `Host`, and from the configured public origin.
//!
//! Behind another proxy that ends TLS, `Host` equal to the configured public host yields that origin's scheme.

use std::net::IpAddr;

use http::header::HOST;
use pingora::Result;
use pingora::http::RequestHeader;
use url::Url;

/// The names that are ours alone, in the spelling of [`folded`].
const OURS: [&str; 7] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-proto", "x-real-ip"];

/// How a request arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The peer's address; absent when the connection has none to tell.
    pub peer: Option<IpAddr>,
    /// The connection is TLS.
    pub tls: bool,
    /// Origin of `redirect_uri`.
    pub public_origin: &'a str,
}

/// Removes the peer's copies and sets ours.
///
/// # Errors
/// None that a request which Pingora has parsed can cause; passed on all the same.
pub fn replace(request: &mut RequestHeader, arrival: Arrival<'_>) -> Result<()> {
    remove_where(request, |name| OURS.contains(&folded(name).as_str()));

    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let secure = arrival.tls || host.as_deref().is_some_and(|host| is_public_https(host, arrival.public_origin));
    let proto = if secure { "https" } else { "http" };
    request.insert_header("X-Forwarded-Proto", proto)?;

    let mut forwarded = Vec::new();
    if let Some(peer) = arrival.peer.map(|peer| peer.to_canonical()) {
        request.insert_header("X-Forwarded-For", peer.to_string())?;
        request.insert_header("X-Real-IP", peer.to_string())?;
        // RFC 7239 section 6: an IPv6 address stands in brackets and quotes.
        forwarded.push(if peer.is_ipv6() { format!("for=\"[{peer}]\"") } else { format!("for={peer}") });
    }
    if let Some(host) = host.filter(|host| is_plain_authority(host)) {
        request.insert_header("X-Forwarded-Port", port(&host, secure).to_string())?;
        forwarded.push(format!("host=\"{host}\""));
        request.insert_header("X-Forwarded-Host", host)?;
    }
    forwarded.push(format!("proto={proto}"));
    request.insert_header("Forwarded", forwarded.join(";"))
}

/// Removes every header whose name `unwanted` picks.
pub fn remove_where(request: &mut RequestHeader, unwanted: impl Fn(&str) -> bool) {
    let names: Vec<_> = request.headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
    for name in names {
        request.remove_header(&name);
    }
}

/// The name that CGI-like servers make of `name`: what is neither letter nor digit is one separator.
fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn is_public_https(host: &str, public_origin: &str) -> bool {
    let Ok(origin) = Url::parse(public_origin) else { return false };
    origin.scheme() == "https" && Url::parse(&format!("https://{host}")).is_ok_and(|url| url.origin() == origin.origin())
}

/// `Host` values that are safe inside a quoted string; any other is not passed on in our headers.
fn is_plain_authority(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}

fn port(host: &str, secure: bool) -> u16 {
    let scheme = if secure { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{host}")).ok().and_then(|url| url.port_or_known_default()).unwrap_or(if secure { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Arrival<'_> =
        Arrival { peer: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))), tls: false, public_origin: "http://localhost:8501" };

    fn request(headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
        for (name, value) in headers {
            request.append_header(*name, *value).expect("a header");
        }
        request
    }

    fn values<'a>(request: &'a RequestHeader, name: &str) -> Vec<&'a str> {
        request.headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
    }

    #[test]
    fn every_spelling_of_the_peers_copies_is_dropped() {
        for spelling in
            ["X-Forwarded-For", "x_forwarded_for", "X-Forwarded_For", "X.Forwarded.For", "X_REAL_IP", "FORWARDED", "X_Forwarded-Prefix"]
        {
            let mut request = request(&[("host", "h"), (spelling, "10.0.0.1"), (spelling, "10.0.0.2")]);
            replace(&mut request, PEER).expect("headers");
            let spoofed = request.headers.values().any(|value| value.as_bytes().starts_with(b"10.0.0."));
            assert!(!spoofed, "{spelling} got through");
            assert_eq!(values(&request, "x-forwarded-for"), ["192.0.2.7"]);
        }
    }

    #[test]
    fn ours_tell_how_the_request_arrived() {
        let mut request = request(&[("host", "app.example:8443"), ("accept", "*/*")]);
        replace(&mut request, Arrival { tls: true, ..PEER }).expect("headers");
        assert_eq!(values(&request, "x-forwarded-proto"), ["https"]);
        assert_eq!(values(&request, "x-forwarded-host"), ["app.example:8443"]);
        assert_eq!(values(&request, "x-forwarded-port"), ["8443"]);
        assert_eq!(values(&request, "x-real-ip"), ["192.0.2.7"]);
        assert_eq!(values(&request, "forwarded"), ["for=192.0.2.7;host=\"app.example:8443\";proto=https"]);
        assert_eq!(values(&request, "accept"), ["*/*"]);
    }

    #[test]
    fn an_ipv6_peer_stands_in_brackets() {
        let mut request = request(&[("host", "h")]);
        let peer = "2001:db8::1".parse().ok();
        replace(&mut request, Arrival { peer, ..PEER }).expect("headers");
        assert_eq!(values(&request, "x-forwarded-for"), ["2001:db8::1"]);
        assert_eq!(values(&request, "forwarded"), ["for=\"[2001:db8::1]\";host=\"h\";proto=http"]);
    }

    #[test]
    fn the_public_host_has_the_public_scheme() {
        for (host, origin, proto, port) in [
            ("app.example", "https://app.example", "https", "443"),
            ("APP.example:443", "https://app.example", "https", "443"),
            ("app.example:80", "https://app.example", "http", "80"),
            ("other.example", "https://app.example", "http", "80"),
            ("localhost:8501", "http://localhost:8501", "http", "8501"),
        ] {
            let mut request = request(&[("host", host)]);
            replace(&mut request, Arrival { public_origin: origin, ..PEER }).expect("headers");
            assert_eq!(values(&request, "x-forwarded-proto"), [proto], "{host} at {origin}");
            assert_eq!(values(&request, "x-forwarded-port"), [port], "{host} at {origin}");
        }
    }

    #[test]
    fn an_odd_host_is_not_quoted_into_ours() {
        let mut request = request(&[("host", "a\";for=1")]);
        replace(&mut request, PEER).expect("headers");
        assert_eq!(values(&request, "forwarded"), ["for=192.0.2.7;proto=http"]);
        assert!(values(&request, "x-forwarded-host").is_empty());
    }
}
