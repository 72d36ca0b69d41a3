//! What the fuzz targets do: one module a target, whose `run` takes the fuzzer's bytes and panics when a property fails.
//!
//! The same functions replay the corpora in an ordinary test, `tests/corpora.rs` of the core, which includes this file.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a target says what it has found")]

pub mod callback_query;
pub mod canonical_request;
pub mod configuration;
pub mod cookie_header;
pub mod id_token;
pub mod jwks;
pub mod metadata;
pub mod return_to;
pub mod sealed_cookie;
pub mod steps;
pub mod streamlit;
pub mod token_answer;

mod cookies;
mod destination;
mod provider;
mod respelling;
mod site;
mod visitor;
