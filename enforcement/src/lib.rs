//! What every host of the login does alike: with the fields of a request and a response, and with the addresses of
//! providers.
//!
//! The core decides *whether* and *as whom* a request goes on; a host carries it there. What the carrying has in common
//! between hosts is decided here, once, and each host applies it to its own types: the edge proxy to Pingora's, the
//! Wasmtime library to those of the crate `http`, the components for `wasi:http` to lists of fields.
//!
//! This crate performs no IO and knows neither the core nor WIT.

#![deny(missing_docs)]

pub mod edits;
pub mod forwarded;
pub mod headers;
pub mod outbound;
