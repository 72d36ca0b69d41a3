//! The listening side: accepts connections, hands them to Pingora, and stops without dropping requests.
//!
//! Pingora's own server always waits its whole grace period; this one ends when the last request has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::{HttpServerOptions, ServerApp};
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::listener::Listener as Accepting;
use pingora::protocols::l4::stream::Stream as Connection;
use pingora::protocols::{IO, Stream, TcpKeepalive};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::connection::EndableExchanges;
use crate::proxy::Edge;

/// A peer that has not finished its TLS handshake by then is let go.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// An HTTP/2 connection without a stream is closed after this time, as an HTTP/1.1 connection is by Pingora.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
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
#[error("cannot listen on {address}: {cause}; choose another with --listen or vestibule.listen, or stop what uses it")]
pub struct CannotListen {
    pub address: String,
    pub cause: std::io::Error,
}

/// A socket that listens, before anything is served on it: connections wait in its queue.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`, host and port; port 0 takes a free one.
    ///
    /// # Errors
    /// [`CannotListen`] with the system's reason.
    pub async fn bind(address: &str) -> Result<Self, CannotListen> {
        let cannot = |cause| CannotListen { address: address.to_owned(), cause };
        let socket = TcpListener::bind(address).await.map_err(cannot)?;
        let address = socket.local_addr().map_err(cannot)?;
        Ok(Self { socket, address })
    }

    /// The address bound, with its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then takes no more connections and no more requests on those it has, and returns
    /// when all have ended or after `grace`.
    pub async fn serve(self, edge: Edge, tls: Option<Acceptor>, stop: impl Future<Output = ()>, grace: Duration) {
        // Dropped with this future, and the task with it.
        let mut judging = JoinSet::new();
        judging.spawn(edge.judge());
        let mut proxy = http_proxy(&Arc::new(ServerConf::default()), edge);
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(IDLE_TIMEOUT);
        proxy.server_options = Some(options);
        let (proxy, tls) = (Arc::new(EndableExchanges(Arc::new(proxy))), tls.map(Arc::new));

        let (stopping, shutdown) = watch::channel(false);
        let mut connections = JoinSet::new();
        let accepting = Accepting::from(self.socket);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = connections.join_next() => log_panic(ended),
                accepted = accepting.accept() => match accepted {
                    Ok(connection) => {
                        connections.spawn(serve_connection(proxy.clone(), connection, tls.clone(), shutdown.clone()));
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
        ServerApp::cleanup(proxy.as_ref()).await;
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

async fn serve_connection(
    proxy: Arc<EndableExchanges<HttpProxy<Edge>>>,
    mut connection: Connection,
    tls: Option<Arc<Acceptor>>,
    shutdown: watch::Receiver<bool>,
) {
    // Answers are written at once; a socket that is gone already says so later.
    let _ = connection.set_nodelay();
    let _ = connection.set_keepalive(&KEEPALIVE);
    let mut next = establish(connection, tls).await;
    while let Some(stream) = next {
        next = proxy.process_new(stream, &shutdown).await;
    }
}

async fn establish(connection: Connection, tls: Option<Arc<Acceptor>>) -> Option<Stream> {
    let Some(tls) = tls else { return Some(Box::new(connection)) };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.tls_handshake(connection)).await {
        Ok(Ok(stream)) => Some(Box::new(stream) as Box<dyn IO>),
        Ok(Err(error)) => {
            tracing::debug!(code = "listener.tls_failed", "TLS handshake failed: {error}");
            None
        }
        Err(_) => None,
    }
}
