//! The store of the ended sessions: whether it is there, and what was read and written.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What a store has taken and told.
#[derive(Clone, Debug, Default)]
pub struct StoreCounts {
    up: Gauge,
    queued: Gauge,
    read: Counter,
    written: Counter,
    failures: Counter,
}

impl StoreCounts {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let Self { up, queued, read, written, failures } = Self::default();
        registry.register(
            "store_up",
            "1 while the store of the ended sessions is in reach and has been read; 0 without a store",
            up.clone(),
        );
        registry.register("store_entries_queued", "Entries that the store has not confirmed yet", queued.clone());
        registry.register("store_entries_read", "Entries that were read from the store, those of this node included", read.clone());
        registry.register("store_entries_written", "Entries that the store has confirmed", written.clone());
        registry.register("store_failures", "Connections to the store that failed or could not be made", failures.clone());
        Self { up, queued, read, written, failures }
    }

    pub(crate) fn up(&self, is_up: bool) {
        self.up.set(i64::from(is_up));
    }

    pub(crate) fn queued(&self, number: usize) {
        self.queued.set(super::number(number));
    }

    pub(crate) fn read(&self, number: usize) {
        self.read.inc_by(number as u64);
    }

    /// So many were written, and so many still wait.
    pub(crate) fn written(&self, number: usize, queued: usize) {
        self.written.inc_by(number as u64);
        self.queued(queued);
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
