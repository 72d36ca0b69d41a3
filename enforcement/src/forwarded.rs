//! The headers that tell the application how a request arrived: `X-Forwarded-*` and `Forwarded` (RFC 7239).
//!
//! 1. Every copy that the peer sent is dropped, in any spelling that a server could fold into the same name
//!    (`X_Forwarded_For`). Other names by which applications know the peer, or another path than the one that was decided
//!    on, are the filter's to remove: its configuration can leave some of them alone.
//! 2. What replaces them comes from the connection, from `Host`, and from the configured public origin; where the host
//!    knows that the peer is a trusted proxy, from what that has told ([`Told`]). A name that the filter has set is the
//!    filter's.
//!
//! Behind another proxy that ends TLS and does not say so, `Host` equal to the configured public host yields that origin's
//! scheme.

use std::net::IpAddr;

use url::Url;

use crate::headers::{Fields, NotAField};

/// What is written here and by nobody else, in the spelling of `folded`.
pub const WRITTEN: [&str; 6] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip"];

/// How a request arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The addresses that it came through, the client's first, the peer's last; none when the connection tells none.
    pub route: &'a [IpAddr],
    /// What a trusted proxy tells.
    pub told: Told<'a>,
    /// The connection is TLS.
    pub tls: bool,
    /// What the request names as its host; absent when it names none that is text.
    pub host: Option<&'a str>,
    /// Origin of `redirect_uri`.
    pub public_origin: &'a str,
}

/// A trusted proxy's word on the client's request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told<'a> {
    /// Whether it came with TLS.
    pub https: Option<bool>,
    /// The host that it named. For the application only: neither decisions nor redirects go by it.
    pub host: Option<&'a str>,
}

/// Removes the peer's copies. To be done before the filter's headers are added.
pub fn remove(request: &mut impl Fields) {
    request.remove_where(&|name| WRITTEN.iter().any(|written| folded(name).eq(written.chars())));
}

/// Adds ours, but for names that are there.
///
/// # Errors
/// None that a request which a host has parsed can cause; passed on all the same.
pub fn add(request: &mut impl Fields, arrival: Arrival<'_>) -> Result<(), NotAField> {
    let host = arrival.told.host.or(arrival.host);
    let secure = arrival.told.https.unwrap_or_else(|| arrival.tls || host.is_some_and(|host| is_public_https(host, arrival.public_origin)));
    let proto = if secure { "https" } else { "http" };
    add_absent(request, "X-Forwarded-Proto", proto)?;

    let mut nodes = arrival.route.iter().map(IpAddr::to_canonical);
    let client = nodes.next();
    let proxies: Vec<_> = nodes.collect();
    let mut forwarded = Vec::new();
    if let Some(client) = client {
        let route: Vec<_> = [client].iter().chain(&proxies).map(IpAddr::to_string).collect();
        add_absent(request, "X-Forwarded-For", &route.join(", "))?;
        add_absent(request, "X-Real-IP", &client.to_string())?;
        forwarded.push(for_node(client));
    }
    if let Some(host) = host.filter(|host| is_plain_authority(host)) {
        add_absent(request, "X-Forwarded-Port", &port(host, secure).to_string())?;
        add_absent(request, "X-Forwarded-Host", host)?;
        forwarded.push(format!("host=\"{host}\""));
    }
    forwarded.push(format!("proto={proto}"));
    let elements: Vec<_> = [forwarded.join(";")].into_iter().chain(proxies.into_iter().map(for_node)).collect();
    add_absent(request, "Forwarded", &elements.join(", "))
}

/// RFC 7239 section 6: an IPv6 address stands in brackets and quotes.
fn for_node(address: IpAddr) -> String {
    if address.is_ipv6() { format!("for=\"[{address}]\"") } else { format!("for={address}") }
}

fn add_absent(request: &mut impl Fields, name: &'static str, value: &str) -> Result<(), NotAField> {
    if request.contain(name) { Ok(()) } else { request.append(name, value.as_bytes()) }
}

/// The name that CGI-like servers make of `name`: what is neither letter nor digit is one separator.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
}

fn is_public_https(host: &str, public_origin: &str) -> bool {
    if public_origin.strip_prefix("https://") == Some(host) {
        return true;
    }
    if !public_origin.starts_with("https:") {
        return false;
    }
    let Ok(origin) = Url::parse(public_origin) else { return false };
    origin.scheme() == "https" && Url::parse(&format!("https://{host}")).is_ok_and(|url| url.origin() == origin.origin())
}

/// Whether a host is safe inside a quoted string; any other is not passed on in our headers.
pub fn is_plain_authority(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}

