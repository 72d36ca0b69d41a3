//! What the store has not confirmed yet, in the order in which it happened here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Entry;

/// As many as the list in memory has (`EndedSessions`): some 40 MB. What comes on top of it is in memory only until the next connection, when all
/// of memory is compared with the store.
const MAX_QUEUED: usize = 1_000_000;

/// Entries to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: Mutex<VecDeque<Entry>>,
    added: Notify,
}

impl Queue {
    /// Appends entries.
    pub(super) fn add(&self, entries: &[Entry]) {
        let mut queued = self.lock();
        let room = MAX_QUEUED.saturating_sub(queued.len());
        queued.extend(entries.iter().take(room));
        drop(queued);
        self.added.notify_one();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether everything has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first of them, at most `most`; they stay.
    pub(super) fn first(&self, most: usize) -> Vec<Entry> {
        self.lock().iter().take(most).copied().collect()
    }

    /// The first `number` have been written.
    pub(super) fn written(&self, number: usize) {
        self.lock().drain(..number);
    }

    /// Waits until something may have been added.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    /// What is in there is whole at every moment, a panic elsewhere or not.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
