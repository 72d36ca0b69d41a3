//! The application behind the edge: its address, and how it is connected to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Url};

use crate::upgrade::link::Link;
use crate::upgrade::socket::UpgradeConnector;
use crate::upstream::application_server::ApplicationServer;

/// How long a resolved name is used: an application that moves is found again soon.
const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// An application that does not answer the connection in this time is down, for a person who waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For an answer to `/readyz`: probes wait a second by default (Kubernetes, `timeoutSeconds`).
const PROBE_TIMEOUT: Duration = Duration::from_millis(800);
const PROBED_FOR: Duration = Duration::from_secs(1);
/// With the TLS handshake.
const CONNECT_AND_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are given up before common servers close them: gunicorn after 2 s, uvicorn and Node after 5 s.
const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The application's address.
pub struct Upstream {
    host: String,
    port: u16,
    tls: bool,
    /// The longest silence in a response, and in accepting a request; upgraded connections may be silent for ever.
    timeout: Duration,
    resolved: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
    /// When it was last asked whether it is reachable, and whether it was.
    probed: Mutex<Option<(Instant, bool)>>,
    /// Which of the addresses is next, modulo their number: the one that worked, until it does not.
    preferred: AtomicUsize,
    /// The next upgrade's number, from 1: 0 is every other request's pool.
    upgrades: AtomicU64,
    pub server: ApplicationServer,
}

/// An address to connect to.
pub struct Candidate {
    pub peer: HttpPeer,
    /// The address's place among those of the name, for [`Upstream::avoid`].
    pub index: usize,
    /// The name has no further address to try.
    pub is_last: bool,
    /// For an upgrade: to be told when the answer is there. Until then silence is a failure.
    pub link: Option<Arc<Link>>,
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
        let (resolved, probed, preferred, upgrades) = (Mutex::new(None), Mutex::new(None), AtomicUsize::new(0), AtomicU64::new(1));
        Ok(Self { host, port, tls, timeout, resolved, probed, preferred, upgrades, server: ApplicationServer::default() })
    }

    /// Whether both are one application, at one address.
    pub fn is_same_application(&self, other: &Self) -> bool {
        (&self.host, self.port, self.tls) == (&other.host, other.port, other.tls)
    }

    /// The peer for a request that has failed to connect `failures` times. A request on a kept connection that was
    /// closed meanwhile has not: it is tried again at the same address. `upgrade`: the request asks for one, so that
    /// silence is no failure once it is answered.
    ///
    /// # Errors
    /// [`Unresolved`] when the name has no address.
    pub async fn peer(&self, failures: usize, upgrade: bool) -> Result<Candidate, Unresolved> {
        let addresses = self.addresses().await?;
        // `addresses` has at least one element, or it would be `Unresolved`.
        let index = self.preferred.load(Ordering::Relaxed) % addresses.len();
        let address = addresses[index];
        // The name is never empty: Pingora would skip the check of the certificate without one.
        let mut peer = HttpPeer::new(address, self.tls, self.host.clone());
        let options = &mut peer.options;
        options.alpn = ALPN::H1;
        options.connection_timeout = Some(CONNECT_TIMEOUT);
        options.total_connection_timeout = Some(CONNECT_AND_HANDSHAKE_TIMEOUT);
        options.idle_timeout = Some(IDLE_TIMEOUT);
        let mut link = None;
        if upgrade {
            let link = link.insert(Arc::default());
            options.custom_l4 = Some(Arc::new(UpgradeConnector { link: Arc::clone(link), timeout: self.timeout }));
            // Never kept for another request: a number of its own, and no time to wait in the pool, where Pingora tells
            // connections apart by file descriptors, which these do not show.
            options.idle_timeout = Some(Duration::ZERO);
            peer.group_key = self.upgrades.fetch_add(1, Ordering::Relaxed);
        } else {
            options.read_timeout = Some(self.timeout);
            options.write_timeout = Some(self.timeout);
        }
        Ok(Candidate { peer, index, is_last: failures + 1 >= addresses.len(), link })
    }

    /// Whether a connection to one of its addresses can be made within 800 ms. Nothing is sent. The answer is kept for
    /// a second, and one asks at a time: what monitors make costs the application a connection a second at most.
    pub async fn is_reachable(&self) -> bool {
        let mut probed = self.probed.lock().await;
        if let Some((since, is_reachable)) = *probed
            && since.elapsed() < PROBED_FOR
        {
            return is_reachable;
        }
        // At the same time: one that does not answer takes no time from the others.
        let connect = async {
            let addresses = self.addresses().await.unwrap_or_default();
            let mut connections: JoinSet<_> = addresses.into_iter().map(TcpStream::connect).collect();
            while let Some(connected) = connections.join_next().await {
                if matches!(connected, Ok(Ok(_))) {
                    return true;
                }
            }
            false
        };
        let is_reachable = timeout(PROBE_TIMEOUT, connect).await.unwrap_or(false);
        *probed = Some((Instant::now(), is_reachable));
        is_reachable
    }

    /// No connection was made to the address with this index: the next one is preferred from now on.
    pub fn avoid(&self, index: usize) {
        self.preferred.store(index + 1, Ordering::Relaxed);
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
    async fn it_is_reachable_while_something_listens_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = parse(&url).expect("an address");
        assert!(upstream.is_reachable().await);
        drop(listener);
        assert!(upstream.is_reachable().await, "the answer is kept");
        assert!(!parse(&url).expect("an address").is_reachable().await);
        assert!(!parse("http://surely-absent.invalid").expect("an address").is_reachable().await);
    }

    #[tokio::test]
    async fn an_address_is_kept_until_it_fails() {
        let upstream = parse("https://two.test").expect("an address");
        let addresses: Vec<SocketAddr> = vec!["192.0.2.1:443".parse().expect("one"), "192.0.2.2:443".parse().expect("two")];
        *upstream.resolved.lock().await = Some((Instant::now(), addresses.clone()));
        let candidate = async |failures| upstream.peer(failures, false).await.expect("a peer");
        let first = candidate(0).await;
        assert_eq!((first.peer._address.to_string(), first.is_last), (addresses[0].to_string(), false));
        assert_eq!(first.peer.sni, "two.test");
        upstream.avoid(first.index);
        let second = candidate(1).await;
        assert_eq!((second.peer._address.to_string(), second.is_last), (addresses[1].to_string(), true));
        // Whoever comes next, or comes again since its kept connection was closed, has both before it, the good one first.
        let again = candidate(0).await;
        assert_eq!((again.peer._address.to_string(), again.is_last), (addresses[1].to_string(), false));
        upstream.avoid(again.index);
        assert_eq!(candidate(1).await.peer._address.to_string(), addresses[0].to_string());
    }
}
