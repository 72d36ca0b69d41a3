//! What is told of each client once in a minute, however often it happens: a refusal costs the client nothing, and a line of the
//! log or the audit costs a disk.
//!
//! Memory is fixed: clients share slots, by hashes that nobody outside can compute. Of clients that share one, one is told of.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::address::network;

const EVERY: Duration = Duration::from_secs(60);

/// Of 16 bytes.
const SLOTS: usize = 1 << 12;

/// When each client was told of last.
pub struct Seldom {
    started: Instant,
    hasher: RandomState,
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot {
    /// In milliseconds after the start, with one more; 0 is never.
    told_at: AtomicU64,
    left_out: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self { started: Instant::now(), hasher: RandomState::new(), slots: (0..SLOTS).map(|_| Slot::default()).collect() }
    }
}

impl Seldom {
    /// Whether it is time to tell of this client, and how often it was not told since the last time.
    pub fn is_due(&self, what: &str, client: Option<IpAddr>) -> Option<u64> {
        self.is_due_at(what, client, self.started.elapsed())
    }

    fn is_due_at(&self, what: &str, client: Option<IpAddr>, now: Duration) -> Option<u64> {
        let hash = self.hasher.hash_one((what, client.map(network)));
        let slot = self.slots.get(usize::try_from(hash).unwrap_or_default() % SLOTS)?;
        let [now, every] = [now, EVERY].map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let due = |told_at: u64| (told_at == 0 || now.saturating_sub(told_at - 1) >= every).then_some(now + 1);
        if slot.told_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_err() {
            slot.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(slot.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_told_of_once_in_a_minute() {
        let seldom = Seldom::default();
        let at = |seconds: u64, client: &str| seldom.is_due_at("x", client.parse().ok(), Duration::from_secs(seconds));
        assert_eq!(at(0, "192.0.2.1"), Some(0));
        assert_eq!([at(0, "192.0.2.1"), at(1, "192.0.2.1"), at(59, "192.0.2.1")], [None; 3]);
        assert_eq!(at(60, "192.0.2.1"), Some(3));
        assert_eq!(at(61, "192.0.2.1"), None);
        // One of a network is all of it; others have lines of their own, but for a few that share a slot.
        assert_eq!((at(0, "2001:db8::1"), at(1, "2001:db8::2")), (Some(0), None));
        let told = (0..100).filter(|number| at(70, &format!("198.51.100.{number}")).is_some()).count();
        assert!(told > 80, "{told}");
    }
}
