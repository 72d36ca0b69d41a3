//! The application behind the edge: its address, and how it is connected to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;
use tokio::sync::Mutex;
use url::{Host, Url};

use crate::upgrade_socket::UpgradeConnector;

/// How long a resolved name is used: an application that moves is found again soon.
const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// An application that does not answer the connection in this time is down, for a person who waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// With the TLS handshake.
const CONNECT_AND_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are given up before common servers close them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The application's address.
pub struct Upstream {
    host: String,
    port: u16,
    tls: bool,
    /// The longest silence in a response, and in accepting a request; upgraded connections may be silent for ever.
    timeout: Duration,
    resolved: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
    /// The next upgrade's number, from 1: 0 is every other request's pool.
    upgrades: AtomicU64,
}

/// An address to connect to.
pub struct Candidate {
    pub peer: HttpPeer,
    /// The name has no further address to try.
    pub is_last: bool,
}

/// Why a text is not the address of an application.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not the address of an application: {problem}; write http://host:port or https://host:port")]
pub struct NotAnUpstream {
    text: String,
    problem: &'static str,
}

/// Why the application's name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name {host:?} cannot be resolved: {cause}; correct --upstream or vestibule.upstream")]
pub struct Unresolved {
    host: String,
    cause: std::io::Error,
}

impl Upstream {
    /// Reads `http://host[:port]` or `https://host[:port]`; `timeout` is the longest silence in an exchange.
    ///
    /// # Errors
    /// [`NotAnUpstream`] for anything else, a path included: the application gets the path that was decided on.
    pub fn parse(text: &str, timeout: Duration) -> Result<Self, NotAnUpstream> {
        let refused = |problem| NotAnUpstream { text: text.to_owned(), problem };
        let url = Url::parse(text).map_err(|_| refused("it is no URL"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(refused("its scheme is neither http nor https")),
        };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("it has more than a host and a port"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it holds a user name or password"));
        }
        // `Url` writes an IPv6 address in brackets; neither the resolver nor the certificate has them.
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(refused("it has no host")),
        };
        let port = url.port_or_known_default().ok_or_else(|| refused("it has no port"))?;
        Ok(Self { host, port, tls, timeout, resolved: Mutex::new(None), upgrades: AtomicU64::new(1) })
    }

    /// The peer for the `attempt`th connection of a request, counted from 0: each attempt takes the name's next address.
    /// `upgrade`: the request asks for one, so that silence is no failure.
    ///
    /// # Errors
    /// [`Unresolved`] when the name has no address.
    pub async fn peer(&self, attempt: usize, upgrade: bool) -> Result<Candidate, Unresolved> {
        let addresses = self.addresses().await?;
        // `addresses` has at least one element, or it would be `Unresolved`.
        let address = addresses[attempt % addresses.len()];
        // The name is never empty: Pingora would skip the check of the certificate without one.
        let mut peer = HttpPeer::new(address, self.tls, self.host.clone());
        let options = &mut peer.options;
        options.alpn = ALPN::H1;
        options.connection_timeout = Some(CONNECT_TIMEOUT);
        options.total_connection_timeout = Some(CONNECT_AND_HANDSHAKE_TIMEOUT);
        options.idle_timeout = Some(IDLE_TIMEOUT);
        if upgrade {
            options.custom_l4 = Some(Arc::new(UpgradeConnector));
            // Never kept for another request: a number of its own, and no time to wait in the pool, where Pingora tells
            // connections apart by file descriptors, which these do not show.
            options.idle_timeout = Some(Duration::ZERO);
            peer.group_key = self.upgrades.fetch_add(1, Ordering::Relaxed);
        } else {
            options.read_timeout = Some(self.timeout);
            options.write_timeout = Some(self.timeout);
        }
        Ok(Candidate { peer, is_last: attempt + 1 >= addresses.len() })
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Unresolved> {
        let mut resolved = self.resolved.lock().await;
        if let Some((since, addresses)) = resolved.as_ref()
            && since.elapsed() < RESOLVED_FOR
        {
            return Ok(addresses.clone());
        }
        let found = match (self.look_up().await, resolved.take()) {
            (Ok(addresses), _) => addresses,
            // A name server that is away must not take the application away too.
            (Err(_), Some((_, addresses))) => addresses,
            (Err(error), None) => return Err(error),
        };
        *resolved = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    async fn look_up(&self) -> Result<Vec<SocketAddr>, Unresolved> {
        let unresolved = |cause| Unresolved { host: self.host.clone(), cause };
        let addresses: Vec<_> = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(unresolved)?.collect();
        if addresses.is_empty() {
            return Err(unresolved(std::io::Error::other("it has no address")));
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Upstream, NotAnUpstream> {
        Upstream::parse(text, Duration::from_secs(1))
    }

    #[test]
    fn addresses_are_read() {
        for (text, host, port, tls) in [
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, false),
            ("https://app.internal", "app.internal", 443, true),
            ("http://[::1]:80/", "::1", 80, false),
        ] {
            let upstream = parse(text).expect(text);
            assert_eq!((upstream.host.as_str(), upstream.port, upstream.tls), (host, port, tls), "{text}");
        }
    }

    #[test]
    fn anything_but_an_address_is_refused() {
        for (text, problem) in [
            ("127.0.0.1:8080", "it is no URL"),
            ("ftp://app", "its scheme is neither http nor https"),
            ("http://app/base", "it has more than a host and a port"),
            ("http://app?x", "it has more than a host and a port"),
            ("http://user:pass@app", "it holds a user name or password"),
        ] {
            let refused = parse(text).err().unwrap_or_else(|| panic!("{text} was accepted"));
            assert_eq!(refused.problem, problem, "{text}");
        }
    }

    #[tokio::test]
    async fn each_attempt_takes_another_address() {
        let upstream = parse("https://two.test").expect("an address");
        let addresses: Vec<SocketAddr> = vec!["192.0.2.1:443".parse().expect("one"), "192.0.2.2:443".parse().expect("two")];
        *upstream.resolved.lock().await = Some((Instant::now(), addresses.clone()));
        for attempt in 0..3 {
            let Candidate { peer, is_last } = upstream.peer(attempt, false).await.expect("a peer");
            assert_eq!(peer._address.to_string(), addresses[attempt % 2].to_string());
            assert_eq!((peer.sni.as_str(), is_last), ("two.test", attempt > 0));
        }
    }
}
