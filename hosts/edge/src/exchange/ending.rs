//! The end of an exchange, announced from elsewhere ([`crate::exchange::open_exchanges`]): when the session that it rests on ends, by
//! its time or by a logout, and when a new configuration does not admit it.
//!
//! An exchange is one request with its response, or the upgraded connection that comes of it. The proxy learns of it deep
//! inside Pingora; [`EndableExchanges`] serves it. They meet in a task-local: one task serves an exchange from its first
//! byte to its last. Its end drops what it was served on: the connection with HTTP/1.1, and with HTTP/2 this stream alone,
//! which is reset. An upgraded connection whose session ends has `LAST_WORDS` more, to tell the browser why
//! ([`crate::upgrade::farewell`]); nothing of the browser's reaches the application any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use vestibule::audit::AuditEvent;

use crate::audit::Record;
use crate::client::request_id::RequestId;
use crate::upgrade::link::Link;

/// The longest sleep before the clock is read again: a machine may have been suspended meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// For the end of a frame that has begun, for the words, and for the browser's answer: some round trips.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    /// The rest of the request's body does not come.
    BodyStalled,
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
    /// By when the next piece of the request's body is to be there.
    body_due: Mutex<Option<Instant>>,
    is_upgrade: AtomicBool,
    /// For the log.
    request_id: OnceLock<RequestId>,
    /// For the audit.
    record: OnceLock<Arc<Record>>,
    /// Why it was ended, if it was.
    ended: OnceLock<Reason>,
    /// Of the upgraded connection.
    link: OnceLock<Arc<Link>>,
}

impl Closer {
    fn new() -> Self {
        let (announced, body_due) = (Mutex::new(Announced::Nothing), Mutex::new(None));
        let (is_upgrade, ended, link) = (AtomicBool::new(false), OnceLock::new(), OnceLock::new());
        let (request_id, record) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(End { announced, changed: Notify::new(), body_due, is_upgrade, request_id, record, ended, link }))
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

    /// Ends the exchange at `due`, unless this is called again by then: with a later moment for each piece of the request's
    /// body, with `None` when it is whole.
    pub fn expect_body(&self, due: Option<Instant>) {
        let before = std::mem::replace(&mut *self.0.body_due.lock().unwrap_or_else(PoisonError::into_inner), due);
        // A later moment is found when the earlier one has come.
        if before.is_none() && due.is_some() {
            self.0.changed.notify_one();
        }
    }

