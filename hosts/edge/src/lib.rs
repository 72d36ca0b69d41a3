//! The edge proxy: HTTP in front of one application, with the login decided by the component.
//!
//! This crate decides nothing about logins. It speaks HTTP (Pingora), asks the filter about every request (by
//! `vestibule-wasmtime`) and does exactly what the answer says:
//!
//! ```text
//! peer ──► listener ──► proxy ──► decider (component) ──► forward: edits, X-Forwarded-* ──► upstream
//!                         ▲             │                                                      │
//!                         │             └──► respond: the filter's own page or redirect        │
//!                         └──────────────────────── streamed response ◄────────────────────────┘
//! ```
//!
//! Whatever fails on the way is answered with a page; nothing that fails lets a request through.

pub mod audit;
pub mod causes;
pub mod cli;
pub mod client;
pub mod configuration;
pub mod exchange;
pub mod listen;
pub mod metrics;
pub mod observe;
pub mod random;
pub mod service_manager;
pub mod store;
pub mod upgrade;
pub mod upstream;
