//! What the store has not confirmed yet, in the order in which it happened here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::Entry;

/// As many as the list in memory has (`EndedSessions`): some 40 MB. What comes on top of it is in memory only until the next connection, when all
/// of memory is compared with the store.
const MAX_QUEUED: usize = 1_000_000;

/// Entries to be written.
#[derive(Debug)]
pub(super) struct Queue {
    entries: Mutex<VecDeque<Entry>>,
    added: Notify,
    /// How many have been written since the beginning.
    written: watch::Sender<u64>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { entries: Mutex::default(), added: Notify::new(), written: watch::Sender::new(0) }
    }
}

impl Queue {
    /// Appends entries. They have been written when so many have been since the beginning.
    pub(super) fn add(&self, entries: &[Entry]) -> u64 {
        let mut queued = self.lock();
        let room = MAX_QUEUED.saturating_sub(queued.len());
        queued.extend(entries.iter().take(room));
        // `written` counts under the same lock.
        let last = self.written.borrow().saturating_add(queued.len() as u64);
        drop(queued);
        self.added.notify_one();
        last
    }

    /// Waits until so many have been written since the beginning.
    pub(super) async fn has_written(&self, number: u64) {
        // It fails when the sender is gone, which is in `self`.
        let _ = self.written.subscribe().wait_for(|written| *written >= number).await;
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
        let mut queued = self.lock();
        queued.drain(..number);
        self.written.send_modify(|written| *written = written.saturating_add(number as u64));
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
