//! The edge on a listener: Pingora's proxy with its options, and the judge that runs beside it.
//!
//! Of a response over HTTP/2 that the peer does not take, `h2` holds [`H2_SEND_BUFFER_BYTES`] and Pingora some more pieces of
//! 64 KiB: measured 370 KiB in all.

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerOptions;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::proxy::http_proxy;
use tokio::task::JoinSet;

use crate::client::shares::Shares;
use crate::exchange::ending::EndableExchanges;
use crate::exchange::proxy::Edge;
use crate::listen::listener::Listener;
use crate::upstream::authorities::server_conf;

/// Of a response over HTTP/2 that the peer does not take: a stream holds so much, and a connection has 100 of them.
const H2_SEND_BUFFER_BYTES: usize = 64 * 1024;

impl Edge {
    /// Serves on `listener` until `stop` resolves, then takes no more connections and no more requests on those it has, and
    /// returns when all have ended or after `grace`.
    pub async fn serve(self, listener: Listener, tls: Option<Acceptor>, stop: impl Future<Output = ()>, grace: Duration) {
        // Dropped with this future, and the task with it.
        let mut judging = JoinSet::new();
        judging.spawn(self.judge());
        let limits = listener.limits();
        let edge = self.with_requests(Shares::new(limits.all, limits.each));
        let current = edge.current();
        let listener = listener.counted(edge.metrics().connections.clone());
        let mut proxy = http_proxy(&Arc::new(server_conf()), edge);
        let mut options = HttpServerOptions::default();
        // Refused in `proxy.rs`: Pingora's own answer would say which server this is.
        options.allow_connect_method_proxying = true;
        proxy.server_options = Some(options);
        // Of one header list 64 KiB, 100 requests at a time.
        let mut h2 = default_h2_options();
        h2.max_send_buffer_size(H2_SEND_BUFFER_BYTES);
        proxy.h2_options = Some(h2);
        let trusts = move |peer| current.load().1.trusted_proxies.contains(peer);
        listener.serve_app(Arc::new(EndableExchanges(Arc::new(proxy))), tls, Arc::new(trusts), stop, grace).await;
    }
}
