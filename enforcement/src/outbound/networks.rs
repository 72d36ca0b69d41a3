//! Which kind of network an address is on: the internet, or one that only some machines reach.
//!
//! 1. An IPv4 address inside an IPv6 one counts as itself: mapped (RFC 4291), translated (NAT64, RFC 6052) and
//!    tunnelled (6to4, RFC 3056).
//! 2. Addresses of metadata services are a network of their own, wherever they are: whoever can ask one is the machine.
//! 3. The internet is what is left: of IPv6 within 2000::/3, so that a range that is not known here is none of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

use crate::outbound::urls::is_loopback_name;

/// A kind of network, by the special-purpose address registries of IANA (RFC 6890).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Reached from everywhere.
    Internet,
    /// This machine.
    Loopback,
    /// RFC 1918, and unique local addresses of IPv6 (RFC 4193).
    Private,
    /// Shared address space behind the translation of a carrier (RFC 6598).
    Shared,
    /// The wire that the machine is on (RFC 3927, RFC 4291).
    LinkLocal,
    /// Where cloud providers tell a machine its credentials.
    MetadataService,
    /// No host has such an address: unspecified, multicast, for documentation, reserved.
    Reserved,
}

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Network {
        if METADATA_SERVICES.contains(&address.to_canonical()) {
            return Network::MetadataService;
        }
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// The network of a host that is written as an address, or as a name of this machine; `None` for any other name.
    pub fn of_host(host: &Host<&str>) -> Option<Network> {
        match host {
            Host::Ipv4(address) => Some(Network::of((*address).into())),
            Host::Ipv6(address) => Some(Network::of((*address).into())),
            Host::Domain(name) => is_loopback_name(without_root(name)).then_some(Network::Loopback),
        }
    }
}

/// For messages: "it is on a private network".
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Network::Internet => "the internet",
            Network::Loopback => "this machine (loopback)",
            Network::Private => "a private network",
            Network::Shared => "a carrier's shared network",
            Network::LinkLocal => "the local link",
            Network::MetadataService => "a cloud's metadata service",
            Network::Reserved => "a reserved range",
        })
    }
}

/// Networks that may be reached. The internet always may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Networks(u8);

impl Networks {
    /// Every network: for hosts that the configuration names.
    pub const ALL: Networks = Networks(u8::MAX);

    /// Whether this network may be reached; the internet always.
    pub fn contains(self, network: Network) -> bool {
        network == Network::Internet || self.0 & bit(network) != 0
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, network: Network) -> Networks {
        Networks(self.0 | bit(network))
    }

    /// Those of either.
    #[must_use]
    pub fn union(self, other: Networks) -> Networks {
        Networks(self.0 | other.0)
    }
}

/// None for the internet, so that equal sets are equal.
fn bit(network: Network) -> u8 {
    if network == Network::Internet { 0 } else { 1 << network as u8 }
}

/// A host that may not be reached where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the host {host} is {address}, on {network}, where the provider's metadata URL is not, so it is not asked; if this \
     provider may have endpoints there, write internal_hosts = [\"{host}\"] under [vestibule]"
)]
pub struct Refused {
    /// As in the URL.
    pub host: String,
    /// As it was resolved, or as it is written.
    pub address: String,
    /// That the address is on.
    pub network: Network,
}

impl Refused {
    /// Judges the host of a URL, where it is written as an address. A name is judged when it is resolved.
    ///
    /// # Errors
    /// The address is not within `networks`.
    pub fn judge(url: &Url, networks: Networks) -> Result<(), Refused> {
        let Some((host, network)) = url.host().and_then(|host| Some((host.to_string(), Network::of_host(&host)?))) else { return Ok(()) };
        if networks.contains(network) { Ok(()) } else { Err(Refused { address: host.clone(), host, network }) }
    }
}

