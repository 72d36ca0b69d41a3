//! Sessions that have ended before their time on this node: by a logout, or by another login in the same browser.
//!
//! They are remembered as long as the process runs, across reloads, so that a copy of their cookies is worth nothing here.
//! Other nodes, and this one after a restart, go by the cookies.

use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lru::LruCache;
use vestibule_wasmtime::Ended;

type Name = [u8; 16];

/// So many are remembered, the latest: some megabytes. A session has a name that no other ever gets.
const MAX_SESSIONS: usize = 65_536;

/// Names of sessions that have ended.
#[derive(Debug)]
pub struct EndedSessions(RwLock<LruCache<Name, ()>>);

impl Default for EndedSessions {
    fn default() -> Self {
        Self(RwLock::new(LruCache::unbounded()))
    }
}

impl EndedSessions {
    /// Remembers those that a decision says are over.
    pub fn remember(&self, sessions: &[String]) {
        let names = sessions.iter().filter_map(|session| Name::try_from(URL_SAFE_NO_PAD.decode(session).ok()?).ok());
        // What is in there is whole at every moment, a panic elsewhere or not.
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            known.put(name, ());
            if known.len() > MAX_SESSIONS {
                known.pop_lru();
            }
        }
    }
}

impl Ended for EndedSessions {
    fn ended(&self, names: &[Name], _began_at: u64) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.first().is_some_and(|session| known.contains(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Name {
        let mut name = [7; 16];
        name[..8].copy_from_slice(&number.to_be_bytes());
        name
    }

    #[test]
    fn the_latest_that_have_ended_are_known_by_their_names() {
        let sessions = EndedSessions::default();
        assert!(!sessions.ended(&[name(0)], 0) && !sessions.ended(&[], 0));
        for number in 0..=MAX_SESSIONS {
            sessions.remember(&[URL_SAFE_NO_PAD.encode(name(number))]);
        }
        assert!(!sessions.ended(&[name(0)], 0), "the first is forgotten");
        assert!(sessions.ended(&[name(1)], 0) && sessions.ended(&[name(MAX_SESSIONS)], u64::MAX));
        assert!(!sessions.ended(&[name(1_000_000), name(1)], 0), "that is the name of an account");
    }

    #[test]
    fn what_is_no_name_ends_nothing() {
        let sessions = EndedSessions::default();
        sessions.remember(&["".into(), "a".into(), "x!".repeat(11), "AAAA".into(), "\u{e9}".into()]);
        assert!(!sessions.ended(&[name(0)], 0));
    }
}