fn port(host: &str, secure: bool) -> u16 {
    // The colons of an IPv6 address are in brackets.
    let given = host.rsplit_once(':').filter(|(name, _)| name.ends_with(']') || !name.contains(':'));
    given.and_then(|(_, port)| port.parse().ok()).unwrap_or(if secure { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Field;

    const PEER: Arrival<'_> = Arrival {
        route: &[IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))],
        told: Told { https: None, host: None },
        tls: false,
        host: Some("h"),
        public_origin: "http://localhost:8501",
    };

    fn request(headers: &[(&str, &str)]) -> Vec<Field> {
        headers.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect()
    }

    fn replaced(headers: &[(&str, &str)], arrival: Arrival<'_>) -> Vec<Field> {
        let mut request = request(headers);
        remove(&mut request);
        add(&mut request, arrival).unwrap();
        request
    }

    fn values(request: &Vec<Field>, name: &str) -> Vec<String> {
        request.values(name).into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
    }

    #[test]
    fn every_spelling_of_the_peers_copies_is_dropped() {
        for spelling in [
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded_For",
            "X.Forwarded.For",
            "X_REAL_IP",
            "FORWARDED",
            "X-Forwarded-Host",
            "x_forwarded-proto",
            "X!Forwarded!Port",
        ] {
            let request = replaced(&[(spelling, "10.0.0.1"), (spelling, "10.0.0.2")], PEER);
            assert!(!request.iter().any(|(_, value)| value.starts_with(b"10.0.0.")), "{spelling} got through");
            assert_eq!(values(&request, "x-forwarded-for"), ["192.0.2.7"]);
        }
    }

    #[test]
    fn ours_tell_how_the_request_arrived() {
        let request = replaced(&[("accept", "*/*")], Arrival { tls: true, host: Some("app.example:8443"), ..PEER });
        assert_eq!(values(&request, "x-forwarded-proto"), ["https"]);
        assert_eq!(values(&request, "x-forwarded-host"), ["app.example:8443"]);
        assert_eq!(values(&request, "x-forwarded-port"), ["8443"]);
        assert_eq!(values(&request, "x-real-ip"), ["192.0.2.7"]);
        assert_eq!(values(&request, "forwarded"), ["for=192.0.2.7;host=\"app.example:8443\";proto=https"]);
        assert_eq!(values(&request, "accept"), ["*/*"]);
    }

    #[test]
    fn a_connection_without_a_peer_tells_none() {
        let request = replaced(&[("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "10.0.0.1")], Arrival { route: &[], ..PEER });
        assert!(!request.contain("x-forwarded-for") && !request.contain("x-real-ip"));
        assert_eq!(values(&request, "forwarded"), ["host=\"h\";proto=http"]);
    }

    #[test]
    fn what_the_filter_sets_stays() {
        let mut request = request(&[("x-real-ip", "10.0.0.1")]);
        remove(&mut request);
        Fields::append(&mut request, "x-real-ip", b"alice").unwrap();
        add(&mut request, PEER).unwrap();
        assert_eq!(values(&request, "x-real-ip"), ["alice"]);
        assert_eq!(values(&request, "x-forwarded-for"), ["192.0.2.7"]);
    }

    #[test]
    fn an_ipv4_peer_of_an_ipv6_listener_is_one() {
        let request = replaced(&[], Arrival { route: &["::ffff:192.0.2.7".parse().unwrap()], ..PEER });
        assert_eq!(values(&request, "x-forwarded-for"), ["192.0.2.7"]);
    }

    #[test]
    fn an_ipv6_peer_stands_in_brackets() {
        let request = replaced(&[], Arrival { route: &["2001:db8::1".parse().unwrap()], ..PEER });
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
            let request = replaced(&[], Arrival { host: Some(host), public_origin: origin, ..PEER });
            assert_eq!(values(&request, "x-forwarded-proto"), [proto], "{host} at {origin}");
            assert_eq!(values(&request, "x-forwarded-port"), [port], "{host} at {origin}");
        }
    }

    #[test]
    fn a_trusted_proxys_word_reaches_the_application_as_ours() {
        let route = ["2001:db8::7", "10.0.0.2", "::ffff:10.0.0.1"].map(|address| address.parse().unwrap());
        let told = Told { https: Some(true), host: Some("app.example") };
        let request = replaced(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-host", "evil")], Arrival { route: &route, told, ..PEER });
        for (name, value) in [
            ("x-forwarded-for", "2001:db8::7, 10.0.0.2, 10.0.0.1"),
            ("x-real-ip", "2001:db8::7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "app.example"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=\"[2001:db8::7]\";host=\"app.example\";proto=https, for=10.0.0.2, for=10.0.0.1"),
        ] {
            assert_eq!(values(&request, name), [value], "{name}");
        }
        // Its word counts against the connection and the public origin as well.
        let told = Told { https: Some(false), host: None };
        let arrival = Arrival { tls: true, host: Some("app.example"), public_origin: "https://app.example", told, ..PEER };
        assert_eq!(values(&replaced(&[], arrival), "x-forwarded-proto"), ["http"]);
        let told = Told { https: None, host: Some("app.example") };
        let arrival = Arrival { host: Some("internal"), public_origin: "https://app.example", told, ..PEER };
        assert_eq!(values(&replaced(&[], arrival), "x-forwarded-proto"), ["https"], "the public host that it tells");
    }

    #[test]
    fn an_odd_host_is_not_quoted_into_ours() {
        let request = replaced(&[], Arrival { host: Some("a\";for=1"), ..PEER });
        assert_eq!(values(&request, "forwarded"), ["for=192.0.2.7;proto=http"]);
        assert!(!request.contain("x-forwarded-host"));
        assert!(!replaced(&[], Arrival { host: Some(""), ..PEER }).contain("x-forwarded-host"));
    }
}
