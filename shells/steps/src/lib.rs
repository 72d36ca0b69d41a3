//! The login as a plain module: no component model, no WASI. A host writes a message into memory, calls an export, and reads a
//! message. Both are JSON; `docs/hosts/steps.md` describes every one of them.
//!
//! ```text
//!  host ── load ──► configuration                       once for an instance
//!  host ── begin ──► decided │ fetch (id, request)      for each request
//!  host ── resume (id, result) ──► decided │ fetch      for each answer of a provider
//! ```
//!
//! 1. A decision that waits for a provider stays in the instance, under a number (`waiting.rs`). An instance is not re-entrant: one
//!    call at a time.
//! 2. The rules of `vestibule-enforcement` are applied here, so that a host neither edits header fields nor judges URLs.
//! 3. Memory that a host gives or gets is kept in a list (`memory.rs`): a pointer that is not in it is a trap, and never read.
//! 4. The clock, randomness and ended sessions are imports (`host.rs`); nothing else is.

#![cfg(target_family = "wasm")]

mod configuration;
mod exports;
mod host;
mod memory;
mod messages;
mod outbound;
mod outcome;
mod preview1;
mod steps;
mod waiting;
