//! What an operator sees of the running program: its log, and whether it is there.

pub mod admin;
pub mod log;
mod log_queue;
