//! The store of the ended sessions: one contract for every place that it can be kept in, with a real Redis, and what only a server
//! can do wrong. `scripts/check-redis.sh` makes the Redis.

#![expect(clippy::expect_used, reason = "a step that fails ends its test, and says which one it was")]

mod contract;
mod node;
mod outages;
mod redis;
mod relay;
mod strangers;
