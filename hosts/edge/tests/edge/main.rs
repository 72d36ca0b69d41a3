//! The edge as its peers see it: over real sockets, before a scripted filter and before the real one.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a step that fails ends its test, and says which one it was")]
#![expect(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

mod account_ends;
mod application;
mod audit;
mod audit_ends;
mod audit_journal;
mod authz;
mod browser;
mod callbacks;
mod carried;
mod closed;
mod connections;
mod elsewhere;
mod failing_filter;
mod farewell;
mod forwarding;
mod framing;
mod generated;
#[path = "../../../wasmtime/tests/guest/mod.rs"]
mod guest;
mod http1;
mod http2;
mod init;
mod lifecycle;
mod lifetimes;
mod limits;
mod logging;
mod login;
mod metrics;
mod not_started;
mod problems;
mod production;
mod program;
mod provider_logout;
mod provider_traces;
mod raw;
mod refresh;
mod refused;
mod reload;
mod request_id;
mod resources;
mod routes;
mod rules;
mod scripted;
mod service_manager;
mod streaming;
mod streamlit;
mod terminal;
mod texts;
mod tls;
mod trust;
mod trusted_proxies;
mod unread;
mod upgrade;
