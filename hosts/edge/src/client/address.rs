//! Who a request comes from, when proxies in front may have passed it on.
//!
//! 1. A peer that is not among the trusted proxies is the client itself. What it says of others is not read.
//! 2. A trusted peer tells who came to it by `X-Forwarded-For` or `Forwarded` (RFC 7239), all lines of a name as one list,
//!    read from its right end, where the nearest proxy has written. Trusted addresses are proxies; the first other one is
//!    the client. What stands left of it is the client's own invention.
//! 3. An item that is no address (`unknown`, `_hidden`, anything else) ends the list there, and so does the end of it or of
//!    [`MAX_PROXIES`]: the client is then the last one that was told.
//! 4. Whether the client came with TLS, and the host that it named, are told by `X-Forwarded-Proto` and `X-Forwarded-Host`,
//!    or by the last item of `Forwarded` that was read. Several values must be the same.
//! 5. A client can send either name past a proxy that writes only the other. So what the two say must agree, `Forwarded`
//!    must be of its form, and schemes and hosts must be such: else the request is [`Unclear`], to be answered 400. A proxy that
//!    only asks ([`Client::of_question`]) is not answered 400: what it hands on of the client's is not read at all.
//! 6. Nothing else is read (`X-Forwarded-Port`, `-Prefix`, `X-Real-IP`, …). The told host is for the application; rules,
//!    redirects and cookies go by `Host` and by the configured public origin, whatever a proxy says.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use vestibule::web::trusted_proxies::TrustedProxies;
use vestibule_enforcement::forwarded::is_plain_authority;

use crate::client::forwarded;

/// More than stand in a row anywhere.
pub const MAX_PROXIES: usize = 16;

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The addresses that it came through, the client's first, the peer's last; none when the connection tells none.
    pub route: Vec<IpAddr>,
    /// A trusted proxy's word on whether the client came with TLS.
    pub https: Option<bool>,
    /// A trusted proxy's word on the host that the client named.
    pub host: Option<String>,
}

/// What counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that name a network, since who has one
/// address of it has all.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// Why a trusted proxy's word is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    #[error("Forwarded is not of the form of RFC 7239")]
    Forwarded,
    #[error("the forwarded scheme is invalid, or there are several")]
    Scheme,
    #[error("the forwarded host is invalid, or there are several")]
    Host,
    #[error("X-Forwarded-* and Forwarded contradict each other")]
    Contradiction,
}

/// What one way of telling has told.
#[derive(Default)]
struct Told {
    /// As in [`Client`]; `None` when nothing was said about addresses.
    route: Option<Vec<IpAddr>>,
    https: Option<bool>,
    host: Option<String>,
}

impl Client {
    /// Reads where a request came from, by the rules of this module.
    ///
    /// # Errors
    /// [`Unclear`], of a trusted peer only.
    pub fn of(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &TrustedProxies) -> Result<Self, Unclear> {
        let Some(nearest) = peer.map(|peer| peer.to_canonical()).filter(|peer| trusted.contains(*peer)) else {
            return Ok(Self::from_peer(peer));
        };
        let by_names = Told::by_names(headers, nearest, trusted)?;
        let by_standard = Told::by_standard(headers, nearest, trusted)?;
        let client_of = |told: &Told| told.route.as_ref().and_then(|route| route.first().copied());
        agree(client_of(&by_names), client_of(&by_standard))?;
        Ok(Self {
            https: agree(by_names.https, by_standard.https)?,
            host: agree(by_names.host, by_standard.host)?,
            route: by_names.route.or(by_standard.route).unwrap_or_else(|| vec![nearest]),
        })
    }

    /// The same of a question: by `X-Forwarded-For` alone, which a proxy that asks has to write. It hands on whatever else its client
    /// sends, and a client must not hide behind the proxy by sending something unclear.
    pub fn of_question(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &TrustedProxies) -> Self {
        let Some(nearest) = peer.map(|peer| peer.to_canonical()).filter(|peer| trusted.contains(*peer)) else {
            return Self::from_peer(peer);
        };
        Self { route: forwarded_for(headers, nearest, trusted).unwrap_or_else(|| vec![nearest]), ..Self::default() }
    }

    /// The peer is the client.
    pub fn from_peer(peer: Option<IpAddr>) -> Self {
        Self { route: peer.map(|peer| peer.to_canonical()).into_iter().collect(), ..Self::default() }
    }

    /// The client's address; of one that its proxies do not tell, the last proxy's. Absent when nothing is told.
    pub fn address(&self) -> Option<IpAddr> {
        self.route.first().copied()
    }
}

