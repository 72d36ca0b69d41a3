//! Proxies in front whose word is believed: on where a request comes from, or, with `mode = "authz"`, on which request
//! they ask about. A host compares, for it knows its peers.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses and networks. None by default: nobody's word is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// This machine.
    pub fn loopback() -> Self {
        let loopback = [IpAddr::from([127, 0, 0, 0]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
        Self(loopback.into_iter().zip([8, 128]).filter_map(|(address, prefix)| IpNet::new(address, prefix).ok()).collect())
    }

    /// Whether an address is among them; an IPv4 address that an IPv6 socket shows as IPv6 is one.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether every address of a family is among them.
    pub fn has_everybody(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }

    /// Each in CIDR notation.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(IpNet::to_string)
    }
}

fn network(text: &str) -> Result<IpNet, NotANetwork> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    // `10.1.2.3/8` is a slip: of an address, or of a length.
    let network = text.parse::<IpNet>().ok().filter(|network| network.trunc() == *network).ok_or(NotANetwork)?;
    // Peers are compared in their canonical form, so a network of IPv4 in IPv6's must be as well.
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (IpAddr::V4(address), Some(prefix)) if matches!(network, IpNet::V6(_)) => {
            IpNet::new(IpAddr::V4(address), prefix).map_err(|_| NotANetwork)
        }
        _ => Ok(network),
    }
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
        assert!(contains(&["192.0.2.7"], "::ffff:192.0.2.7") && contains(&["::ffff:192.0.2.7"], "192.0.2.7"));
        assert!(contains(&["::ffff:10.0.0.0/104"], "10.1.2.3") && !contains(&["::ffff:10.0.0.0/104"], "11.1.2.3"));
        assert!(contains(&["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1") && !contains(&["10.0.0.0/8"], "11.0.0.1"));
        assert!(!contains(&[], "127.0.0.1") && !TrustedProxies::default().contains(IpAddr::from([127, 0, 0, 1])));
        for (peer, trusted) in [("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("192.0.2.7", false), ("::2", false)] {
            assert_eq!(TrustedProxies::loopback().contains(peer.parse().unwrap()), trusted, "{peer}");
        }
    }

    #[test]
    fn each_is_told_as_a_network() {
        let proxies = TrustedProxies::parse(["192.0.2.7", "2001:db8::/32", "::ffff:10.0.0.0/104"]).unwrap();
        assert_eq!(proxies.iter().collect::<Vec<_>>(), ["192.0.2.7/32", "2001:db8::/32", "10.0.0.0/8"]);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "10.1.2.3/8", "10.0.0.1:80", "*", "10.0.0", "10.0.0.0/-1"] {
            assert_eq!(TrustedProxies::parse([text]), Err(NotANetwork), "{text}");
        }
    }

    #[test]
    fn everybody_is_a_network_without_a_prefix() {
        for (items, everybody) in [
            (&["0.0.0.0/0"][..], true),
            (&["10.0.0.0/8", "::/0"], true),
            (&["::ffff:0:0/96"], true),
            (&["10.0.0.0/8", "::1"], false),
            (&[], false),
        ] {
            assert_eq!(TrustedProxies::parse(items.iter().copied()).unwrap().has_everybody(), everybody, "{items:?}");
        }
    }
}
