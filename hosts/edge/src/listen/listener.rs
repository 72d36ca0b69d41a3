//! The listening side: accepts connections, hands them to Pingora, and stops without dropping requests.
//!
//! A connection beyond what there is room for, in all or of one client, is closed at once ([`crate::listen::limits`]); accepting goes on.
//! Connections from this machine can have places of their own.
//! Trusted proxies have no share of their own: their connections are many clients', whose requests are counted in their place.
//!
//! Pingora's own server always waits its whole grace period; this one ends when the last request has ended.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::{HttpServerApp, ServerApp};
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::listener::Listener as Accepting;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::{ALPN, GetSocketDigest as _, IO, Stream, TcpKeepalive};
use pingora::time::fast_timeout::set_fast_timeout_to_tokio_threshold;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::client::shares::{Full, Place, Shares};
use crate::listen::http1::{Http1Connection, LARGE_HEADS};
use crate::listen::http2_idle::Counted;
use crate::listen::http2_watch::{CONTINUED_BLOCKS, Http2Watch, Places};
use crate::listen::limits::{ConnectionLimits, SHARES};
use crate::listen::watched_connection::Watched;
use crate::metrics::{Connections, OpenConnection};

/// Refused connections are told once in this time, with their number: anybody can make any number of them.
const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`: when file descriptors run out, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A peer that is silent for long is asked whether it is there: one that vanished would hold its connection for ever.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    count: 4,
    // The system's.
    #[cfg(target_os = "linux")]
    user_timeout: Duration::ZERO,
};

/// Why there is no listening socket.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; {}", self.remedy())]
pub struct CannotListen {
    pub address: String,
    pub cause: std::io::Error,
}

impl CannotListen {
    /// By what the system says.
    fn remedy(&self) -> &'static str {
        match self.cause.kind() {
            ErrorKind::AddrInUse => "choose another address with --listen, vestibule.listen or --admin, or stop the program that uses it",
            ErrorKind::PermissionDenied => {
                "choose a port from 1024 on with --listen, vestibule.listen or --admin, or let this program use lower ones (CAP_NET_BIND_SERVICE)"
            }
            _ => "with --listen, vestibule.listen or --admin name an IP address of this machine, or a host name that it resolves to one",
        }
    }
}

/// A socket that listens, before anything is served on it: connections wait in its queue.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    limits: ConnectionLimits,
    counters: Connections,
}

/// Whether a peer is a proxy whose connections are many clients'.
type Trusts = dyn Fn(IpAddr) -> bool + Send + Sync;

impl Listener {
    /// Binds `address`, host and port; port 0 takes a free one.
    ///
    /// # Errors
    /// [`CannotListen`] with the system's reason.
    pub async fn bind(address: &str) -> Result<Self, CannotListen> {
        let cannot = |cause| CannotListen { address: address.to_owned(), cause };
        let socket = TcpListener::bind(address).await.map_err(cannot)?;
        let address = socket.local_addr().map_err(cannot)?;
        Ok(Self { socket, address, limits: ConnectionLimits::default(), counters: Connections::default() })
    }

    /// On a socket that listens already, without blocking.
    ///
    /// # Errors
    /// The system's reason.
    pub fn on(socket: std::net::TcpListener) -> std::io::Result<Self> {
        let socket = TcpListener::from_std(socket)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, limits: ConnectionLimits::default(), counters: Connections::default() })
    }

    /// The same with other limits for its connections.
    #[must_use]
    pub fn with_limits(self, limits: ConnectionLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same, counting its connections.
    #[must_use]
    pub fn counted(self, counters: Connections) -> Self {
        Self { counters, ..self }
    }

    /// The address bound, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its connections may take.
    pub(crate) fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    /// Serves until `stop` resolves, then takes no more connections and no more requests on those it has, and returns
    /// when all have ended or after `grace`. Of peers, `trusts` tells the proxies.
    pub(crate) async fn serve_app<A: HttpServerApp + Send + Sync + 'static>(
        self,
        app: Arc<A>,
        tls: Option<Acceptor>,
        trusts: Arc<Trusts>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        // Below a second it is a thread of Pingora's all the same, which wakes a hundred times a second, idle or not.
        set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
        let (stopping, shutdown) = watch::channel(false);
        let heads = Shares::new(LARGE_HEADS, LARGE_HEADS / SHARES);
        let blocks = Shares::new(CONTINUED_BLOCKS, CONTINUED_BLOCKS / SHARES);
        let serving = Arc::new(Serving { app, tls, limits: self.limits, places: Places { heads, blocks }, shutdown });
        let places = Shares::new(self.limits.all, self.limits.each);
        let local = (self.limits.local > 0).then(|| Shares::new(self.limits.local, self.limits.local));
        let mut refusals = Refusals::default();
        let mut connections = JoinSet::new();
        let accepting = Accepting::from(self.socket);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next() => log_panic(ended),
                () = refusals.due() => refusals.tell(),
                accepted = accepting.accept() => match accepted {
                    Ok(connection) => {
                        let peer = peer(&connection);
                        let client = peer.filter(|peer| !trusts(*peer));
                        let local = local.as_ref().filter(|_| peer.is_some_and(|peer| peer.is_loopback()));
                        match local.unwrap_or(&places).take(client) {
                            Ok(place) => {
                                let held = (place, self.counters.accept());
                                drop(connections.spawn(Arc::clone(&serving).serve(connection, client, held)));
                            }
                            // Dropped, and so closed.
                            Err(full) => {
                                self.counters.refuse(full);
                                refusals.add(full, peer);
                            }
                        }
                    }
                    Err(error) => {
                        tracing::warn!(code = "listener.accept_failed", "no connection accepted: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }

        // New peers are refused from here on, rather than left in the queue.
        drop(accepting);
        tracing::info!(code = "listener.stopping", connections = connections.len(), "stopping: requests in flight may end");
        stopping.send_replace(true);
        ServerApp::cleanup(serving.app.as_ref()).await;
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                log_panic(ended)
            }
        };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            tracing::warn!(code = "listener.grace_over", connections = connections.len(), "closed connections that had not ended in time");
        }
    }
}

/// The panic itself was logged where it happened.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(code = "listener.panic", "a connection ended in a fault of this program; the line `program.panic` says where");
    }
}

/// The peer's address.
fn peer(connection: &Socket) -> Option<IpAddr> {
    let digest = connection.get_socket_digest()?;
    Some(digest.peer_addr()?.as_inet()?.ip().to_canonical())
}

/// What all connections of a listener have in common.
struct Serving<A> {
    app: Arc<A>,
    tls: Option<Acceptor>,
    limits: ConnectionLimits,
    places: Places,
    shutdown: watch::Receiver<bool>,
}

impl<A: HttpServerApp + Send + Sync + 'static> Serving<A> {
    /// One connection, to its end; `client` as in [`Http1Connection`].
    async fn serve(self: Arc<Self>, mut connection: Socket, client: Option<IpAddr>, _held: (Place, OpenConnection)) {
        // Answers are written at once; a socket that is gone already says so later.
        let _ = connection.set_nodelay();
        let _ = connection.set_keepalive(&KEEPALIVE);
        let Some(stream) = self.establish(connection).await else { return };
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            let stream = Box::new(Watched::new(stream, Http2Watch::new(self.limits.head, self.places.clone(), client)));
            let app = Arc::new(Counted::new(Arc::clone(&self.app)));
            tokio::select! {
                _ = app.process_new(stream, &self.shutdown) => {}
                () = app.idle(self.limits.idle) => {}
            }
        } else {
            let (limits, heads, shutdown) = (&self.limits, &self.places.heads, &self.shutdown);
            Http1Connection { limits, heads, client, shutdown }.serve(&self.app, stream).await;
        }
    }

    async fn establish(&self, connection: Socket) -> Option<Stream> {
        let Some(tls) = &self.tls else { return Some(Box::new(connection)) };
        match tokio::time::timeout(self.limits.handshake, tls.tls_handshake(connection)).await {
            Ok(Ok(stream)) => Some(Box::new(stream) as Box<dyn IO>),
            Ok(Err(error)) => {
                tracing::debug!(code = "listener.tls_failed", "TLS handshake failed: {error}");
                None
            }
            Err(_) => None,
        }
    }
}

/// Connections that were refused, and not told yet.
#[derive(Default)]
struct Refusals {
    untold: u64,
    /// When they may be told.
    next: Option<Instant>,
    last: Option<(Full, Option<IpAddr>)>,
}

impl Refusals {
    fn add(&mut self, full: Full, peer: Option<IpAddr>) {
        self.untold += 1;
        self.last = Some((full, peer));
        if self.next.is_none() {
            self.tell();
        }
    }

    /// Resolves when it is time to tell; never when nothing was refused of late.
    async fn due(&self) {
        match self.next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    fn tell(&mut self) {
        self.next = (self.untold > 0).then(|| Instant::now() + REFUSALS_TOLD_EVERY);
        let Some((full, peer)) = self.last.take() else { return };
        tracing::warn!(
            code = "listener.refused",
            connections = std::mem::take(&mut self.untold),
            peer = peer.map(tracing::field::display),
            "connections were closed at once, the last one because {full}"
        );
    }
}