    fn body_due(&self) -> Option<Instant> {
        *self.0.body_due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the log: what the request is called.
    pub fn name(&self, request_id: RequestId) {
        // A request has one name.
        let _ = self.0.request_id.set(request_id);
    }

    /// For the audit: what was said of the decision.
    pub fn record(&self, record: Arc<Record>) {
        // An exchange is forwarded once.
        let _ = self.0.record.set(record);
    }

    /// For the log: the exchange is to become an upgraded connection.
    pub fn mark_upgrade(&self) {
        self.0.is_upgrade.store(true, Ordering::Relaxed);
    }

    /// The exchange has become an upgraded connection, whose end can be told.
    pub fn has_upgraded(&self, link: Arc<Link>) {
        // There is one upgrade in an exchange.
        let _ = self.0.link.set(link);
    }

    /// Why the exchange was ended; `None` while it goes on, and when it has come to its own end.
    pub fn reason(&self) -> Option<Reason> {
        self.0.ended.get().copied()
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
    let exchange = CLOSER.scope(closer.clone(), exchange);
    tokio::pin!(exchange);
    let reason = tokio::select! {
        biased;
        // First, so that nothing more is sent.
        reason = end(&closer) => reason,
        served = &mut exchange => return Some(served),
    };
    // There is one end.
    let _ = closer.0.ended.set(reason);
    if let Some(record) = closer.0.record.get() {
        audit(record, reason, closer.0.is_upgrade.load(Ordering::Relaxed));
    }
    let request_id = closer.0.request_id.get().map(RequestId::as_str);
    match (reason, closer.0.is_upgrade.load(Ordering::Relaxed)) {
        (Reason::SessionEnded, true) => {
            tracing::info!(code = "upgrade.session_ended", request_id, "closed an upgraded connection: its session has ended");
        }
        (Reason::SessionEnded, false) => {
            tracing::info!(code = "response.session_ended", request_id, "ended an open response: its session has ended");
        }
        (Reason::NotAdmitted, true) => {
            tracing::info!(
                code = "upgrade.not_admitted",
                request_id,
                "closed an upgraded connection: the new configuration does not admit it"
            );
        }
        (Reason::NotAdmitted, false) => {
            tracing::info!(code = "response.not_admitted", request_id, "ended an open response: the new configuration does not admit it");
        }
        (Reason::BodyStalled, _) => tracing::debug!(code = "request.body_stalled", request_id, "ended a request whose body did not go on"),
    }
    if let (Reason::SessionEnded, Some(link)) = (reason, closer.0.link.get()) {
        link.end();
        // However that goes, the connection ends.
        let _ = timeout(LAST_WORDS, exchange).await;
    }
    None
}

fn audit(record: &Record, reason: Reason, is_upgrade: bool) {
    let (event, code) = match (reason, is_upgrade) {
        (Reason::SessionEnded, true) => (AuditEvent::SessionEnded, "upgrade.session_ended"),
        (Reason::SessionEnded, false) => (AuditEvent::SessionEnded, "response.session_ended"),
        (Reason::NotAdmitted, true) => (AuditEvent::Refused, "upgrade.not_admitted"),
        (Reason::NotAdmitted, false) => (AuditEvent::Refused, "response.not_admitted"),
        (Reason::BodyStalled, _) => return,
    };
    record.ended(event, code);
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
        let left = match moment.map(|moment| moment.duration_since(SystemTime::now()).unwrap_or_default()) {
            Some(Duration::ZERO) => return Reason::SessionEnded,
            left => left.map(|left| left.min(CLOCK_CHECK)),
        };
        let left_of_body = match closer.body_due().map(|due| due.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => return Reason::BodyStalled,
            left => left,
        };
        match left.into_iter().chain(left_of_body).min() {
            // Changed or not: all is looked at again.
            Some(left) => drop(tokio::time::timeout(left, changed).await),
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

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_go_on_ends_the_exchange_and_one_that_does_not() {
        let in_a_second = || Some(Instant::now() + Duration::from_secs(1));
        assert_eq!(ended(|closer| closer.expect_body(in_a_second())).await, None);
        let served = run(async {
            let closer = closer().expect("an exchange");
            for _ in 0..10 {
                closer.expect_body(in_a_second());
                tokio::time::sleep(Duration::from_millis(900)).await;
            }
            closer.expect_body(None);
            tokio::time::sleep(Duration::from_secs(10)).await;
        });
        assert_eq!(served.await, Some(()));
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

    #[tokio::test(start_paused = true)]
    async fn an_upgraded_connection_has_a_moment_for_its_last_words() {
        for (reason, words, said) in [
            (Reason::SessionEnded, Duration::from_millis(900), true),
            (Reason::SessionEnded, Duration::from_secs(60), false),
            (Reason::NotAdmitted, Duration::ZERO, false),
        ] {
            let (link, spoken) = (Arc::<Link>::default(), Arc::<AtomicBool>::default());
            let (began, speaking) = (Instant::now(), spoken.clone());
            let served = run({
                let link = link.clone();
                async move {
                    let closer = closer().expect("an exchange");
                    closer.has_upgraded(link.clone());
                    closer.close(reason);
                    tokio::task::yield_now().await;
                    assert!(link.has_ended(), "nothing goes to the application any more");
                    tokio::time::sleep(words).await;
                    speaking.store(true, Ordering::Relaxed);
                }
            });
            assert_eq!(served.await, None, "the connection ends in any case");
            assert_eq!(spoken.load(Ordering::Relaxed), said, "{reason:?}");
            assert_eq!(link.has_ended(), reason == Reason::SessionEnded);
            assert!(began.elapsed() < 2 * LAST_WORDS);
        }
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
