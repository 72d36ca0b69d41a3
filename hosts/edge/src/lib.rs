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

pub mod active;
pub mod admin;
pub mod application_server;
pub mod arguments;
pub mod budgets;
pub mod check;
pub mod client;
pub mod component;
pub mod configuration_watch;
pub mod connection;
pub mod decider;
pub mod explain;
pub mod failure;
pub mod forwarding;
pub mod framing;
pub mod http1;
pub mod http2_watch;
pub mod judge;
pub mod limits;
pub mod listener;
pub mod log;
mod log_queue;
pub mod memory;
pub mod new_session;
pub mod open_exchanges;
pub mod proxy;
pub mod random;
pub mod reload;
pub mod request_bytes;
pub mod request_head;
pub mod resumption;
pub mod serve;
pub mod shares;
pub mod tls;
mod upgrade_socket;
pub mod upstream;
pub mod watched_connection;