impl Told {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    fn by_names(headers: &HeaderMap, nearest: IpAddr, trusted: &TrustedProxies) -> Result<Self, Unclear> {
        let schemes = items(headers, "x-forwarded-proto").map(scheme);
        let hosts = items(headers, "x-forwarded-host").map(host);
        let route = forwarded_for(headers, nearest, trusted);
        Ok(Self { route, https: only(schemes, Unclear::Scheme)?, host: only(hosts, Unclear::Host)? })
    }

    /// `Forwarded`.
    fn by_standard(headers: &HeaderMap, nearest: IpAddr, trusted: &TrustedProxies) -> Result<Self, Unclear> {
        let mut elements = Vec::new();
        for line in headers.get_all("forwarded") {
            let line = line.to_str().map_err(|_| Unclear::Forwarded)?;
            elements.extend(forwarded::parse(line).ok_or(Unclear::Forwarded)?);
        }
        if elements.is_empty() {
            return Ok(Self::default());
        }
        elements.reverse();
        let (route, read) = walk(nearest, elements.iter().map(|element| element.node.as_deref().and_then(node)), trusted);
        // Each item read was written by a trusted proxy; the last of them is about the client.
        let last = &elements[read.saturating_sub(1)];
        Ok(Self {
            route: elements.iter().any(|element| element.node.is_some()).then_some(route),
            https: last.proto.as_deref().map(|proto| scheme(proto).ok_or(Unclear::Scheme)).transpose()?,
            host: last.host.as_deref().map(|name| host(name).ok_or(Unclear::Host)).transpose()?,
        })
    }
}

/// The way back from the peer to the client by `X-Forwarded-For`; none when there is no such header.
fn forwarded_for(headers: &HeaderMap, nearest: IpAddr, trusted: &TrustedProxies) -> Option<Vec<IpAddr>> {
    headers.contains_key("x-forwarded-for").then(|| {
        let items: Vec<_> = items(headers, "x-forwarded-for").map(address).collect();
        walk(nearest, items.into_iter().rev(), trusted).0
    })
}

/// The way back from the peer to the client, and how many items were read for it.
fn walk(nearest: IpAddr, items: impl Iterator<Item = Option<IpAddr>>, trusted: &TrustedProxies) -> (Vec<IpAddr>, usize) {
    let mut route = vec![nearest];
    let mut read = 0;
    for item in items {
        read += 1;
        let Some(address) = item else { break };
        route.push(address);
        if !trusted.contains(address) || route.len() > MAX_PROXIES {
            break;
        }
    }
    route.reverse();
    (route, read)
}

/// The items of all lines as one list, without empty ones (RFC 9110 section 5.6.1.2). One that is no text is no address,
/// scheme or host, and hides none of those beside it, which a proxy may have written behind a client's.
fn items<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let items = headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    let text = |item: &'a [u8]| std::str::from_utf8(item).ok().filter(|item| item.is_ascii()).unwrap_or("?");
    items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty()).map(text)
}

/// The one value that all items have.
fn only<T: PartialEq>(mut items: impl Iterator<Item = Option<T>>, unclear: Unclear) -> Result<Option<T>, Unclear> {
    let Some(first) = items.next() else { return Ok(None) };
    let first = first.ok_or(unclear)?;
    if items.all(|item| item.is_some_and(|item| item == first)) { Ok(Some(first)) } else { Err(unclear) }
}

fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> Result<Option<T>, Unclear> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Unclear::Contradiction),
        (one, other) => Ok(one.or(other)),
    }
}

/// Whether it is one with TLS. Traefik names a WebSocket's own.
fn scheme(text: &str) -> Option<bool> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if is("https") || is("wss") {
        return Some(true);
    }
    (is("http") || is("ws")).then_some(false)
}

fn host(text: &str) -> Option<String> {
    is_plain_authority(text).then(|| text.to_ascii_lowercase())
}