/// A name without the dot of the DNS root at its end.
pub fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Amazon, Azure, Google, Oracle, DigitalOcean and others; Amazon for containers; Alibaba; Azure's host; Oracle's older
/// one; Amazon and Google by IPv6.
const METADATA_SERVICES: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// IANA's IPv4 Special-Purpose Address Registry, multicast and class E; what is not here is the internet.
const IPV4: [(Ipv4Net, Network); 15] = [
    (v4([0, 0, 0, 0], 8), Network::Loopback),
    (v4([10, 0, 0, 0], 8), Network::Private),
    (v4([100, 64, 0, 0], 10), Network::Shared),
    (v4([127, 0, 0, 0], 8), Network::Loopback),
    (v4([169, 254, 0, 0], 16), Network::LinkLocal),
    (v4([172, 16, 0, 0], 12), Network::Private),
    (v4([192, 0, 0, 0], 24), Network::Reserved),
    (v4([192, 0, 2, 0], 24), Network::Reserved),
    // Relays of 6to4 (RFC 7526), which would carry a request anywhere.
    (v4([192, 88, 99, 0], 24), Network::Reserved),
    (v4([192, 168, 0, 0], 16), Network::Private),
    (v4([198, 18, 0, 0], 15), Network::Reserved),
    (v4([198, 51, 100, 0], 24), Network::Reserved),
    (v4([203, 0, 113, 0], 24), Network::Reserved),
    (v4([224, 0, 0, 0], 4), Network::Reserved),
    (v4([240, 0, 0, 0], 4), Network::Reserved),
];

/// Of IANA's IPv6 registry what lies within 2000::/3, and what outside it has a meaning; all else outside is reserved.
const IPV6: [(Ipv6Net, Network); 7] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 127), Network::Loopback),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Network::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Network::LinkLocal),
    // IETF protocol assignments: Teredo, benchmarking, ORCHID and others; no provider's.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Network::Reserved),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Network::Reserved),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Network::Reserved),
    (v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), Network::Internet),
];

const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

fn of_v4(address: Ipv4Addr) -> Network {
    IPV4.iter().find(|(range, _)| range.contains(&address)).map_or(Network::Internet, |(_, network)| *network)
}

fn of_v6(address: Ipv6Addr) -> Network {
    match embedded(address) {
        Some(inner) => Network::of(inner.into()),
        None => IPV6.iter().find(|(range, _)| range.contains(&address)).map_or(Network::Reserved, |(_, network)| *network),
    }
}

