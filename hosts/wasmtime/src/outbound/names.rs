//! Names to addresses: loopback names are loopback, whatever the system's resolver says of them.
//!
//! Plain http is permitted to them since it stays on the machine (RFC 8252 section 8.3); a resolver that answers
//! otherwise, RFC 6761 section 6.3 notwithstanding, would make that untrue.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use vestibule_rules::addresses::is_loopback_name;

/// Asks the system, but not for loopback names.
pub(super) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 is the client's to replace.
            let addresses: Addrs = if is_loopback_name(name.as_str()) {
                Box::new([SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))].into_iter())
            } else {
                Box::new(tokio::net::lookup_host((name.as_str().to_owned(), 0)).await?)
            };
            Ok(addresses)
        })
    }
}
