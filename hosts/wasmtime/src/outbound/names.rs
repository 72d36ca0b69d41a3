//! Names to addresses that may be connected to.
//!
//! 1. Loopback names are loopback, whatever the system's resolver says of them. Plain http is permitted to them since it
//!    stays on the machine (RFC 8252 section 8.3); a resolver that answers otherwise, RFC 6761 section 6.3 notwithstanding,
//!    would make that untrue.
//! 2. Every address is judged, and only those that may be reached are given to the client, which connects to one of them
//!    and asks nobody again: a name that means another address a moment later (DNS rebinding) is judged again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use vestibule_enforcement::outbound::networks::{Network, Networks, Refused, without_root};
use vestibule_enforcement::outbound::urls::is_loopback_name;

/// Asks for the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

pub(super) fn of_the_system() -> Lookup {
    Arc::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) }.boxed())
}

/// For a client that reaches these networks and no other.
pub(super) struct Names {
    pub(super) lookup: Lookup,
    pub(super) networks: Networks,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, networks) = (Arc::clone(&self.lookup), self.networks);
        Box::pin(async move {
            let name = name.as_str();
            let addresses = if is_loopback_name(without_root(name)) {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            } else {
                lookup(name.to_owned()).await?
            };
            let admitted = admit(name, addresses, networks)?;
            // Port 0 is the client's to replace.
            let addresses: Addrs = Box::new(admitted.into_iter().map(|address| SocketAddr::from((address, 0))));
            Ok(addresses)
        })
    }
}

/// Those of the addresses that are within `networks`; when none is, why the first is not.
fn admit(name: &str, mut addresses: Vec<IpAddr>, networks: Networks) -> Result<Vec<IpAddr>, Refused> {
    let first = addresses.first().copied();
    addresses.retain(|address| networks.contains(Network::of(*address)));
    match first {
        Some(address) if addresses.is_empty() => {
            Err(Refused { host: name.to_owned(), address: address.to_string(), network: Network::of(address) })
        }
        _ => Ok(addresses),
    }
}