/// The IPv4 address that a packet to this one ends at.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [_, b, c, .., g, h] = address.segments();
    let [high, low] = match () {
        () if MAPPED.contains(&address) || NAT64.contains(&address) => [g, h],
        () if SIX_TO_FOUR.contains(&address) => [b, c],
        () => return None,
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(address: &str) -> Network {
        Network::of(address.parse().unwrap_or_else(|_| panic!("{address}")))
    }

    #[test]
    fn addresses_are_on_the_network_of_their_range_to_its_edges() {
        let cases = [
            (Network::Internet, "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255"),
            (Network::Internet, "169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0"),
            (Network::Internet, "223.255.255.255 2606:4700::1111 2a00:1450:4001::200e 2001:200::1 2001:4860:4860::8888"),
            (Network::Loopback, "0.0.0.0 0.255.255.255 :: 127.0.0.1 127.0.0.0 127.255.255.255 ::1"),
            (Network::Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 fc00:: fd12:3456::1"),
            (Network::Private, "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Network::Shared, "100.64.0.0 100.127.255.255"),
            (Network::LinkLocal, "169.254.0.0 169.254.169.253 169.254.255.255 fe80::1 febf::1"),
            (Network::MetadataService, "169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 168.63.129.16 192.0.0.192"),
            (Network::MetadataService, "fd00:ec2::254 fd00:ec2::23 fd20:ce::254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe"),
            (Network::MetadataService, "2002:a9fe:a9fe::1"),
            (Network::Reserved, "192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1"),
            (Network::Reserved, "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 ::2 ::7f00:1 ::127.0.0.1 ff02::1 2001:db8::1"),
            (Network::Reserved, "2001::1 2001:1ff::1 3fff::1 3fff:fff::1 100::1 64:ff9b:1::7f00:1 fec0::1 5f00::1 4000::1 1fff::1"),
        ];
        for (network, addresses) in cases {
            for address in addresses.split(' ') {
                assert_eq!(of(address), network, "{address}");
            }
        }
    }

    #[test]
    fn hosts_in_urls_are_judged_in_every_spelling_of_an_address() {
        let cases = [
            ("https://2130706433/", Network::Loopback),
            ("https://0x7f.1/", Network::Loopback),
            ("https://0177.0.0.1/", Network::Loopback),
            ("https://127.1/", Network::Loopback),
            ("https://127.0.0.1./", Network::Loopback),
            ("https://%31%32%37.0.0.1/", Network::Loopback),
            ("https://１２７.０.０.１/", Network::Loopback),
            ("https://[::ffff:127.0.0.1]/", Network::Loopback),
            ("https://[0:0:0:0:0:ffff:7f00:1]/", Network::Loopback),
            ("https://localhost/", Network::Loopback),
            ("https://LOCALHOST./", Network::Loopback),
            ("https://idp.localhost:8443/", Network::Loopback),
            ("https://2852039166/", Network::MetadataService),
            ("https://0xa9fea9fe/", Network::MetadataService),
            ("https://[::ffff:a9fe:a9fe]/", Network::MetadataService),
            ("https://0/", Network::Loopback),
            ("https://[::]/", Network::Loopback),
            ("https://1.1.1.1/", Network::Internet),
        ];
        for (url, network) in cases {
            assert_eq!(Network::of_host(&Url::parse(url).unwrap().host().unwrap()), Some(network), "{url}");
        }
        for name in ["https://localhost.example/", "https://provider.example/", "https://10.0.0.1.nip.example/"] {
            assert_eq!(Network::of_host(&Url::parse(name).unwrap().host().unwrap()), None, "{name}");
        }
    }

    #[test]
    fn a_host_that_is_written_as_an_address_is_refused_off_its_networks() {
        let private = Networks::default().with(Network::Private);
        let judge = |url: &str, networks| Refused::judge(&Url::parse(url).unwrap(), networks).map_err(|refused| refused.to_string());
        for url in ["https://1.1.1.1/", "https://10.0.0.1/", "https://[fd00::1]/", "https://provider.example/"] {
            assert_eq!(judge(url, private), Ok(()), "{url}");
        }
        for (url, words) in [
            ("https://127.0.0.1/", "the host 127.0.0.1 is 127.0.0.1, on this machine (loopback)"),
            ("https://2852039166/", "the host 169.254.169.254 is 169.254.169.254, on a cloud's metadata service"),
            ("https://[fe80::1]/", "the host [fe80::1] is [fe80::1], on the local link"),
            ("https://localhost/", "the host localhost is localhost, on this machine (loopback)"),
        ] {
            assert!(judge(url, private).unwrap_err().starts_with(words), "{url}: {:?}", judge(url, private));
        }
        assert!(judge("https://10.0.0.1/", Networks::default()).is_err());
        assert_eq!(judge("https://127.0.0.1/", Networks::ALL), Ok(()));
    }

    #[test]
    fn networks_hold_the_internet_and_what_was_added() {
        let all = [
            Network::Internet,
            Network::Loopback,
            Network::Private,
            Network::Shared,
            Network::LinkLocal,
            Network::MetadataService,
            Network::Reserved,
        ];
        for added in all {
            for other in all {
                assert_eq!(Networks::default().with(added).contains(other), other == added || other == Network::Internet);
            }
            assert_eq!(Networks::default().with(added) == Networks::default(), added == Network::Internet);
            assert!(Networks::ALL.contains(added));
            let (none, one) = (Networks::default(), Networks::default().with(added));
            assert_eq!((none.union(one), one.union(none), one.union(one)), (one, one, one));
        }
    }

    proptest! {
        /// IPv4 addresses inside IPv6 ones are on their own network.
        #[test]
        fn an_embedded_address_is_on_its_own_network(bits in any::<u32>(), tail in any::<u64>(), subnet in any::<u16>()) {
            let inner = Ipv4Addr::from(bits);
            let [a, b, c, d] = inner.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let own = Network::of(inner.into());
            prop_assert_eq!(Network::of(inner.to_ipv6_mapped().into()), own);
            prop_assert_eq!(Network::of(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into()), own);
            let [e, f, g, h] = [48, 32, 16, 0].map(|shift| (tail >> shift) as u16);
            prop_assert_eq!(Network::of(Ipv6Addr::new(0x2002, high, low, subnet, e, f, g, h).into()), own);
        }

        /// What the standard library knows of special addresses is never the internet here.
        #[test]
        fn what_the_standard_library_calls_special_is_not_the_internet(bits in any::<u32>(), wide in any::<u128>()) {
            let v4 = Ipv4Addr::from(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_documentation() || v4.is_broadcast() || v4.is_unspecified() {
                prop_assert_ne!(Network::of(v4.into()), Network::Internet);
            }
            let v6 = Ipv6Addr::from(wide);
            if v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local() {
                prop_assert_ne!(Network::of(v6.into()), Network::Internet);
            }
        }
    }
}
