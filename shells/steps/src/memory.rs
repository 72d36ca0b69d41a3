//! Messages in memory that host and module share.
//!
//! [`allocate`] gives a place, and whoever it is for gives it back: an export takes its argument with it, and the host releases
//! what an export has returned. Places are found by their address in a list, so that no number of the host's is believed.

use std::cell::RefCell;

/// Longest message in bytes: a configuration of 1 MiB as JSON text, or the largest answer of a provider in base64, and its fields.
pub(crate) const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// More than one call needs, argument and result.
const MAX_PLACES: usize = 16;

thread_local! {
    static PLACES: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A place of this length: its address. 0 when it is too long, or when too many were never given back.
pub(crate) fn allocate(bytes: usize) -> usize {
    if bytes > MAX_MESSAGE_BYTES { 0 } else { keep(vec![0; bytes]) }
}

/// Takes a place back with what is in it. `None` for what is none.
pub(crate) fn take(address: usize, bytes: usize) -> Option<Vec<u8>> {
    PLACES.with_borrow_mut(|places| {
        let found = places.iter().position(|place| place.as_ptr().addr() == address && place.len() == bytes.max(1))?;
        let mut message = places.swap_remove(found).into_vec();
        message.truncate(bytes);
        Some(message)
    })
}

/// Keeps a message for the host: address and length in one number, the address in its upper half. 0 as [`allocate`].
pub(crate) fn give(message: Vec<u8>) -> u64 {
    let bytes = message.len();
    (keep(message) as u64) << 32 | bytes as u64
}

fn keep(mut message: Vec<u8>) -> usize {
    if message.is_empty() {
        // What has no bytes has no address of its own.
        message.push(0);
    }
    PLACES.with_borrow_mut(|places| {
        if places.len() >= MAX_PLACES {
            return 0;
        }
        places.push(message.into_boxed_slice());
        places.last().map_or(0, |place| place.as_ptr().addr())
    })
}
