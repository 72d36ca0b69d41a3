//! The commands: what can be asked for on the command line, and one file for each command.

pub mod address;
pub mod arguments;
pub mod carry;
pub mod check;
pub mod check_store;
pub mod completions;
pub mod component;
pub mod explain;
pub mod health;
pub mod init;
pub mod manual;
pub mod not_started;
pub mod online;
pub mod program;
pub mod schema;
pub mod serve;
pub mod sessions;
