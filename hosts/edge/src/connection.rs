//! The end of an exchange, announced from elsewhere ([`crate::open_exchanges`]): when the session that it rests on ends, by
//! its time or by a logout, and when a new configuration does not admit it.
//!
//! An exchange is one request with its response, or the upgraded connection that comes of it. The proxy learns of it deep
//! inside Pingora; [`EndableExchanges`] serves it. They meet in a task-local: one task serves an exchange from its first
//! byte to its last. Its end drops what it was served on: the connection with HTTP/1.1, and with HTTP/2 this stream alone,
//! which is reset.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;

/// The longest sleep before the clock is read again: a machine may have been suspended meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

tokio::task_local! {
    static CLOSER: Closer;
}

/// Serves as `A` does, but each exchange can be ended.
pub struct EndableExchanges<A>(pub Arc<A>);

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for EndableExchanges<A> {
    async fn process_new_http(self: &Arc<Self>, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        run(self.0.process_new_http(session, shutdown)).await.flatten()
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.0.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.0.server_options()
    }

    async fn http_cleanup(&self) {
        self.0.http_cleanup().await;
    }
}

/// Why an exchange is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The session has ended.
    SessionEnded,
    /// The configuration has changed, and the request would not be forwarded any more.
    NotAdmitted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Announced {
    Nothing,
    /// In seconds since the Unix epoch.
    At(u64),
    Now(Reason),
}

/// The end of one exchange, in the hands of others.
#[derive(Clone)]
pub struct Closer(Arc<End>);

struct End {
    announced: Mutex<Announced>,
    changed: Notify,
    is_upgrade: AtomicBool,
}

impl Closer {
    fn new() -> Self {
        Self(Arc::new(End { announced: Mutex::new(Announced::Nothing), changed: Notify::new(), is_upgrade: AtomicBool::new(false) }))
    }

    /// Ends the exchange now.
    pub fn close(&self, reason: Reason) {
        self.announce(Announced::Now(reason));
    }

    /// Ends the exchange at `moment`, in seconds since the Unix epoch, or not by time. What was announced before is
    /// replaced, unless it was [`Self::close`].
    pub fn expire_at(&self, moment: Option<u64>) {
        self.announce(moment.map_or(Announced::Nothing, Announced::At));
    }

    /// For the log: the exchange is to become an upgraded connection.
    pub fn mark_upgrade(&self) {
        self.0.is_upgrade.store(true, Ordering::Relaxed);
    }

    fn announce(&self, end: Announced) {
        let mut announced = self.0.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if *announced != end && !matches!(*announced, Announced::Now(_)) {
            *announced = end;
            drop(announced);
            self.0.changed.notify_one();
        }
    }

    fn announced(&self) -> Announced {
        *self.0.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the exchange that this task serves; `None` outside [`run`].
pub fn closer() -> Option<Closer> {
    CLOSER.try_with(Clone::clone).ok()
}

/// Serves one exchange to its end, or to the one that is announced: then `None`.
pub async fn run<T>(exchange: impl Future<Output = T>) -> Option<T> {
    let closer = Closer::new();
    let reason = tokio::select! {
        biased;
        // First, so that nothing more is sent.
        reason = end(&closer) => reason,
        served = CLOSER.scope(closer.clone(), exchange) => return Some(served),
    };
    match (reason, closer.0.is_upgrade.load(Ordering::Relaxed)) {
        (Reason::SessionEnded, true) => {
            tracing::info!(code = "upgrade.session_ended", "closed an upgraded connection: its session has ended");
        }
        (Reason::SessionEnded, false) => {
            tracing::info!(code = "response.session_ended", "ended an open response: its session has ended");
        }
        (Reason::NotAdmitted, true) => {
            tracing::info!(code = "upgrade.not_admitted", "closed an upgraded connection: the new configuration does not admit it");
        }
        (Reason::NotAdmitted, false) => {
            tracing::info!(code = "response.not_admitted", "ended an open response: the new configuration does not admit it");
        }
    }
    None
}

/// Waits until the announced moment; for ever when none is announced, or one that the clock cannot represent.
async fn end(closer: &Closer) -> Reason {
    loop {
        // Made before the look: a change after it is noticed.
        let changed = closer.0.changed.notified();
        let moment = match closer.announced() {
            Announced::Now(reason) => return reason,
            Announced::At(seconds) => UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
            Announced::Nothing => None,
        };
        match moment {
            Some(moment) => {
                let left = moment.duration_since(SystemTime::now()).unwrap_or_default();
                if left.is_zero() {
                    return Reason::SessionEnded;
                }
                // Changed or not: both are looked at again.
                let _ = tokio::time::timeout(left.min(CLOCK_CHECK), changed).await;
            }
            None => changed.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ended(announce: impl FnOnce(Closer)) -> Option<()> {
        run(async {
            announce(closer().expect("an exchange"));
            std::future::pending().await
        })
        .await
    }

    #[tokio::test]
    async fn an_ended_session_ends_the_exchange() {
        assert_eq!(ended(|closer| closer.expire_at(Some(1))).await, None);
        assert_eq!(ended(|closer| closer.close(Reason::SessionEnded)).await, None);
    }

    #[tokio::test]
    async fn another_moment_takes_the_place_of_the_one_before() {
        let end = ended(|closer| {
            closer.expire_at(Some(u64::MAX));
            closer.expire_at(Some(1));
        });
        assert_eq!(end.await, None);
        let served = run(async {
            let closer = closer().expect("an exchange");
            closer.expire_at(Some(1));
            closer.expire_at(None);
            tokio::task::yield_now().await;
        });
        assert_eq!(served.await, Some(()));
    }

    #[tokio::test]
    async fn what_is_closed_stays_so() {
        let end = ended(|closer| {
            closer.close(Reason::NotAdmitted);
            closer.expire_at(None);
            closer.expire_at(Some(u64::MAX));
        });
        assert_eq!(end.await, None);
    }

    #[tokio::test]
    async fn an_exchange_ends_by_itself() {
        assert_eq!(run(async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn a_moment_out_of_range_never_comes() {
        let served = run(async {
            closer().expect("an exchange").expire_at(Some(u64::MAX));
            tokio::task::yield_now().await;
        });
        assert_eq!(served.await, Some(()));
    }
}
