//! What is asked of the host: the time, randomness, and which sessions have ended.
//!
//! Randomness has the name that WASI preview 1 gives it, because the standard library asks by that name, and one import is enough.

#![expect(unsafe_code, reason = "imports of WebAssembly: pointers into our own memory")]

use std::cell::Cell;

use vestibule::entropy::Entropy;
use vestibule::session::Ended;
use vestibule::time::UnixTime;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Seconds since the Unix epoch.
    #[link_name = "now"]
    safe fn host_now() -> u64;
    /// Whether a session with these names, 16 bytes each, has ended: not 0.
    #[link_name = "ended"]
    fn host_ended(names: *const u8, bytes: usize, began_at: u64) -> i32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    /// Writes so many cryptographically secure random bytes; 0 when it has.
    #[link_name = "random_get"]
    fn host_random(address: *mut u8, bytes: usize) -> i32;
}

pub(crate) fn now() -> UnixTime {
    UnixTime::from_secs(host_now())
}

pub(crate) fn fill(bytes: &mut [u8]) {
    // SAFETY: the address and the length are those of a slice that is ours alone.
    if unsafe { host_random(bytes.as_mut_ptr(), bytes.len()) } != 0 {
        // Nothing may be sealed or named by what is not random.
        core::arch::wasm32::unreachable()
    }
}

/// Randomness.
pub(crate) struct HostEntropy;

impl Entropy for HostEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        fill(bytes);
    }
}

thread_local! {
    static REMEMBERS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the host remembers what decisions say has ended, so that all of its processes know of it.
pub(crate) fn set_remembers(remembers: bool) {
    REMEMBERS.set(remembers);
}

/// What the host knows of sessions.
pub(crate) struct HostSessions;

impl Ended for HostSessions {
    fn ended(&self, names: &[u8], began_at: UnixTime) -> bool {
        // SAFETY: the address and the length are those of a slice, which the host reads.
        unsafe { host_ended(names.as_ptr(), names.len(), began_at.as_secs()) != 0 }
    }

    fn remembers(&self) -> bool {
        REMEMBERS.get()
    }
}
