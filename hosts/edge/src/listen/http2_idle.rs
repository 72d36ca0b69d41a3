//! The end of an HTTP/2 connection on which nothing is asked. Pingora has one too, but its timer is a thread that wakes a
//! hundred times a second, from the first such connection to the end of the program.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use tokio::sync::watch;
use tokio::time::timeout;

/// Serves one connection as `A` does, and knows how many of its streams are being served.
pub struct Counted<A> {
    app: Arc<A>,
    streams: watch::Sender<usize>,
}

impl<A> Counted<A> {
    /// For a connection that begins now.
    pub fn new(app: Arc<A>) -> Self {
        Self { app, streams: watch::Sender::new(0) }
    }

    /// Resolves when no stream has been served for as long as `patience`.
    pub async fn idle(&self, patience: Duration) {
        let mut streams = self.streams.subscribe();
        loop {
            // No error: the sender is `self`.
            let _ = streams.wait_for(|streams| *streams == 0).await;
            if timeout(patience, streams.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// A stream that is being served, until it is dropped.
struct Served<'a>(&'a watch::Sender<usize>);

impl<'a> Served<'a> {
    fn new(streams: &'a watch::Sender<usize>) -> Self {
        streams.send_modify(|streams| *streams += 1);
        Self(streams)
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|streams| *streams -= 1);
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Counted<A> {
    async fn process_new_http(self: &Arc<Self>, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let _served = Served::new(&self.streams);
        self.app.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.app.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.app.server_options()
    }

    async fn http_cleanup(&self) {
        self.app.http_cleanup().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_served_for_long_enough() {
        let began = Instant::now();
        Counted::new(Arc::new(())).idle(PATIENCE).await;
        assert_eq!(began.elapsed(), PATIENCE, "it never had a stream");

        let counted = Counted::new(Arc::new(()));
        let requests = async {
            let first = Served::new(&counted.streams);
            sleep(2 * PATIENCE).await;
            let second = Served::new(&counted.streams);
            drop(first);
            sleep(2 * PATIENCE).await;
            drop(second);
            sleep(PATIENCE / 2).await;
            drop(Served::new(&counted.streams));
        };
        let began = Instant::now();
        tokio::join!(requests, counted.idle(PATIENCE));
        assert_eq!(began.elapsed(), 4 * PATIENCE + PATIENCE / 2 + PATIENCE);
    }
}
