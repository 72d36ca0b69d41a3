//! The exports. A message is an address and a length; a result is both in one 64-bit number, the address in its upper half.

#![expect(unsafe_code, reason = "exports of WebAssembly")]

use serde::de::DeserializeOwned;

use crate::messages::Answer;
use crate::{memory, steps, waiting};

/// A place for a message of this length, at most 8 MiB. 0: there is none.
#[unsafe(no_mangle)]
extern "C" fn alloc(bytes: usize) -> usize {
    memory::allocate(bytes)
}

/// Takes a result back that the host has read.
#[unsafe(no_mangle)]
extern "C" fn release(address: usize, bytes: usize) {
    if memory::take(address, bytes).is_none() {
        core::arch::wasm32::unreachable()
    }
}

/// Reads a configuration: `Load` → `loaded`, `unresolved`, `faults`.
#[unsafe(no_mangle)]
extern "C" fn load(address: usize, bytes: usize) -> u64 {
    answer(address, bytes, steps::load)
}

/// Begins to decide on a request: `Begin` → `decided`, `fetch`.
#[unsafe(no_mangle)]
extern "C" fn begin(address: usize, bytes: usize) -> u64 {
    answer(address, bytes, steps::begin)
}

/// Goes on with the result of a `fetch`: `Resume` → `decided`, `fetch`, `finished`.
#[unsafe(no_mangle)]
extern "C" fn resume(address: usize, bytes: usize) -> u64 {
    answer(address, bytes, steps::resume)
}

/// Gives a `fetch` up whose result never comes. A number that is not waiting is none to give up.
#[unsafe(no_mangle)]
extern "C" fn forget(id: u32) {
    steps::forget(id);
}

/// Whether a `fetch` may be sent to this IP address, as text: 1, otherwise 0.
#[unsafe(no_mangle)]
extern "C" fn admits(id: u32, address: usize, bytes: usize) -> u32 {
    let Some(message) = memory::take(address, bytes) else { core::arch::wasm32::unreachable() };
    let address = String::from_utf8(message).ok().and_then(|text| text.parse().ok());
    address.is_some_and(|address| waiting::admits(id, address)).into()
}

fn answer<M: DeserializeOwned>(address: usize, bytes: usize, step: impl FnOnce(M) -> Answer) -> u64 {
    let Some(message) = memory::take(address, bytes) else { core::arch::wasm32::unreachable() };
    let answer = match serde_json::from_slice(&message) {
        Ok(message) => step(message),
        Err(error) => Answer::Malformed(fault(&error)),
    };
    match serde_json::to_vec(&answer).map(memory::give) {
        Ok(place) if place >> 32 != 0 => place,
        _ => core::arch::wasm32::unreachable(),
    }
}

/// What is wrong with a message, without its values: they may be secrets.
fn fault(error: &serde_json::Error) -> String {
    const PLAIN: [&str; 5] = ["unknown field", "missing field", "duplicate field", "a header field", "a body"];
    let text = error.to_string();
    if PLAIN.iter().any(|plain| text.starts_with(plain)) {
        return text;
    }
    format!("not a message of this form, see docs/hosts/steps.md: line {}, column {}", error.line(), error.column())
}