/// An address, with or without a port, as proxies write it: IPv6 with or without brackets.
fn address(item: &str) -> Option<IpAddr> {
    let plain = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(item);
    let address = plain.parse().ok().or_else(|| item.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The address of a node (RFC 7239 section 6), whose port may be hidden where the address is not.
fn node(text: &str) -> Option<IpAddr> {
    address(text.split_once(":_").map_or(text, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        headers
    }

    fn client(peer: &str, lines: &[(&'static str, &str)]) -> Result<Client, Unclear> {
        let trusted = TrustedProxies::parse(["10.0.0.0/8", "2001:db8::/32"]).expect("networks");
        Client::of(&headers(lines), peer.parse().ok(), &trusted)
    }

    fn route(addresses: &[&str]) -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().expect("an address")).collect()
    }

    #[test]
    fn nobodys_word_is_believed_but_a_trusted_proxys() {
        let lines = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "app.example"),
            ("forwarded", "for=192.0.2.1;proto=https;host=app.example"),
        ];
        assert_eq!(client("203.0.113.9", &lines), Ok(Client { route: route(&["203.0.113.9"]), ..Client::default() }));
        let believed = Client { route: route(&["192.0.2.1", "10.0.0.1"]), https: Some(true), host: Some("app.example".into()) };
        assert_eq!(client("10.0.0.1", &lines), Ok(believed));
        // Not even what nobody could read.
        for (name, value) in [("forwarded", "for=\"x"), ("x-forwarded-proto", "ftp"), ("x-forwarded-host", "a, b")] {
            assert!(client("203.0.113.9", &[(name, value)]).is_ok(), "{name}: {value}");
        }
        let others =
            [("x-real-ip", "192.0.2.1"), ("x_forwarded_for", "192.0.2.1"), ("true-client-ip", "192.0.2.1"), ("x-forwarded-port", "1")];
        assert_eq!(client("10.0.0.1", &others), Ok(Client { route: route(&["10.0.0.1"]), ..Client::default() }));
        assert_eq!(Client::of(&headers(&lines), None, &TrustedProxies::default()), Ok(Client::default()));
    }

    #[test]
    fn of_a_question_nothing_but_x_forwarded_for_is_read() {
        let trusted = TrustedProxies::parse(["10.0.0.0/8"]).expect("networks");
        let of_question = |peer: &str, lines: &[(&'static str, &str)]| Client::of_question(&headers(lines), peer.parse().ok(), &trusted);
        let told = Client { route: route(&["192.0.2.1", "10.0.0.1"]), ..Client::default() };
        for line in [
            ("forwarded", "for=6.6.6.7"),
            ("forwarded", "garbage;;"),
            ("x-forwarded-host", "a b"),
            ("x-forwarded-proto", "ftp, gopher"),
            ("x-real-ip", "6.6.6.7"),
        ] {
            assert_eq!(of_question("10.0.0.1", &[("x-forwarded-for", "192.0.2.1"), line]), told, "{line:?}");
            assert_eq!(of_question("10.0.0.1", &[line]).address(), "10.0.0.1".parse().ok(), "{line:?}");
            assert_eq!(of_question("203.0.113.9", &[line]).address(), "203.0.113.9".parse().ok(), "{line:?}");
        }
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_not_trusted() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["192.0.2.1"][..], &["192.0.2.1", "10.0.0.1"][..]),
            ("10.0.0.1", &["198.51.100.7, 192.0.2.1"], &["192.0.2.1", "10.0.0.1"]),
            ("10.0.0.1", &["10.9.9.9, 192.0.2.1"], &["192.0.2.1", "10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1, 10.0.0.3,10.0.0.2"], &["192.0.2.1", "10.0.0.3", "10.0.0.2", "10.0.0.1"]),
            ("10.0.0.1", &["198.51.100.7", "192.0.2.1", "10.0.0.2"], &["192.0.2.1", "10.0.0.2", "10.0.0.1"]),
            ("10.0.0.1", &[], &["10.0.0.1"]),
            ("10.0.0.1", &[""], &["10.0.0.1"]),
            ("10.0.0.1", &["10.0.0.2"], &["10.0.0.2", "10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1, unknown"], &["10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1, <script>"], &["10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1, caf\u{e9}"], &["10.0.0.1"]),
            ("10.0.0.1", &["caf\u{e9}, 192.0.2.1"], &["192.0.2.1", "10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1, 010.0.0.1"], &["10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1, unknown, 10.0.0.2"], &["10.0.0.2", "10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1,, ,"], &["192.0.2.1", "10.0.0.1"]),
            ("10.0.0.1", &["192.0.2.1:4711"], &["192.0.2.1", "10.0.0.1"]),
            ("2001:db8::1", &["[2001:dead::7]:443"], &["2001:dead::7", "2001:db8::1"]),
            ("2001:db8::1", &["[2001:dead::7]"], &["2001:dead::7", "2001:db8::1"]),
            ("2001:db8::1", &["::ffff:192.0.2.1, ::ffff:10.0.0.2"], &["192.0.2.1", "10.0.0.2", "2001:db8::1"]),
            ("::ffff:10.0.0.1", &["192.0.2.1"], &["192.0.2.1", "10.0.0.1"]),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            assert_eq!(client(peer, &lines).map(|client| client.route), Ok(route(expected)), "{peer} {lines:?}");
        }
        let endless = vec!["10.0.0.2"; 1000].join(",");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", &endless)]).expect("clear").route.len(), MAX_PROXIES + 1);
    }

    #[test]
    fn the_standard_header_is_read_in_the_same_way() {
        for (lines, expected, https, host) in [
            (&["for=192.0.2.1"][..], &["192.0.2.1", "10.0.0.1"][..], None, None),
            (&["For=\"[2001:dead::7]\";Proto=HTTPS"], &["2001:dead::7", "10.0.0.1"], Some(true), None),
            (&["for=\"[2001:dead::7]:4711\""], &["2001:dead::7", "10.0.0.1"], None, None),
            (&["for=\"192.0.2.1:_port\";by=_me"], &["192.0.2.1", "10.0.0.1"], None, None),
            (&["for=198.51.100.7;proto=https, for=192.0.2.1;proto=http"], &["192.0.2.1", "10.0.0.1"], Some(false), None),
            // The scheme and the host that the client used, not those between the proxies.
            (
                &["for=192.0.2.1;proto=https;host=app.example, for=10.0.0.2;proto=http;host=inner"],
                &["192.0.2.1", "10.0.0.2", "10.0.0.1"],
                Some(true),
                Some("app.example"),
            ),
            (&["for=6.6.6.6;host=evil", "for=192.0.2.1", "for=10.0.0.2"], &["192.0.2.1", "10.0.0.2", "10.0.0.1"], None, None),
            (&["for=_hidden"], &["10.0.0.1"], None, None),
            (&["for=192.0.2.1, for=unknown;proto=https"], &["10.0.0.1"], Some(true), None),
            (&["for=192.0.2.1, for=_hidden, for=10.0.0.2"], &["10.0.0.2", "10.0.0.1"], None, None),
            (&["for=192.0.2.1, proto=https;host=\"app.example:8443\""], &["10.0.0.1"], Some(true), Some("app.example:8443")),
            (&["proto=http"], &["10.0.0.1"], Some(false), None),
            (&["by=10.0.0.1"], &["10.0.0.1"], None, None),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            let expected = Client { route: route(expected), https, host: host.map(str::to_owned) };
            assert_eq!(client("10.0.0.1", &lines), Ok(expected), "{lines:?}");
        }
    }

    #[test]
    fn what_has_no_form_or_two_meanings_is_unclear() {
        for (lines, unclear) in [
            (&[("forwarded", "for=\"192.0.2.1")][..], Unclear::Forwarded),
            // The client opens a quotation that is to swallow what the proxy adds.
            (&[("forwarded", "for=\"a, for=\"[2001:dead::7]\"")], Unclear::Forwarded),
            (&[("forwarded", "for=192.0.2.1;for=192.0.2.2")], Unclear::Forwarded),
            (&[("forwarded", "192.0.2.1")], Unclear::Forwarded),
            (&[("forwarded", "for=caf\u{e9}")], Unclear::Forwarded),
            (&[("forwarded", "for=192.0.2.1;proto=ftp")], Unclear::Scheme),
            (&[("forwarded", "for=192.0.2.1;host=\"a b\"")], Unclear::Host),
            (&[("x-forwarded-proto", "https,http")], Unclear::Scheme),
            (&[("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")], Unclear::Scheme),
            (&[("x-forwarded-proto", "javascript")], Unclear::Scheme),
            (&[("x-forwarded-host", "a, b")], Unclear::Host),
            (&[("x-forwarded-host", "a\";for=1")], Unclear::Host),
            (&[("x-forwarded-host", "caf\u{e9}")], Unclear::Host),
            (&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2")], Unclear::Contradiction),
            (&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=unknown")], Unclear::Contradiction),
            (&[("x-forwarded-proto", "https"), ("forwarded", "for=192.0.2.1;proto=http")], Unclear::Contradiction),
            (&[("x-forwarded-host", "a.example"), ("forwarded", "host=b.example")], Unclear::Contradiction),
        ] {
            assert_eq!(client("10.0.0.1", lines), Err(unclear), "{lines:?}");
        }
    }

    #[test]
    fn the_same_said_twice_is_clear() {
        let lines = [
            ("x-forwarded-proto", "https, HTTPS"),
            ("x-forwarded-proto", "wss"),
            ("x-forwarded-host", "APP.example,app.example"),
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=198.51.100.7;proto=http, for=192.0.2.1;proto=https;host=\"app.example\""),
        ];
        let believed = Client { route: route(&["192.0.2.1", "10.0.0.1"]), https: Some(true), host: Some("app.example".into()) };
        assert_eq!(client("10.0.0.1", &lines), Ok(believed));
        assert_eq!(client("10.0.0.1", &[("x-forwarded-proto", "ws")]).map(|client| client.https), Ok(Some(false)));
    }
}
