//! Exchanges with the application that may outlive what admitted them: each ends with the session that it rests on, and is
//! judged again when the configuration changes, or an account is logged out everywhere ([`crate::exchange::judge`]).
//!
//! 1. An exchange is here from the decision to forward it on, not from the application's answer: a session that ends in
//!    between takes it along, and so does a configuration that does not admit it.
//! 2. When the answer turns out to have an end, because it has a length or no body, the exchange leaves: a download may
//!    finish. Upgraded connections and answers without a length stay as long as they last.
//! 3. A request that was admitted just before its session's time was over gets a moment for its answer to begin.
//! 4. A session that has ended is remembered for a while, because a browser that loses its WebSocket or its event stream may
//!    connect again before the response that takes its cookie away has arrived: nothing without an end is made for it.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pingora::http::RequestHeader;

use crate::configuration::active::Generation;
use crate::exchange::ending::{Closer, Reason};
use crate::upstream::application::Upstream;

/// How long nothing without an end is made for a session that has ended: longer than any response is on its way.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Ended sessions that are remembered; the oldest makes room.
const MAX_REMEMBERED: usize = 10_000;

/// Seconds for an answer to begin, when the session ends earlier: what has an end would be cut off otherwise.
const ANSWER_SECONDS: u64 = 5;

/// All of one edge's. As many as there are requests in flight, and no more.
#[derive(Default)]
pub struct OpenExchanges {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Entry>,
    of_session: BTreeSet<(Arc<str>, u64)>,
    next: u64,
    ended: HashMap<Arc<str>, Instant>,
}

struct Entry {
    question: Arc<Question>,
    /// In which it was admitted.
    generation: Generation,
    /// The session's end, in seconds since the Unix epoch.
    expires_at: Option<u64>,
    /// Not before this moment; 0 when the answer has begun.
    not_before: u64,
    closer: Closer,
}

impl Entry {
    fn announce_end(&self) {
        self.closer.expire_at(self.expires_at.map(|end| end.max(self.not_before)));
    }
}

/// What was asked and decided: enough to ask again. The values of `head` share their bytes with the request in flight.
pub struct Question {
    pub head: RequestHeader,
    pub authority: Option<String>,
    /// What the application called itself.
    pub server: Option<String>,
    pub peer: Option<IpAddr>,
    /// The handle of the session; `None` for an exchange of nobody.
    pub session: Option<Arc<str>>,
    pub upstream: Arc<Upstream>,
}

/// An exchange, from the decision to its end.
pub struct OpenExchange {
    all: Arc<OpenExchanges>,
    session: Option<Arc<str>>,
    number: u64,
    closer: Closer,
    /// The session has ended a short while ago: an answer without an end is to be refused.
    pub session_has_ended: bool,
}

impl OpenExchanges {
    /// Registers an exchange that was admitted in this generation, until `expires_at`.
    pub fn begin(self: &Arc<Self>, question: Question, generation: Generation, expires_at: Option<u64>, closer: Closer) -> OpenExchange {
        let session = question.session.clone();
        // A clock before 1970 ends nothing too early.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let entry = Entry {
            question: Arc::new(question),
            generation,
            expires_at,
            not_before: now.saturating_add(ANSWER_SECONDS),
            closer: closer.clone(),
        };
        entry.announce_end();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.open.insert(number, entry);
        let mut session_has_ended = false;
        if let Some(session) = &session {
            state.of_session.insert((session.clone(), number));
            session_has_ended = state.ended.get(session).is_some_and(|at| at.elapsed() < REMEMBERED);
        }
        drop(state);
        OpenExchange { all: self.clone(), session, number, closer, session_has_ended }
    }

    /// Ends every exchange of a session.
    pub fn end(&self, session: &str) {
        let session: Arc<str> = session.into();
        let mut state = self.lock();
        state.ended.retain(|_, at| at.elapsed() < REMEMBERED);
        if state.ended.len() >= MAX_REMEMBERED {
            let oldest = state.ended.iter().min_by_key(|(_, at)| **at).map(|(session, _)| session.clone());
            oldest.and_then(|oldest| state.ended.remove(&oldest));
        }
        state.ended.insert(session.clone(), Instant::now());
        for (_, number) in state.of_session.range((session.clone(), 0)..=(session, u64::MAX)) {
            if let Some(entry) = state.open.get(number) {
                entry.closer.close(Reason::SessionEnded);
            }
        }
    }

    /// What was admitted before this generation: number, question and generation of each.
    pub fn admitted_before(&self, generation: Generation) -> Vec<(u64, Arc<Question>, Generation)> {
        let state = self.lock();
        let due = state.open.iter().filter(|(_, entry)| entry.generation < generation);
        due.map(|(number, entry)| (*number, entry.question.clone(), entry.generation)).collect()
    }

    /// It is admitted in this generation as well, until `expires_at`.
    pub fn keep(&self, number: u64, generation: Generation, expires_at: Option<u64>) {
        if let Some(entry) = self.lock().open.get_mut(&number) {
            entry.generation = generation;
            entry.expires_at = expires_at;
            entry.announce_end();
        }
    }

    /// It is not admitted in this generation.
    pub fn close(&self, number: u64, generation: Generation, reason: Reason) {
        if let Some(entry) = self.lock().open.get_mut(&number) {
            entry.generation = generation;
            entry.closer.close(reason);
        }
    }

    /// What is in there is whole at every moment, a panic elsewhere or not.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenExchange {
    /// The answer has begun, and its end is not in sight: the exchange ends when the session does.
    pub fn has_begun(&self) {
        if let Some(entry) = self.all.lock().open.get_mut(&self.number) {
            entry.not_before = 0;
            entry.announce_end();
        }
    }
}

