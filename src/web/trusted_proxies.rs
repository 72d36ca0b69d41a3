//! Proxies in front whose word is believed: on where a request comes from, or, with `mode = "authz"`, on which request
//! they ask about. A host compares, for it knows its peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// As many addresses as the largest private network of IPv4 has, 10.0.0.0/8 (RFC 1918 section 3).
const MANY_IPV4: u128 = 1 << 24;

/// A /32, as registries assign it to a provider of internet access.
const MANY_IPV6: u128 = 1 << 96;

/// A /28: the list of a content delivery network has several /32.
const MANY_IPV6_TOGETHER: u128 = 1 << 100;

/// Networks whose clients are of this machine or site: RFC 1122 section 3.2.1.3, RFC 1918 section 3, RFC 3927 section 2.1, RFC 4193
/// section 3.1, RFC 4291 sections 2.5.3 and 2.5.6.
const NEAR: [(IpAddr, u8); 8] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

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

    /// Whether every address of a family is among them, in one network or in several.
    pub fn has_everybody(&self) -> bool {
        self.merged().iter().any(|network| network.prefix_len() == 0)
    }

    /// Whether one of the networks has more addresses than a site has, 2^24 of IPv4 or a /32 of IPv6, and is not private as a whole.
    pub fn has_wide_network(&self) -> bool {
        self.0.iter().filter(|network| !is_near(network)).any(|network| match network {
            IpNet::V4(_) => addresses(network) > MANY_IPV4,
            IpNet::V6(_) => addresses(network) > MANY_IPV6,
        })
    }

    /// Whether all networks that are not private together have more addresses than 2^24 of IPv4 or a /28 of IPv6.
    pub fn is_wide(&self) -> bool {
        let merged = self.merged();
        let total = |is_counted: fn(&IpNet) -> bool| {
            let counted = merged.iter().filter(|network| is_counted(network) && !is_near(network));
            counted.map(addresses).fold(0, u128::saturating_add)
        };
        total(|network| matches!(network, IpNet::V4(_))) > MANY_IPV4
            || total(|network| matches!(network, IpNet::V6(_))) > MANY_IPV6_TOGETHER
    }

    /// The same addresses in as few networks as possible.
    fn merged(&self) -> Vec<IpNet> {
        IpNet::aggregate(&self.0)
    }

    /// Each in CIDR notation.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(IpNet::to_string)
    }
}

/// How many a network has.
fn addresses(network: &IpNet) -> u128 {
    let bits = network.max_prefix_len().saturating_sub(network.prefix_len());
    // All of IPv6 is one more than there are numbers.
    1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX)
}

/// Whether only this machine or site reaches an address.
pub fn is_near_address(address: IpAddr) -> bool {
    is_near(&IpNet::from(address.to_canonical()))
}

/// Whether a network is private as a whole.
fn is_near(network: &IpNet) -> bool {
    NEAR.into_iter().filter_map(|(address, prefix)| IpNet::new(address, prefix).ok()).any(|near| near.contains(network))
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
    use proptest::prelude::*;

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
            (&["0.0.0.0/1", "192.0.2.7", "128.0.0.0/1"], true),
            (&["8000::/2", "::/1", "c000::/2"], true),
            (&["0.0.0.0/1", "128.0.0.0/2"], false),
            (&["10.0.0.0/8", "::1"], false),
            (&[], false),
        ] {
            assert_eq!(TrustedProxies::parse(items.iter().copied()).unwrap().has_everybody(), everybody, "{items:?}");
        }
    }

    /// Whether it is told, as one network and together.
    fn is_told(items: &[&str]) -> (bool, bool) {
        let proxies = TrustedProxies::parse(items.iter().copied()).unwrap();
        (proxies.has_wide_network(), proxies.is_wide())
    }

    #[test]
    fn a_network_is_wide_unless_all_of_it_is_private() {
        for private in ["10.0.0.0/8", "172.16.0.0/12", "127.0.0.0/8", "fc00::/7", "fd00::/8", "fe80::/10", "::ffff:10.0.0.0/104"] {
            assert_eq!(is_told(&[private]), (false, false), "{private}");
        }
        for small in ["11.0.0.0/8", "192.168.0.0/15", "172.0.0.0/11", "2001:db8::/32", "::1", "64:ff9b::/96"] {
            assert_eq!(is_told(&[small]), (false, false), "{small}");
        }
        let wide = ["10.0.0.0/7", "126.0.0.0/7", "172.0.0.0/7", "192.0.0.0/6", "0.0.0.0/0", "::ffff:10.0.0.0/103", "::ffff:0:0/96"];
        for wide in wide.into_iter().chain(["::/0", "2000::/3", "fc00::/6", "fe80::/9", "::/1", "8000::/1", "2001:d80::/27"]) {
            assert_eq!(is_told(&[wide]), (true, true), "{wide}");
        }
        // Of one network, a /32 is the most; of a list, a /28.
        assert_eq!(is_told(&["2001:db8::/31"]), (true, false));
    }

    #[test]
    fn many_networks_are_wide_together() {
        let halves = ["11.0.0.0/9", "11.128.0.0/9"];
        assert_eq!(is_told(&halves), (false, false));
        assert_eq!(is_told(&[&halves[..], &["192.0.2.7"]].concat()), (false, true));
        assert_eq!(is_told(&[&halves[..], &["11.0.0.0/8", "11.1.0.0/16"]].concat()), (false, false), "the same addresses");
        assert_eq!(is_told(&["10.0.0.0/8", "11.0.0.0/8"]), (false, true), "10.0.0.0/7");
        assert_eq!(is_told(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7"]), (false, false), "private");
        let blocks: Vec<_> = (0..17).map(|number| format!("2a{number:02x}::/32")).collect();
        let blocks: Vec<_> = blocks.iter().map(String::as_str).collect();
        assert_eq!(is_told(&blocks[..16]), (false, false));
        assert_eq!(is_told(&blocks), (false, true));
    }

    proptest! {
        /// By counting: whatever the networks are, and however a network is cut into parts.
        #[test]
        fn what_is_told_is_a_matter_of_addresses(networks in proptest::collection::vec((any::<u8>(), 4u8..=8), 0..6), cut in 0u32..3) {
            // Each address stands for a /8.
            let mut blocks = [false; 256];
            let mut parts = vec![];
            for (first, prefix) in networks {
                let size = 1u32 << (8 - prefix);
                let first = u32::from(first) / size * size;
                (first..first + size).for_each(|block| blocks[block as usize] = true);
                let (count, length) = (1u32 << cut, u32::from(prefix) + cut);
                parts.extend((0..count).map(|part| {
                    let address = Ipv4Addr::from((first << 24) + (part << (32 - length)));
                    format!("{address}/{length}")
                }));
            }
            let proxies = TrustedProxies::parse(parts.iter().map(String::as_str)).unwrap();
            let near = |block: usize| block == 10 || block == 127;
            // A private block counts where it is the half of a larger network.
            let is_counted = |block: usize| blocks[block] && (!near(block) || blocks[block ^ 1]);
            let count = (0..256).filter(|block| is_counted(*block)).count();
            prop_assert_eq!(proxies.is_wide(), count > 1, "{:?}", parts);
            prop_assert_eq!(proxies.has_everybody(), count == 256);
        }
    }
}
