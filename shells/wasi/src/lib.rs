//! What the shells for `wasi:http` have in common: they read their configuration, the clock and randomness from the
//! host, write the log to its standard error, ask providers, and go through the core's steps. They decide nothing.
//!
//! The two worlds differ in HTTP only: a shell implements `ProviderClient` with its own, and does to requests and responses
//! what `answer` says. Everything else comes from WASI 0.2, which hosts of 0.3 have as well.

pub mod each_version;
pub mod mounts;
pub mod place;
pub mod spelling;
pub mod spin;

#[cfg(target_family = "wasm")]
mod answer;
#[cfg(target_family = "wasm")]
mod bindings;
#[cfg(target_family = "wasm")]
mod configuration;
#[cfg(target_family = "wasm")]
mod filesystem;
#[cfg(target_family = "wasm")]
mod log;
#[cfg(target_family = "wasm")]
mod providers;
#[cfg(target_family = "wasm")]
mod system;
#[cfg(target_family = "wasm")]
use vestibule_preview1 as _;

#[cfg(target_family = "wasm")]
pub use answer::{Body, Instruction, Onward, Unread, answer};
#[cfg(target_family = "wasm")]
pub use providers::ProviderClient;