/// The exchange is over, or its end is in sight: its session's end means nothing to it any more.
impl Drop for OpenExchange {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        // What is dropped is dropped after the lock.
        let _entry = state.open.remove(&self.number);
        if let Some(session) = self.session.take() {
            state.of_session.remove(&(session, self.number));
        }
        drop(state);
        self.closer.expire_at(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ending;

    fn question(session: Option<&str>) -> Question {
        Question {
            head: RequestHeader::build("GET", b"/", None).expect("a request"),
            authority: None,
            server: None,
            peer: None,
            session: session.map(Arc::from),
            upstream: Arc::new(Upstream::parse("http://127.0.0.1:1", Duration::from_secs(1)).expect("an address")),
        }
    }

    fn begin(all: &Arc<OpenExchanges>, session: Option<&str>) -> OpenExchange {
        all.begin(question(session), Generation::default(), None, ending::closer().expect("an exchange"))
    }

    #[tokio::test]
    async fn every_exchange_of_a_session_ends_and_no_other() {
        let all = Arc::new(OpenExchanges::default());
        let open = async |session: Option<&'static str>| {
            let all = all.clone();
            let ended = ending::run(async move {
                let _open = begin(&all, session);
                std::future::pending::<()>().await;
            });
            assert_eq!(ended.await, None);
            session
        };
        let (one, two, other, nobody) = (open(Some("a")), open(Some("a")), open(Some("b")), open(None));
        tokio::pin!(one, two, other, nobody);
        for exchange in [&mut one as &mut (dyn Future<Output = _> + Unpin), &mut two, &mut other, &mut nobody] {
            assert!(futures::poll!(exchange).is_pending(), "it ends too early");
        }
        all.end("a");
        assert_eq!((one.await, two.await), (Some("a"), Some("a")));
        assert!(futures::poll!(&mut other).is_pending() && futures::poll!(&mut nobody).is_pending());
        assert_eq!(all.lock().open.len(), 2);
    }

    #[tokio::test]
    async fn an_exchange_with_an_end_in_sight_may_finish() {
        let all = Arc::new(OpenExchanges::default());
        let served = ending::run(async {
            let open = all.begin(question(Some("a")), Generation::default(), Some(1), ending::closer().expect("an exchange"));
            drop(open);
            all.end("a");
            tokio::task::yield_now().await;
        });
        assert_eq!(served.await, Some(()));
    }

    #[tokio::test]
    async fn an_answer_has_a_moment_to_begin_and_none_to_go_on() {
        let all = Arc::new(OpenExchanges::default());
        let ended = ending::run(async {
            let open = all.begin(question(Some("a")), Generation::default(), Some(1), ending::closer().expect("an exchange"));
            tokio::task::yield_now().await;
            open.has_begun();
            std::future::pending::<()>().await;
        });
        tokio::pin!(ended);
        assert!(futures::poll!(&mut ended).is_pending(), "it ends too early");
        assert_eq!(ended.await, None);
    }

    #[tokio::test]
    async fn an_ended_session_is_remembered() {
        let all = Arc::new(OpenExchanges::default());
        ending::run(async {
            all.end("a");
            assert!(begin(&all, Some("a")).session_has_ended);
            assert!(!begin(&all, Some("b")).session_has_ended);
            assert!(!begin(&all, None).session_has_ended);
            let state = all.lock();
            assert!(state.open.is_empty() && state.of_session.is_empty(), "what has ended is let go of");
        })
        .await;
    }

    #[tokio::test]
    async fn an_exchange_is_judged_once_for_each_configuration() {
        let all = Arc::new(OpenExchanges::default());
        let next = Generation::default().next();
        let ended = ending::run(async {
            let (_first, _second) = (begin(&all, None), begin(&all, Some("a")));
            assert!(all.admitted_before(Generation::default()).is_empty());
            let numbers = |generation| all.admitted_before(generation).into_iter().map(|(number, ..)| number).collect::<BTreeSet<_>>();
            assert_eq!(numbers(next), [0, 1].into());
            all.keep(0, next, None);
            assert_eq!(numbers(next), [1].into());
            assert_eq!(numbers(next.next()), [0, 1].into());
            all.close(1, next, Reason::NotAdmitted);
            assert!(numbers(next).is_empty());
            std::future::pending::<()>().await;
        });
        assert_eq!(ended.await, None);
    }

    #[test]
    fn ended_sessions_are_remembered_up_to_a_number() {
        let all = OpenExchanges::default();
        (0..=MAX_REMEMBERED).for_each(|number| all.end(&number.to_string()));
        let state = all.lock();
        assert_eq!(state.ended.len(), MAX_REMEMBERED);
        assert!(!state.ended.contains_key("0"));
    }
}
