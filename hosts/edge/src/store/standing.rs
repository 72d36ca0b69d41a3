//! Whether sessions may be judged by what this node knows.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a node knows of a store, and since when.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// `None`: there is no store, and memory is all there is to know.
    patience: Option<Duration>,
    is_up: bool,
    /// When everything was known last; `None` when it never was.
    confirmed: Option<Instant>,
}

/// How far what this node knows can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no store.
    Alone,
    /// The store is there, and has been read.
    Current,
    /// The store is out of reach, but not for long.
    Patient,
    /// The store has been out of reach for too long.
    Stale,
    /// The store has never been read.
    Unknown,
}

impl State {
    /// Whether requests with a session may be forwarded.
    pub fn admits(self) -> bool {
        matches!(self, Self::Alone | Self::Current | Self::Patient)
    }
}

impl Standing {
    /// At this moment.
    pub(super) fn state(&self) -> State {
        let known = self.lock();
        match (known.patience, known.confirmed) {
            (None, _) => State::Alone,
            (Some(_), None) => State::Unknown,
            (Some(_), Some(_)) if known.is_up => State::Current,
            (Some(patience), Some(at)) if at.elapsed() < patience => State::Patient,
            _ => State::Stale,
        }
    }

    /// A store is to be used, with this patience.
    pub(super) fn expect(&self, patience: Duration) {
        let mut known = self.lock();
        if known.patience.is_none() {
            // What a store has had meanwhile is not known.
            known.confirmed = None;
            known.is_up = false;
        }
        known.patience = Some(patience);
    }

    /// There is no store any more.
    pub(super) fn alone(&self) {
        *self.lock() = Known::default();
    }

    /// Everything that the store has is known.
    pub(super) fn confirm(&self) {
        let mut known = self.lock();
        known.is_up = true;
        known.confirmed = Some(Instant::now());
    }

    /// The store is out of reach; whether it was in reach until now.
    pub(super) fn down(&self) -> bool {
        std::mem::take(&mut self.lock().is_up)
    }

    /// What is in there is whole at every moment, a panic elsewhere or not.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_store_memory_is_all_there_is() {
        let standing = Standing::default();
        assert_eq!(standing.state(), State::Alone);
        standing.expect(Duration::from_secs(60));
        standing.alone();
        assert_eq!(standing.state(), State::Alone);
    }

    #[test]
    fn a_store_that_was_never_read_admits_no_session_whatever_the_patience() {
        let standing = Standing::default();
        standing.expect(Duration::from_secs(60));
        assert_eq!(standing.state(), State::Unknown);
        standing.down();
        assert_eq!(standing.state(), State::Unknown);
        assert!(!State::Unknown.admits());
    }

    #[test]
    fn patience_begins_when_everything_was_known_last() {
        let standing = Standing::default();
        standing.expect(Duration::from_secs(60));
        standing.confirm();
        assert_eq!(standing.state(), State::Current);
        assert!(standing.down() && !standing.down());
        assert_eq!(standing.state(), State::Patient);
        standing.expect(Duration::ZERO);
        assert_eq!(standing.state(), State::Stale);
        assert!(!State::Stale.admits() && State::Patient.admits());
        standing.confirm();
        assert_eq!(standing.state(), State::Current, "with no patience too");
    }
}
