//! Upgraded connections by the session that they rest on, so that they end with it.
//!
//! An upgrade counts from the decision to forward it, not from the application's `101`: a session that ends in between
//! takes it along. A session that has ended is remembered for a while, because a browser that loses its WebSocket may
//! connect again before the response that takes its cookie away has arrived.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Closer;

/// How long no upgrade is made for a session that has ended: longer than any response is on its way.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Ended sessions that are remembered; the oldest makes room.
const MAX_REMEMBERED: usize = 10_000;

/// All of one edge's. As many as there are connections, and no more.
#[derive(Default)]
pub struct Upgrades {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<String, HashMap<u64, Closer>>,
    next: u64,
    ended: HashMap<String, Instant>,
}

/// The session has ended: there is no upgrade for it any more.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionEnded;

/// An upgrade, from the decision to the end of the connection.
pub struct Upgrade {
    all: Arc<Upgrades>,
    session: String,
    number: u64,
}

impl Upgrades {
    /// Registers the upgrade that is asked for on a connection.
    ///
    /// # Errors
    /// [`SessionEnded`] when it has, a short while ago.
    pub fn begin(self: &Arc<Self>, session: &str, closer: Closer) -> Result<Upgrade, SessionEnded> {
        let mut state = self.lock();
        if state.ended.get(session).is_some_and(|at| at.elapsed() < REMEMBERED) {
            return Err(SessionEnded);
        }
        let number = state.next;
        state.next += 1;
        state.open.entry(session.to_owned()).or_default().insert(number, closer);
        Ok(Upgrade { all: self.clone(), session: session.to_owned(), number })
    }

    /// Closes every connection of a session.
    pub fn end(&self, session: &str) {
        let mut state = self.lock();
        state.ended.retain(|_, at| at.elapsed() < REMEMBERED);
        if state.ended.len() >= MAX_REMEMBERED {
            let oldest = state.ended.iter().min_by_key(|(_, at)| **at).map(|(session, _)| session.clone());
            oldest.and_then(|oldest| state.ended.remove(&oldest));
        }
        state.ended.insert(session.to_owned(), Instant::now());
        for closer in state.open.remove(session).unwrap_or_default().into_values() {
            closer.close();
        }
    }

    /// What is in there is whole at every moment, a panic elsewhere or not.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        if let Some(of_session) = state.open.get_mut(&self.session) {
            of_session.remove(&self.number);
            if of_session.is_empty() {
                state.open.remove(&self.session);
            }
        }
    }
}

/// Sessions that end when this is dropped: after the response, however that went.
pub struct Ending {
    pub all: Arc<Upgrades>,
    pub sessions: Vec<String>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.sessions.iter().for_each(|session| self.all.end(session));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection;

    #[tokio::test]
    async fn every_connection_of_a_session_ends_and_no_other() {
        let all = Arc::new(Upgrades::default());
        let open = async |session: &'static str| {
            let all = all.clone();
            connection::run(async move {
                let _upgrade = all.begin(session, connection::closer().expect("a connection")).expect("a session in force");
                std::future::pending().await
            })
            .await;
            session
        };
        let (one, two, other) = (open("a"), open("a"), open("b"));
        tokio::pin!(one, two, other);
        let mut first_look = async || {
            tokio::select! {
                biased;
                _ = &mut one => panic!("it ends too early"),
                _ = &mut two => panic!("it ends too early"),
                _ = &mut other => panic!("it ends too early"),
                () = tokio::task::yield_now() => {}
            }
        };
        first_look().await;
        all.end("a");
        assert_eq!((one.await, two.await), ("a", "a"));
        assert!(futures::poll!(&mut other).is_pending());
        assert_eq!(all.lock().open.len(), 1);
    }

    #[tokio::test]
    async fn an_ended_session_gets_no_new_upgrade() {
        let all = Arc::new(Upgrades::default());
        connection::run(async {
            let closer = || connection::closer().expect("a connection");
            drop(Ending { all: all.clone(), sessions: vec!["a".into()] });
            assert_eq!(all.begin("a", closer()).err(), Some(SessionEnded));
            assert!(all.begin("b", closer()).is_ok());
            assert!(all.lock().open.is_empty(), "what has ended is let go of");
        })
        .await;
    }

    #[test]
    fn ended_sessions_are_remembered_up_to_a_number() {
        let all = Upgrades::default();
        (0..=MAX_REMEMBERED).for_each(|number| all.end(&number.to_string()));
        let state = all.lock();
        assert_eq!(state.ended.len(), MAX_REMEMBERED);
        assert!(!state.ended.contains_key("0"));
    }
}
