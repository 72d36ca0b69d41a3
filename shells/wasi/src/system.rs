//! Clock and randomness, from the host.

use vestibule::entropy::Entropy;
use vestibule::time::UnixTime;

use crate::bindings::wasi::{clocks::wall_clock, random::random};

/// The time.
pub(crate) fn now() -> UnixTime {
    UnixTime::from_secs(wall_clock::now().seconds)
}

/// Randomness.
pub(crate) struct HostEntropy;

impl Entropy for HostEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&random::get_random_bytes(bytes.len() as u64));
    }
}
