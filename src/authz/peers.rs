//! The addresses that questions may come from.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses and networks of the proxies that may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither an IP address nor a network")]
pub struct NotANetwork;

impl TrustedProxies {
    /// Reads addresses (`192.0.2.7`, `2001:db8::1`) and networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// [`NotANetwork`] for anything else, a network with bits behind its prefix included.
    pub fn parse<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, NotANetwork> {
        items.into_iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a peer is among them; an IPv4 address that an IPv6 socket shows as IPv6 is one.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }

    /// Each in CIDR notation.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(IpNet::to_string)
    }
}

/// This machine.
impl Default for TrustedProxies {
    fn default() -> Self {
        let loopback = [IpAddr::from([127, 0, 0, 0]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
        Self(loopback.into_iter().zip([8, 128]).filter_map(|(address, prefix)| IpNet::new(address, prefix).ok()).collect())
    }
}

fn network(text: &str) -> Result<IpNet, NotANetwork> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    // `10.1.2.3/8` is a slip: of an address, or of a length.
    text.parse::<IpNet>().ok().filter(|network| network.trunc() == *network).ok_or(NotANetwork)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(items: &[&str], peer: &str) -> bool {
        TrustedProxies::parse(items.iter().copied()).unwrap().contains(peer.parse().unwrap())
    }

    #[test]
    fn a_peer_is_trusted_by_address_or_network() {
        assert!(contains(&["192.0.2.7"], "192.0.2.7") && !contains(&["192.0.2.7"], "192.0.2.8"));
        assert!(contains(&["192.0.2.7"], "::ffff:192.0.2.7"));
        assert!(contains(&["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1") && !contains(&["10.0.0.0/8"], "11.0.0.1"));
        assert!(!contains(&[], "127.0.0.1"));
        for (peer, trusted) in [("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("192.0.2.7", false), ("::2", false)] {
            assert_eq!(TrustedProxies::default().contains(peer.parse().unwrap()), trusted, "{peer}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "10.1.2.3/8", "10.0.0.1:80", "*", "10.0.0"] {
            assert_eq!(TrustedProxies::parse([text]), Err(NotANetwork), "{text}");
        }
    }
}
