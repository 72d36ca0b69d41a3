//! The store of the ended sessions: one contract for every place that it can be kept in, with a real Redis, and what only a server
//! can do wrong. `scripts/check-redis.sh` makes the Redis.

#![expect(clippy::expect_used, reason = "a step that fails ends its test, and says which one it was")]
#![allow(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/application.rs"]
mod application;
#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/browser.rs"]
mod browser;
mod claims;
mod contract;
mod looking;
mod node;
mod nodes;
mod outages;
#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/program.rs"]
mod program;
#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/raw.rs"]
mod raw;
mod redis;
mod relay;
mod strangers;
